/**
 * Files of any size and number, hashed by one pool of workers: each is cut into pieces as large as a sector takes, and one pass finds
 * the names of all pieces and of the whole file (design §10).
 *
 * The workers get one slice after the other, of whichever file is next, so that many small files cost no more than one large one. A
 * piece is put together as soon as its slices are there, in order, and only its names stay: 32 bytes for each MiB of the file under way.
 */

import { encryptionModule } from './age.js';
import { Commp, type Cut } from './commp.js';
import { SealdropError } from './errors.js';
import { nameAssets, postable } from './host.js';
import { abortedError, Meter } from './meter.js';
import { divide, fitting, hashingModule, readEmpty } from './pieces.js';
import { hashSlices, workersFor } from './pool.js';
import type { SliceOrder } from './protocol.js';
import { filesKey, SavedSlices } from './saved.js';
import type { FileInput, FilePiece, FilesOptions, HashedFile, HashedSlice } from './types.js';

/** Slices of one piece, at most: 31.75 GiB are 4064 of the smallest ones. They are kept under piece and slice as one number. */
const SLICES_A_PIECE = 1 << 20;
/** A piece that is smaller is hashed again sooner than it is kept. */
const WORTH_KEEPING = 4 << 20;

/** Files that are hashed encrypted. */
export interface SealedFiles {
  /** Names these keys: what was hashed with others counts nothing. */
  readonly id: string;
  /** In the order of the files: what was kept of the encryption, and the bytes of the ciphertext. */
  readonly files: readonly { readonly state: string; readonly size: number }[];
}

/** A slice, and which piece of which file it belongs to. */
interface FileSlice extends SliceOrder {
  /** The file's index. */
  readonly at: number;
  /** Counted over all files. */
  readonly piece: number;
}

/** A piece some of whose slices are hashed. */
interface OpenPiece {
  readonly slices: number;
  readonly names: Map<number, Uint8Array>;
}

/**
 * Computes the names of files and of their pieces, in workers of its own that are ended with the call. Called again with the same
 * files (by path, size and time of change), after a reload or a crash, it goes on where it was.
 *
 * Throws `file-too-large` for a file that cannot be cut for such sectors, `file-unreadable`, `aborted`, or `unsupported`.
 */
export async function computeFiles(files: readonly FileInput[], options: FilesOptions): Promise<HashedFile[]> {
  const { blobs, release } = await postable(files.map(({ file }) => file));
  try {
    return await hashFiles(
      files.map((one, at) => ({ ...one, file: blobs[at] ?? one.file })),
      options,
    );
  } finally {
    await release();
  }
}

/** The same, of the files' ciphertexts where they are `sealed`. */
export async function hashFiles(
  files: readonly FileInput[],
  options: FilesOptions,
  sealed?: SealedFiles,
): Promise<HashedFile[]> {
  const { sectorSize, signal } = options;
  nameAssets(options);
  if (signal?.aborted) {
    throw abortedError();
  }
  const module = await hashingModule();
  const commp = await Commp.load(module);
  // Sizes are read once: that of a file on disk changes with it.
  const plans = files.map(({ path, file }, at) => planOf(path, file, sealed?.files[at]));
  const cuts = plans.map(({ size }) => commp.cut(size, sectorSize));
  for (const { path, file } of plans.filter(({ file }) => file.size === 0)) {
    await readEmpty(file).catch((thrown: unknown) => {
      throw named(thrown, path);
    });
  }
  const encryption = sealed && (await encryptionModule());
  const kept = await SavedSlices.open(filesKey(files, sectorSize) + (sealed?.id ?? ''));
  try {
    const work = new FilesHashing(commp, plans, cuts, kept, await kept.load(), options);
    await work.run(module, encryption);
    await kept.forget();
    return work.found;
  } catch (thrown) {
    // What was remembered does not fit together: the next try must not meet it again.
    if (thrown instanceof SealdropError && thrown.code === 'bad-argument') {
      await kept.forget();
    }
    throw thrown;
  } finally {
    kept.close();
  }
}

/** A file as it was when the work began. */
interface Plan {
  readonly path: string;
  readonly file: Blob;
  /** What was kept of its encryption, if it is hashed encrypted. */
  readonly sealed: string | undefined;
  /** Bytes of what is hashed. */
  readonly size: number;
}

function planOf(path: string, file: Blob, sealed: SealedFiles['files'][number] | undefined): Plan {
  return { path, file, sealed: sealed?.state, size: sealed?.size ?? file.size };
}

/** The work of one call. */
class FilesHashing {
  readonly found: HashedFile[] = [];
  readonly #commp: Commp;
  readonly #plans: readonly Plan[];
  readonly #cuts: readonly Cut[];
  readonly #options: FilesOptions;
  readonly #kept: SavedSlices;
  readonly #saved = new Map<number, HashedSlice[]>();
  readonly #workers: number;
  readonly #total: number;
  readonly #meter: Meter;
  readonly #open = new Map<number, OpenPiece>();
  /** Bytes done of each file under way. */
  readonly #each = new Map<number, number>();
  #done = 0;
  /** Pieces of the file that is put together, and of all files before it. */
  #pieces: FilePiece[] | undefined;
  #before = 0;

