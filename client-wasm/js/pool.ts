/** The page's side of the piece workers: gives slices to whoever has nothing to do, and ends all workers with the work. */

import { SealdropError } from './errors.js';
import { abortedError } from './meter.js';
import type { FromPiece, ToPiece } from './protocol.js';

/**
 * Most workers for one file. The browser reads files in one process, which gives about as much as four fast cores hash;
 * each worker costs some ten MB.
 */
const MAX_WORKERS = 8;
/** Where the browser does not tell how many cores there are. */
const USUAL_CORES = 2;

/** What is to be hashed, and who is told. */
export interface PoolJob {
  readonly file: Blob;
  /** Its bytes when the work began. */
  readonly size: number;
  readonly module: WebAssembly.Module;
  /** Names the file's division. */
  readonly height: number;
  /** Indexes of the slices to hash. */
  readonly slices: readonly number[];
  readonly workers: number;
  readonly names: 'both' | 'commp';
  readonly signal?: AbortSignal | undefined;
  /** So many more bytes are hashed. */
  readonly onBytes: (bytes: number) => void;
  readonly onSlice: (index: number, names: Uint8Array) => void;
}

/** How many workers there will be; without a wish, as many as the processor has cores. */
export function workersFor(wish = navigator.hardwareConcurrency || USUAL_CORES): number {
  return Math.max(1, Math.min(Math.floor(wish), MAX_WORKERS));
}

/** Hashes slices; resolves when all are done. No worker is left behind, however it ends. */
export async function hashSlices(job: PoolJob): Promise<void> {
  if (job.slices.length === 0) {
    return;
  }
  const workers: Worker[] = [];
  const over = new AbortController();
  try {
    await new Promise<void>((resolve, reject) => {
      if (job.signal?.aborted) {
        return reject(abortedError());
      }
      job.signal?.addEventListener('abort', () => reject(abortedError()), { once: true, signal: over.signal });
      const waiting = job.slices.values();
      let left = job.slices.length;
      const done = (index: number, names: Uint8Array): void => {
        job.onSlice(index, names);
        left -= 1;
        if (left === 0) {
          resolve();
        }
      };
      const count = Math.min(job.workers, left);
      for (let number = 0; number < count; number += 1) {
        workers.push(startWorker(job, waiting, done, reject));
      }
    });
  } finally {
    over.abort();
    for (const worker of workers) {
      worker.terminate();
    }
  }
}

function startWorker(
  job: PoolJob,
  waiting: Iterator<number>,
  done: (index: number, names: Uint8Array) => void,
  failed: (error: SealdropError) => void,
): Worker {
  const worker = new Worker(new URL('./piece-worker.js', import.meta.url), { type: 'module', name: 'sealdrop-piece' });
  const post = (message: ToPiece): void => worker.postMessage(message);
  worker.onerror = (event) => {
    failed(
      new SealdropError('unsupported', `the piece worker does not run: ${event.message || 'it cannot be loaded'}`),
    );
  };
  worker.onmessage = ({ data }: MessageEvent<FromPiece>) => {
    switch (data.kind) {
      case 'next': {
        const next = waiting.next();
        if (!next.done) {
          post({ kind: 'slice', index: next.value });
        }
        return;
      }
      case 'progress':
        return job.onBytes(data.done);
      case 'slice':
        return done(data.index, data.names);
      case 'problem':
        return failed(SealdropError.from(data.problem));
    }
  };
  const { module, file, size, height, names } = job;
  post({ kind: 'start', module, file, size, height, names });
  return worker;
}
