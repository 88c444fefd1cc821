/** Files before they are stored: what they are called in a folder, hashed and with their manifest. */

import { formatFil } from './amounts.js';
import { SealdropError } from './errors.js';
import { hashFiles, type SealedFiles } from './files.js';
import type { Caller } from './link.js';
import type { EncryptionRequest, OrderRequest, StoreFilesRequest } from './protocol.js';
import type { AskedHandle } from './sources.js';
import type {
  EncryptTo,
  FileInput,
  FilesInput,
  MinerInfo,
  Order,
  PieceNode,
  Prepared,
  PrepareOptions,
  RunOptions,
  StoreOptions,
} from './types.js';

/** Bytes of the largest sectors. */
const LARGEST_SECTOR = 2 ** 35;
/** The name of several files that were not chosen with a folder. */
const UNNAMED = 'files';

/** Files with their paths. */
interface Named {
  /** The folder's name; a single file has none. */
  readonly folder: string | undefined;
  readonly files: readonly FileInput[];
}

/** What is known of files from before. */
interface Known {
  readonly folder: boolean;
  readonly name: string;
  readonly files: readonly { readonly path: string }[];
}

/** What files are called. Without a name for all of them, a folder that all paths begin with is it, and they lead from there. */
export function named(input: FilesInput, folder?: string): Named {
  if (input instanceof File && folder === undefined && input.webkitRelativePath === '') {
    return { folder: undefined, files: [{ path: input.name, file: input }] };
  }
  const list = input instanceof File ? [input] : input;
  const files = list.map((one) =>
    one instanceof File ? { path: one.webkitRelativePath || one.name, file: one } : { path: one.path, file: one.file },
  );
  if (files.length === 0) {
    throw new SealdropError('bad-argument', 'there are no files', 'Choose at least one file.');
  }
  if (folder !== undefined) {
    return { folder, files };
  }
  const [top, ...rest] = files[0]?.path.split('/') ?? [];
  const shared = rest.length > 0 && files.every(({ path }) => path.startsWith(`${top}/`));
  if (!shared || top === undefined) {
    return { folder: files.length === 1 && rest.length === 0 ? undefined : UNNAMED, files };
  }
  const inside = files.map(({ path, file }) => ({ path: path.slice(top.length + 1), file }));
  return { folder: top, files: inside };
}

/** A miner's address, or a rule. */
export function minerOf(miner: MinerInfo | string): string {
  return typeof miner === 'string' ? miner : miner.address;
}

/** An order as it is posted. */
export function orderOf(order: Partial<Order>): OrderRequest {
  return {
    copies: order.copies ?? 1,
    miner: minerOf(order.miner ?? 'cheapest'),
    duration: order.duration ?? 0,
    most: order.most === undefined ? undefined : formatFil(order.most),
    repair: order.repair ?? false,
    withManifest: order.withManifest ?? false,
    allowDuplicates: order.allowDuplicates ?? false,
  };
}

/** Hashes files, cut for sectors that enough miners have. */
export async function prepareFiles(link: Caller, input: FilesInput, options: PrepareOptions): Promise<Prepared> {
  const { folder, files } = named(input, options.folder);
  const paths = files.map(({ path }) => path);
  const encrypting = options.encrypt && (await encrypted(link, files, options.encrypt));
  const largest = encrypting?.largest ?? files.reduce((most, { file }) => Math.max(most, file.size), 0);
  const sectorSize = await link.call('planFiles', [{ folder, paths, largest, order: orderOf(options) }]);
  const { signal, onProgress, onEach, workers } = options;
  const hashed = await hashFiles(files, { sectorSize, signal, onProgress, onEach, workers }, encrypting?.sealed);
  const plain = hashed.map((file) => ({ ...file, pieces: file.pieces.map((piece) => ({ ...piece, nodes: [] })) }));
  const request = { folder, files: plain };
  const manifest = await (encrypting?.makeManifest(request) ?? link.call('makeManifest', [request]));
  const byPath = new Map(hashed.map((file) => [file.path, file]));
  return {
    id: manifest.id,
    name: manifest.name,
    folder: folder !== undefined,
    size: hashed.reduce((sum, { size }) => sum + size, 0),
    sectorSize,
    files: manifest.paths.flatMap((path) => byPath.get(path) ?? []),
    manifest: manifest.bytes,
    ...(encrypting && manifest.shown ? { encryption: encrypting.prepared(manifest.shown, manifest.paths) } : {}),
  };
}

/** Only those who encrypt load what does it. */
async function encrypted(link: Caller, files: readonly FileInput[], encrypt: EncryptTo) {
  const { Encrypting } = await import('./encrypting.js');
  return Encrypting.begin(link, files, encrypt);
}

