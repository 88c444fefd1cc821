/** Backups on the page's side: each call has a worker of its own (`backup-worker.ts`). */

import type { Book, FileToPack, OpensBackup, UnpackedFile } from './backup-module.js';
import { startWorker } from './host.js';
import { callOnce } from './one-call.js';
import type { StoredDeal } from './store.js';

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
  return (await callOnce<BackupCalls>(worker, 'backup', method, args)) as Awaited<ReturnType<BackupCalls[M]>>;
}
