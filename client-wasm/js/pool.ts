/** The page's side of the piece workers: gives slices to whoever has nothing to do, and ends all workers with the work. */

import { SealdropError } from './errors.js';
import { startWorker } from './host.js';
import { abortedError } from './meter.js';
import type { FromPiece, SliceOrder, ToPiece } from './protocol.js';
import type { Problem } from './types.js';

/**
 * Most workers for one call. The browser reads files in one process, which gives about as much as four fast cores hash;
 * each worker costs some ten MB.
 */
const MAX_WORKERS = 8;
/** Where the browser does not tell how many cores there are. */
const USUAL_CORES = 2;

/** What is to be hashed, and who is told. */
export interface PoolJob<T extends SliceOrder> {
  readonly module: WebAssembly.Module;
  /** The module that encrypts, where a slice is to be hashed encrypted. */
  readonly encryption?: WebAssembly.Module | undefined;
  /** What to hash, given out in order; asked for as workers have nothing to do, so that it may be long. */
  readonly slices: Iterable<T>;
  /** Workers at once, at most; no more than there are slices. */
  readonly workers: number;
  readonly names: 'both' | 'commp';
  readonly signal?: AbortSignal | undefined;
  /** So many more bytes are hashed. */
  readonly onBytes: (bytes: number, slice: T) => void;
  readonly onSlice: (slice: T, names: Uint8Array) => void;
  /** What to throw for a problem with a slice, instead of the problem as it is. */
  readonly explain?: (problem: Problem, slice: T) => unknown;
}

/** How many workers there will be; without a wish, as many as the processor has cores. */
export function workersFor(wish = globalThis.navigator?.hardwareConcurrency || USUAL_CORES): number {
  return Math.max(1, Math.min(Math.floor(wish), MAX_WORKERS));
}

/** Hashes slices; resolves when all are done. No worker is left behind, however it ends. */
export async function hashSlices<T extends SliceOrder>(job: PoolJob<T>): Promise<void> {
  const pool = new Pool(job);
  try {
    await pool.run();
  } finally {
    pool.end();
  }
}

/** Some workers, and the slices that they have. */
class Pool<T extends SliceOrder> {
  readonly #job: PoolJob<T>;
  readonly #waiting: Iterator<T>;
  readonly #given = new Map<number, T>();
  readonly #workers: Worker[] = [];
  readonly #over = new AbortController();
  #next: IteratorResult<T>;
  #count = 0;

  constructor(job: PoolJob<T>) {
    this.#job = job;
    this.#waiting = job.slices[Symbol.iterator]();
    this.#next = this.#waiting.next();
  }

  async run(): Promise<void> {
    const { signal, workers } = this.#job;
    if (this.#next.done) {
      return;
    }
    await new Promise<void>((resolve, reject) => {
      if (signal?.aborted) {
        return reject(abortedError());
      }
      signal?.addEventListener('abort', () => reject(abortedError()), { once: true, signal: this.#over.signal });
      while (this.#workers.length < workers && !this.#next.done) {
        this.#give(this.#start(resolve, reject));
      }
    });
  }

  end(): void {
    this.#over.abort();
    for (const worker of this.#workers) {
      worker.terminate();
    }
  }

  #start(done: () => void, failed: (error: unknown) => void): Worker {
    const worker = startWorker(
      'piece-worker.js',
      'sealdrop-piece',
      () => new Worker(new URL('./piece-worker.js', import.meta.url), { type: 'module', name: 'sealdrop-piece' }),
    );
    this.#workers.push(worker);
    worker.onerror = (event) => {
      failed(
        new SealdropError('unsupported', `the piece worker does not run: ${event.message || 'it cannot be loaded'}`),
      );
    };
    worker.onmessage = ({ data }: MessageEvent<FromPiece>) => {
      try {
        this.#hear(worker, data);
      } catch (thrown) {
        failed(thrown);
      }
      if (this.#next.done && this.#given.size === 0) {
        done();
      }
    };
    const { module, encryption, names } = this.#job;
    const start: ToPiece = { kind: 'start', module, encryption, names };
    worker.postMessage(start);
    return worker;
  }

  #hear(worker: Worker, message: FromPiece): void {
    switch (message.kind) {
      case 'next':
        this.#give(worker);
        return;
      case 'progress': {
        const slice = this.#given.get(message.task);
        if (slice) {
          this.#job.onBytes(message.done, slice);
        }
        return;
      }
      case 'slice': {
        const slice = this.#given.get(message.task);
        this.#given.delete(message.task);
        if (slice) {
          this.#job.onSlice(slice, message.names);
        }
        return;
      }
      case 'problem': {
        const slice = message.task === undefined ? undefined : this.#given.get(message.task);
        const { explain } = this.#job;
        throw slice && explain ? explain(message.problem, slice) : SealdropError.from(message.problem);
      }
    }
  }

  #give(worker: Worker): void {
    if (this.#next.done) {
      return;
    }
    const task = this.#count;
    this.#count += 1;
    const slice = this.#next.value;
    this.#given.set(task, slice);
    this.#next = this.#waiting.next();
    const { file, sealed, offset, size, height, index } = slice;
    const order: ToPiece = { kind: 'slice', task, file, sealed, offset, size, height, index };
    worker.postMessage(order);
  }
}
