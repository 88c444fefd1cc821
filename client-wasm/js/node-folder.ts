/**
 * What a client in Node keeps in a folder: a record in a file of its own, written beside and renamed, with both synced; bytes in a file
 * beside their record. Everything is only its owner's to read.
 */

import { SealdropError } from './errors.js';
import { type Behind, type Held, nothingHeld, type Table, type Tables } from './kept.js';
import { node } from './node.js';
import type { PartOfFile, StoredFile } from './store.js';

interface Handle {
  appendFile(bytes: Uint8Array | string): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

interface Files {
  mkdir(path: string, options: { recursive: true; mode: number }): Promise<unknown>;
  open(path: string, flags: string, mode?: number): Promise<Handle>;
  readdir(path: string): Promise<string[]>;
  readFile(path: string): Promise<Uint8Array>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { force: true }): Promise<void>;
}

interface FilesNow {
  openAsBlob(path: string): Promise<Blob>;
  rmSync(path: string, options: { force: true }): void;
}

interface Codec {
  serialize(value: unknown): Uint8Array;
  deserialize(bytes: Uint8Array): unknown;
}

interface Hashing {
  createHash(algorithm: 'sha256'): { update(text: string): { digest(encoding: 'hex'): string } };
}

interface Processes {
  readonly pid: number;
  kill(pid: number, signal: 0): void;
  once(event: 'exit', listener: () => void): void;
}

/** What is in a record's file. */
interface Written {
  readonly key: string;
  readonly record: unknown;
}

const RECORD = '.record';
const BYTES = '.bytes';
const UNFINISHED = '.new';

const files = (): Files => node<Files>('node:fs/promises');

/** Makes the folder this process's own, for as long as it runs or until the returned function is called. Throws `busy` when it is another's. */
export async function lockFolder(folder: string): Promise<() => void> {
  const { process } = globalThis as unknown as { process: Processes };
  await files().mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = `${folder}/lock`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const handle = await files().open(lock, 'wx', 0o600);
      await handle.appendFile(String(process.pid));
      await handle.close();
      break;
    } catch (thrown) {
      const owner = Number(
        new TextDecoder().decode(
          await files()
            .readFile(lock)
            .catch(() => new Uint8Array()),
        ),
      );
      if (attempt > 2 || owner === process.pid || isRunning(process, owner)) {
        const why = `${folder} is in use by process ${owner}`;
        throw new SealdropError('busy', why, 'Close the other client, or use another folder.', { cause: thrown });
      }
      // It ended without a word.
      await files().rm(lock, { force: true });
    }
  }
  const unlock = () => node<FilesNow>('node:fs').rmSync(lock, { force: true });
  process.once('exit', unlock);
  return unlock;
}

function isRunning(process: Processes, pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // It may be somebody else's.
    return (thrown as { code?: string }).code === 'EPERM';
  }
}

/** The root key in the folder; made the first time. */
export async function rootKey(folder: string): Promise<Uint8Array<ArrayBuffer>> {
  const path = `${folder}/root`;
  const known = await files()
    .readFile(path)
    .catch(() => undefined);
  if (known !== undefined && known.length === 32) {
    return new Uint8Array(known);
  }
  if (known !== undefined) {
    throw new SealdropError('storage', `${path} is not a key`, 'Restore it from a copy, or use another folder.');
  }
  const root = crypto.getRandomValues(new Uint8Array(32));
  await writeDurably(folder, 'root', root);
  return root;
}

/** What is kept in the folder of one network, and what keeps more there. */
export async function openFolder(folder: string): Promise<{ held: Held; behind: Behind }> {
  const held = nothingHeld();
  for (const table of Object.keys(held) as Table[]) {
    await files().mkdir(`${folder}/${table}`, { recursive: true, mode: 0o700 });
    await load(`${folder}/${table}`, held[table] as Map<string, unknown>);
  }
  const behind = new FolderBehind(folder);
  await forgetRest(held, behind);
  return { held, behind };
}

async function load(folder: string, into: Map<string, unknown>): Promise<void> {
  const { deserialize } = node<Codec>('node:v8');
  const names = new Set(await files().readdir(folder));
  for (const name of names) {
    const stem = name.replace(/\.\w+$/, '');
    if (name.endsWith(RECORD)) {
      const { key, record } = deserialize(await files().readFile(`${folder}/${name}`)) as Written;
      into.set(key, await withBytes(record, `${folder}/${stem}${BYTES}`));
    } else if (!names.has(`${stem}${RECORD}`) || name.endsWith(UNFINISHED)) {
      // The process ended while it was written.
      await files().rm(`${folder}/${name}`, { force: true });
    }
  }
}

/** A record with its bytes, which are read when they are asked for. */
async function withBytes(record: unknown, path: string): Promise<unknown> {
  const { blob } = record as { blob?: unknown };
  return blob === null ? { ...(record as object), blob: await node<FilesNow>('node:fs').openAsBlob(path) } : record;
}

/** Lets go of what nothing refers to: the process ended while it was written, or while the rest was let go of. */
async function forgetRest(held: Held, behind: Behind): Promise<void> {
  const drop = async (table: Table, isRest: (record: never) => boolean): Promise<void> => {
    for (const [key, record] of [...held[table]]) {
      if (isRest(record as never)) {
        held[table].delete(key);
        await behind.remove(table, key);
      }
    }
  };
  await drop('sources', ({ id }: Tables['sources']) => !held.folders.has(id));
  await drop('contents', ({ id }: Tables['contents']) => !held.folders.has(id));
  await drop('files', ({ id }: StoredFile) => !held.deals.has(id));
}

class FolderBehind implements Behind {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  readonly write = async <T extends Table>(table: T, key: string, record: Tables[T]): Promise<Tables[T]> => {
    const folder = `${this.#folder}/${table}`;
    const name = nameOf(key);
    const { blob } = record as { blob?: Blob | PartOfFile };
    const isBytes = blob instanceof Blob;
    if (isBytes) {
      await writeDurably(folder, `${name}${BYTES}`, blob);
    }
    const written: Written = { key, record: isBytes ? { ...record, blob: null } : record };
    await writeDurably(folder, `${name}${RECORD}`, node<Codec>('node:v8').serialize(written));
    return (await withBytes(written.record, `${folder}/${name}${BYTES}`)) as Tables[T];
  };

  readonly remove = async (table: Table, key: string): Promise<void> => {
    const path = `${this.#folder}/${table}/${nameOf(key)}`;
    await files().rm(`${path}${RECORD}`, { force: true });
    await files().rm(`${path}${BYTES}`, { force: true });
  };

  readonly close = (): void => undefined;
}

/** Keys may be longer than names of files, and have slashes. */
function nameOf(key: string): string {
  return node<Hashing>('node:crypto').createHash('sha256').update(key).digest('hex');
}

/** Writes a file that is whole or not there, whenever the power goes. */
async function writeDurably(folder: string, name: string, bytes: Uint8Array | Blob): Promise<void> {
  const path = `${folder}/${name}`;
  const fresh = `${path}${UNFINISHED}`;
  const handle = await files().open(fresh, 'w', 0o600);
  try {
    if (bytes instanceof Blob) {
      const reader = bytes.stream().getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        await handle.appendFile(value);
      }
    } else {
      await handle.appendFile(bytes);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await files().rename(fresh, path);
  const place = await files().open(folder, 'r');
  try {
    await place.sync();
  } finally {
    await place.close();
  }
}
