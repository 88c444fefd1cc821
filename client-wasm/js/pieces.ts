/** A file's names, computed by workers in slices, and put together here. */

import type { Division } from './commp.js';
import { Commp, DIGEST_BYTES, LEAF_BYTES, NAMES_HEAD } from './commp.js';
import { problemOf, SealdropError } from './errors.js';
import { nameAssets, postable } from './host.js';
import { abortedError, Meter } from './meter.js';
import { hashSlices, workersFor } from './pool.js';
import { fileKey, SavedSlices } from './saved.js';
import type { HashedSlice, Piece, PieceOptions } from './types.js';

let compiled: Promise<WebAssembly.Module> | undefined;

/** The hashing module, compiled once in a page. */
export function hashingModule(): Promise<WebAssembly.Module> {
  compiled ??= Commp.compile().catch((error: unknown) => {
    // It may be there the next time.
    compiled = undefined;
    throw error;
  });
  return compiled;
}

/**
 * Computes a file's CommP and data root in one pass, in workers of its own that are ended with the call.
 *
 * Throws `empty-file`, `file-unreadable` (also when the file changes meanwhile, or stays silent for half a minute),
 * `aborted`, or `unsupported` in browsers without WebAssembly's vector instructions.
 */
export async function computePiece(file: Blob, options: PieceOptions = {}): Promise<Piece> {
  const { signal } = options;
  nameAssets(options);
  // Only once: the size of a file on disk changes with it.
  const { size } = file;
  if (size === 0) {
    await readEmpty(file);
    throw new SealdropError('empty-file', 'the file is empty', 'Choose a file with at least one byte.');
  }
  if (signal?.aborted) {
    throw abortedError();
  }
  const { blobs, release } = await postable([file]);
  try {
    return await hashPiece(blobs[0] ?? file, size, options);
  } finally {
    await release();
  }
}

async function hashPiece(file: Blob, size: number, options: PieceOptions): Promise<Piece> {
  const { signal, onProgress, onSlice, saved = [] } = options;
  const module = await hashingModule();
  const commp = await Commp.load(module);
  const workers = workersFor(options.workers);
  const division = divide(commp, size, workers, saved);
  const { height, slices } = division;
  const names = new Map(fitting(commp, size, division, saved));
  let done = 0;
  for (const index of names.keys()) {
    const [from, to] = commp.slice(size, height, index).bytes;
    done += to - from;
  }
  const meter = new Meter(onProgress, done);
  const missing = [...Array(slices).keys()].filter((index) => !names.has(index));
  await hashSlices({
    module,
    workers: Math.min(workers, missing.length),
    names: 'both',
    signal,
    slices: missing.map((index) => ({ file, offset: 0, size, height, index })),
    onBytes: (bytes) => {
      done += bytes;
      meter.report(done, size);
    },
    onSlice: ({ index }, found) => {
      names.set(index, found);
      onSlice?.({ height, index, names: found });
    },
  });
  return commp.assemble(
    size,
    [...Array(slices).keys()].flatMap((index) => names.get(index) ?? []),
  );
}

/**
 * Like `computePiece`, and remembers in this browser how far it is: called again with the same file (by name, size and
 * time of change), after a reload or a crash, it goes on there. What is remembered goes when the file is done.
 */
export async function resumePiece(file: File | Blob, options: PieceOptions = {}): Promise<Piece> {
  if (!(file instanceof File) || file.size === 0) {
    return computePiece(file, options);
  }
  const kept = await SavedSlices.open(fileKey(file));
  try {
    const saved = options.saved ?? (await kept.load());
    const onSlice = (slice: HashedSlice): void => {
      void kept.add(slice);
      options.onSlice?.(slice);
    };
    const piece = await computePiece(file, { ...options, saved, onSlice });
    await kept.forget();
    return piece;
  } catch (error) {
    // What was remembered does not fit together: the next try must not meet it again.
    if (error instanceof SealdropError && error.code === 'bad-argument') {
      await kept.forget();
    }
    throw error;
  } finally {
    kept.close();
  }
}

/** A file that is gone has no bytes either; then this throws. */
export async function readEmpty(file: Blob): Promise<void> {
  await file.arrayBuffer().catch((error: unknown) => {
    throw SealdropError.from(problemOf(error));
  });
}

/** The division of the saved slices where there are any, else a new one. */
export function divide(commp: Commp, size: number, workers: number, saved: readonly HashedSlice[]): Division {
  const usual = commp.divide(size, workers);
  const height = saved[0]?.height ?? usual.height;
  try {
    return height === usual.height ? usual : commp.divide(size, workers, height);
  } catch {
    return usual;
  }
}

/** The saved slices that belong to a file of this size and division. */
export function* fitting(
  commp: Commp,
  size: number,
  division: Division,
  saved: readonly HashedSlice[],
): Generator<[number, Uint8Array]> {
  for (const { height, index, names } of saved) {
    if (height !== division.height || !Number.isInteger(index) || index < 0 || index >= division.slices) {
      continue;
    }
    const [from, to] = commp.slice(size, height, index).leaves;
    if (names.length === NAMES_HEAD + Math.ceil((to - from) / LEAF_BYTES) * DIGEST_BYTES) {
      yield [index, names];
    }
  }
}
