/** Backups on the page's side: each call has a worker of its own (`backup-worker.ts`). */

import type { Book, FileToPack, OpensBackup, UnpackedFile } from './backup-module.js';
import { SealdropError } from './errors.js';
import { namedWasmFolder, startWorker } from './host.js';
import type { StoredDeal } from './store.js';
import type { Problem } from './types.js';

/** The functions of the worker. */
export interface BackupCalls {
  phraseOf(root: Uint8Array): Promise<string>;
  rootOf(phrase: string): Promise<Uint8Array<ArrayBuffer>>;
  /** An age file. */
  seal(book: Book<string, FileToPack>, by: OpensBackup): Promise<Uint8Array<ArrayBuffer>>;
  open(file: Uint8Array, by: OpensBackup): Promise<Book<StoredDeal, UnpackedFile>>;
  /** Which deals of a backup take the place of those that are here. */
  taking(pairs: readonly (readonly [backed: string, here: string])[]): Promise<boolean[]>;
}

export type ToBackup = {
  readonly method: keyof BackupCalls;
  readonly args: readonly unknown[];
  readonly wasmUrl: string | undefined;
};

export type FromBackup =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** Calls a function of a worker that ends with it. */
export async function withBackups<M extends keyof BackupCalls>(
  method: M,
  ...args: Parameters<BackupCalls[M]>
): Promise<Awaited<ReturnType<BackupCalls[M]>>> {
  const worker = startWorker(
    'backup-worker.js',
    'sealdrop-backup',
    () => new Worker(new URL('./backup-worker.js', import.meta.url), { type: 'module', name: 'sealdrop-backup' }),
  );
  try {
    const answer = await new Promise<FromBackup>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<FromBackup>) => resolve(data);
      worker.onerror = (event) =>
        reject(
          new SealdropError('unsupported', `the backup worker does not run: ${event.message || 'it cannot be loaded'}`),
        );
      const call: ToBackup = { method, args, wasmUrl: namedWasmFolder() };
      worker.postMessage(call);
    });
    if (answer.kind === 'problem') {
      throw SealdropError.from(answer.problem);
    }
    return answer.value as Awaited<ReturnType<BackupCalls[M]>>;
  } finally {
    worker.terminate();
  }
}
