/** The page's side of the piece worker: one worker a file, ended when it is done or no longer wanted. */

import { SealdropError } from './errors.js';
import { abortedError, Meter } from './meter.js';
import type { FromPiece } from './protocol.js';
import type { Piece, RunOptions } from './types.js';

/** Computes a file's names in a worker of its own. */
export function computePiece(file: Blob, options: RunOptions): Promise<Piece> {
  if (file.size === 0) {
    return Promise.reject(new SealdropError('empty-file', 'the file is empty', 'Choose a file with at least one byte.'));
  }
  if (options.signal?.aborted) {
    return Promise.reject(abortedError());
  }
  const worker = new Worker(new URL('./piece-worker.js', import.meta.url), { type: 'module', name: 'sealdrop-piece' });
  const meter = new Meter(options.onProgress);
  const work = new Promise<Piece>((resolve, reject) => {
    options.signal?.addEventListener('abort', () => reject(abortedError()), { once: true });
    worker.onerror = (event) => {
      reject(new SealdropError('unsupported', `the piece worker does not run: ${event.message || 'it cannot be loaded'}`));
    };
    worker.onmessage = ({ data }: MessageEvent<FromPiece>) => {
      switch (data.kind) {
        case 'progress':
          return meter.report(data.done, file.size);
        case 'piece':
          return resolve(data.piece);
        case 'problem':
          return reject(SealdropError.from(data.problem));
      }
    };
    worker.postMessage(file);
  });
  return work.finally(() => worker.terminate());
}
