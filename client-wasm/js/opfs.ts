/**
 * Copies of files in the origin's private file system, made where a person wishes that: of files that are too large to be copied without a
 * word, so that they go on after a reload without being chosen again. In the network worker.
 *
 * A copy is made before anything is ordered, so that nothing is paid where it fails, and removed when all of the file's copies are at
 * their miners or when the file is forgotten. What a tab left that was closed in the middle is removed by the next one that leads.
 */

import { SealdropError } from './errors.js';
import { abortedError } from './meter.js';
import type { FileOnDisk } from './store.js';

/** The folder of all copies, with one in it for each network, and in that one for each file. */
const FOLDER = 'sealdrop-copies';
/** Bytes that a copy leaves free: deals and keys are kept in the same quota. */
const RESERVE_BYTES = 256 * 2 ** 20;
/** Bytes that are written at once: the worker does nothing else meanwhile. */
const WRITE_BYTES = 4 * 2 ** 20;

/** How a copy is followed and stopped. */
export interface Copying {
  readonly onBytes: (done: number) => void;
  readonly stopped: () => boolean;
}

/**
 * Bytes that a copy may have in this browser at present (`keep: 'opfs'`); 0 where it has no private file system, such as in a page that is not
 * served securely. The browser tells it roughly.
 */
export async function roomForCopy(): Promise<number> {
  const storage = globalThis.navigator?.storage;
  if (typeof storage?.getDirectory !== 'function') {
    return 0;
  }
  const { quota = 0, usage = 0 } = await storage.estimate();
  return Math.max(0, quota - usage - RESERVE_BYTES);
}

/** The copies of one network's files. */
export class OpfsCopies {
  readonly #network: string;

  constructor(network: string) {
    // Folders have names that a database need not have.
    this.#network = encodeURIComponent(network);
  }

  /** Copies all bytes of a file or folder; all of them or, where there is no room or it is stopped, none. */
  async make(id: string, blobs: readonly Blob[], { onBytes, stopped }: Copying): Promise<FileOnDisk[]> {
    const size = blobs.reduce((sum, blob) => sum + blob.size, 0);
    const room = await roomForCopy();
    if (size > room) {
      throw noRoomForCopy(size, room);
    }
    return this.#alone(id, async () => {
      const folder = await (await this.#folder(true)).getDirectoryHandle(id, { create: true });
      const made: FileOnDisk[] = [];
      let done = 0;
      try {
        for (const [at, blob] of blobs.entries()) {
          const handle = await folder.getFileHandle(String(at), { create: true });
          for await (const bytes of writing(handle, blob)) {
            if (stopped()) {
              throw abortedError();
            }
            done += bytes;
            onBytes(done);
          }
          const { size, lastModified } = await handle.getFile();
          made.push({ handle, size, lastModified });
        }
        return made;
      } catch (thrown) {
        await this.remove(id);
        // What the browser says of its room is a guess, and here it was wrong.
        throw isQuota(thrown) ? noRoomForCopy(size, 0) : thrown;
      }
    });
  }

  /** Lets go of a file's copy, if there is one. */
  async remove(id: string): Promise<void> {
    const folder = await this.#folder(false).catch(() => undefined);
    // There is none of most files.
    await folder?.removeEntry(id, { recursive: true }).catch(() => undefined);
  }

  /** Removes what no file needs: `needed` says of which it is. */
  async sweep(needed: (id: string) => Promise<boolean>): Promise<void> {
    const folder = await this.#folder(false).catch(() => undefined);
    for await (const id of folder?.keys() ?? []) {
      await this.#alone(
        id,
        async () => {
          if (!(await needed(id))) {
            await this.remove(id);
          }
        },
        true,
      );
    }
  }

  async #folder(create: boolean): Promise<FileSystemDirectoryHandle> {
    const root = await navigator.storage.getDirectory();
    const all = await root.getDirectoryHandle(FOLDER, { create });
    return all.getDirectoryHandle(this.#network, { create });
  }

  /** Does something with a file's copy that no other tab does; not at all where one does, if it is only to be done `ifFree`. */
  #alone<T>(id: string, work: () => Promise<T>, ifFree = false): Promise<T> {
    const name = `${FOLDER}/${this.#network}/${id}`;
    return navigator.locks.request(name, { ifAvailable: ifFree }, (lock) =>
      lock === null ? (Promise.resolve() as Promise<T>) : work(),
    ) as Promise<T>;
  }
}

/** Writes a file bit by bit, and gives how much each was. It is durable when that has ended. */
async function* writing(handle: FileSystemFileHandle, blob: Blob): AsyncGenerator<number> {
  const file = await (handle as SyncFileHandle).createSyncAccessHandle();
  try {
    file.truncate(0);
    for (let at = 0; at < blob.size; at += WRITE_BYTES) {
      const bytes = new Uint8Array(await blob.slice(at, at + WRITE_BYTES).arrayBuffer());
      if (file.write(bytes, { at }) !== bytes.length) {
        throw new DOMException('a part was not written', 'QuotaExceededError');
      }
      yield bytes.length;
    }
    file.flush();
  } finally {
    file.close();
  }
}

/** What workers have, and the types of a page do not know. */
interface SyncFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<{
    truncate(size: number): void;
    write(bytes: Uint8Array, options: { at: number }): number;
    flush(): void;
    close(): void;
  }>;
}

function isQuota(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === 'QuotaExceededError';
}

function noRoomForCopy(size: number, room: number): SealdropError {
  const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return new SealdropError(
    'storage',
    room === 0
      ? `this browser has no room for a copy of ${mib(size)}, or lets this page make none`
      : `a copy takes ${mib(size)}, and this browser has ${mib(room)} left for this page`,
    'Store it without a copy, or free some disk space. Nothing was kept, and nothing paid.',
  );
}