/** What is stored of files that were prepared. Throws `bad-argument` when one of them is not among `input`. */
export function storeRequest(prepared: Prepared, input: FilesInput, order: StoreOptions): StoreFilesRequest {
  const byPath = byPathOf(prepared, input);
  const handles = new Map(inputsOf(input).map(({ path, handle }) => [path, handle]));
  const blobs = prepared.files.map(({ path }) => {
    const file = byPath.get(path);
    if (file === undefined) {
      throw new SealdropError(
        'bad-argument',
        `${path} was prepared and is not among the files`,
        'Hand in the same files.',
      );
    }
    return file;
  });
  return {
    id: prepared.id,
    manifest: prepared.manifest,
    order: orderOf(order),
    keep: order.keep ?? 'copy',
    encryption: encryptionRequest(prepared),
    data: prepared.files.flatMap(({ pieces }) => pieces.map(({ dataCid }) => dataCid)),
    blobs,
    handles: prepared.files.map(({ path }) => handles.get(path) ?? handles.get(`${prepared.name}/${path}`)),
    sizes: prepared.encryption?.plainSizes ?? prepared.files.map(({ size }) => size),
    nodes: prepared.files.map(
      ({ pieces }) => new Map<number, readonly PieceNode[]>(pieces.map(({ offset, nodes }) => [offset, nodes])),
    ),
  };
}

/** Hands files in again, after it was checked that they are the same. */
export async function supplyFiles(link: Caller, id: string, input: FilesInput, options: RunOptions): Promise<void> {
  const whole = await link.call('file', [id]);
  if (whole === undefined) {
    throw new SealdropError('not-found', `there is no file ${id} in this browser`);
  }
  const { files, folder, name } = whole;
  const byPath = byPathOf({ folder, name, files }, input);
  const given = files.map(({ path, size: stored, plainSize: size = stored }) => {
    const file = byPath.get(path);
    if (file?.size !== size) {
      const why = file === undefined ? 'is not among the files' : `has ${file.size} bytes, and had ${size}`;
      throw new SealdropError('file-lost', `${path} ${why}`, 'Choose the same files again.');
    }
    return { path, file };
  });
  // However a file is cut, its root is the same.
  const sealed = await sealedFiles(link, id);
  const hashed = await hashFiles(given, { sectorSize: LARGEST_SECTOR, ...options }, sealed);
  const other = hashed.findIndex(({ root }, at) => root !== files[at]?.root);
  if (other >= 0) {
    throw new SealdropError(
      'file-lost',
      `${files[other]?.path} is not what it was when it was stored`,
      'Choose the file as it was, or store it as it is now.',
    );
  }
  await link.call('supplyFiles', [id, given.map(({ file }) => file)]);
}

/** What hashes the files of one that is stored encrypted as it is stored. */
async function sealedFiles(link: Caller, id: string): Promise<SealedFiles | undefined> {
  const files = await link.call('sealedFiles', [id]);
  return files && { id, files };
}

/** Files as they were handed in, with where they are. */
export function inputsOf(input: FilesInput): readonly FileInput[] {
  const list = input instanceof File ? [input] : input;
  return list.map((one) => (one instanceof File ? { path: one.webkitRelativePath || one.name, file: one } : one));
}

/** Lets files that are known by where they are on the disk be read again; whether all of them may be. */
export async function allowFiles(link: Caller, id: string): Promise<boolean> {
  const handles = await link.call('fileHandles', [id]);
  for (const handle of handles) {
    const { requestPermission } = handle as AskedHandle;
    if (requestPermission && (await requestPermission.call(handle, { mode: 'read' })) !== 'granted') {
      return false;
    }
  }
  if (handles.length > 0) {
    await link.call('supplyFiles', [id, []]);
  }
  return handles.length > 0;
}

/** The files by the paths that they were prepared with: in a folder that was named then, or in one that they share. */
function byPathOf({ folder, name, files }: Known, input: FilesInput): Map<string, Blob> {
  const ways = [named(input), ...(folder ? [named(input, name)] : [])];
  const maps = ways.map((way) => new Map(way.files.map(({ path, file }) => [path, file])));
  const fits = maps.find((map) => files.every(({ path }) => map.has(path)));
  return fits ?? maps[0] ?? new Map();
}

/** How files are encrypted, as it is posted with what is stored. */
function encryptionRequest({ name, files, encryption }: Prepared): EncryptionRequest | undefined {
  return (
    encryption && {
      keys: encryption.keys,
      shown: encryption.shown,
      name,
      paths: files.map(({ path }) => path),
      roots: files.map(({ root }) => root),
      recipients: encryption.recipients,
      passphrase: encryption.passphrase,
      plainSize: encryption.plainSize,
      plainSizes: encryption.plainSizes,
    }
  );
}