  constructor(
    commp: Commp,
    plans: readonly Plan[],
    cuts: readonly Cut[],
    kept: SavedSlices,
    saved: readonly HashedSlice[],
    options: FilesOptions,
  ) {
    this.#commp = commp;
    this.#plans = plans;
    this.#cuts = cuts;
    this.#kept = kept;
    this.#options = options;
    this.#workers = workersFor(options.workers);
    this.#total = plans.reduce((sum, { size }) => sum + size, 0);
    this.#meter = new Meter(options.onProgress);
    for (const slice of saved) {
      const piece = Math.floor(slice.index / SLICES_A_PIECE);
      const of = this.#saved.get(piece) ?? [];
      this.#saved.set(piece, of);
      of.push({ ...slice, index: slice.index % SLICES_A_PIECE });
    }
  }

  /** Hashes all that is not remembered. */
  async run(module: WebAssembly.Module, encryption?: WebAssembly.Module): Promise<void> {
    await hashSlices<FileSlice>({
      module,
      encryption,
      workers: this.#workers,
      names: 'both',
      signal: this.#options.signal,
      slices: this.#slices(),
      onBytes: (bytes, { at }) => {
        this.#count(at, bytes);
        this.#meter.report(this.#done, this.#total);
      },
      onSlice: ({ piece, size, height, index }, names) => {
        this.#open.get(piece)?.names.set(index, names);
        if (size >= WORTH_KEEPING) {
          void this.#kept.add({ height, index: piece * SLICES_A_PIECE + index, names });
        }
        this.#assemble();
      },
      explain: (problem, { at }) => named(SealdropError.from(problem), this.#plans[at]?.path ?? ''),
    });
    // Files without bytes behind the last one are left.
    this.#assemble();
    this.#meter.report(this.#done, this.#total);
  }

  /** Slices that are to be hashed, planned as they are asked for. */
  *#slices(): Generator<FileSlice> {
    let piece = 0;
    for (const [at, { file, sealed, size }] of this.#plans.entries()) {
      const { pieces, step } = this.#cuts[at] as Cut;
      for (let offset = 0; offset < size; offset += step, piece += 1) {
        const bytes = Math.min(step, size - offset);
        const saved = this.#saved.get(piece) ?? [];
        // Enough pieces keep all workers busy; few are shared.
        const division = divide(this.#commp, bytes, pieces >= this.#workers ? 1 : this.#workers, saved);
        const { height, slices } = division;
        const names = new Map(fitting(this.#commp, bytes, division, saved));
        this.#open.set(piece, { slices, names });
        this.#saved.delete(piece);
        for (const index of names.keys()) {
          const [from, to] = this.#commp.slice(bytes, height, index).bytes;
          this.#meter.skip(to - from);
          this.#count(at, to - from);
        }
        for (let index = 0; index < slices; index += 1) {
          if (!names.has(index)) {
            yield { at, piece, file, sealed, offset, size: bytes, height, index };
          }
        }
        this.#assemble();
      }
    }
  }

  /** Counts that so many more bytes of a file are done. */
  #count(at: number, bytes: number): void {
    const total = this.#plans[at]?.size ?? 0;
    const done = (this.#each.get(at) ?? 0) + bytes;
    this.#each.set(at, done);
    this.#done += bytes;
    this.#options.onEach?.({ index: at, done, total });
  }

  /** Puts together what is complete, in order. */
  #assemble(): void {
    for (;;) {
      const at = this.found.length;
      const plan = this.#plans[at];
      if (plan === undefined) {
        return;
      }
      const { path, size } = plan;
      const { pieces: count, step } = this.#cuts[at] as Cut;
      if (this.#pieces === undefined) {
        this.#commp.beginFile(size, this.#options.sectorSize);
        this.#pieces = [];
      }
      const pieces = this.#pieces;
      while (pieces.length < count) {
        const number = this.#before + pieces.length;
        const open = this.#open.get(number);
        if (open === undefined || open.names.size < open.slices) {
          return;
        }
        this.#open.delete(number);
        const names = [...Array(open.slices).keys()].flatMap((index) => open.names.get(index) ?? []);
        pieces.push({ ...this.#commp.addPiece(names), offset: pieces.length * step });
      }
      this.found.push({ path, size, root: this.#commp.finishFile(), pieces });
      this.#before += count;
      this.#pieces = undefined;
      this.#each.delete(at);
    }
  }
}

/** A problem with the file that it is about. */
function named(thrown: unknown, path: string): unknown {
  if (!(thrown instanceof SealdropError)) {
    return thrown;
  }
  const { code, message, hint } = thrown;
  return SealdropError.from({ code, message: `${path}: ${message}`, hint });
}
