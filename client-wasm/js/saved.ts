/**
 * Slices of files whose hashing was cut short, in IndexedDB: a page that was closed goes on where it was.
 *
 * A file is known by its name, size and time of change (`fileKey`), several by all of theirs (`filesKey`); when one of them differs
 * it is another file. Nothing here is needed: where the browser keeps nothing, everything is hashed again.
 */

import type { HashedSlice } from './types.js';

/** The database's name. */
const DATABASE = 'sealdrop-pieces';
const VERSION = 1;
/** One record a slice, under file and index. */
const SLICES = 'slices';
/** One record a file: when it was last worked on. */
const FILES = 'files';
/** Files that are remembered at once; the one that was left alone the longest goes first. */
const MAX_FILES = 8;

interface StoredFile {
  readonly file: string;
  readonly at: number;
}

interface StoredSlice extends HashedSlice {
  readonly file: string;
}

/** What a file's slices are remembered under. */
export function fileKey(file: File): string {
  return JSON.stringify([file.name, file.size, file.lastModified]);
}

/** What the slices of files are remembered under that are cut for this size of sectors. */
export function filesKey(files: readonly { readonly path: string; readonly file: Blob }[], sector: number): string {
  let size = 0;
  // FNV-1a in two halves: a name of thousands of paths would be a key of a megabyte.
  let [low, high] = [0x811c9dc5, 0x050c5d1f];
  for (const { path, file } of files) {
    size += file.size;
    const changed = file instanceof File ? file.lastModified : 0;
    for (const char of JSON.stringify([path, file.size, changed])) {
      const code = char.codePointAt(0) ?? 0;
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ code, 0x01000197);
    }
  }
  return JSON.stringify([sector, files.length, size, low >>> 0, high >>> 0, files[0]?.path]);
}

/** Remembers the slices of one file, or of files that are hashed together. */
export class SavedSlices {
  readonly #database: IDBDatabase | undefined;
  readonly #file: string;

  private constructor(database: IDBDatabase | undefined, file: string) {
    this.#database = database;
    this.#file = file;
  }

  /** What is remembered of the work with this name; never fails. */
  static async open(key: string): Promise<SavedSlices> {
    return new SavedSlices(await open().catch(() => undefined), key);
  }

  /** The slices from before. */
  async load(): Promise<HashedSlice[]> {
    return (await this.#work<StoredSlice[]>('readonly', (slices) => slices.getAll(this.#all()))) ?? [];
  }

  /** Remembers a slice. */
  async add(slice: HashedSlice): Promise<void> {
    const { height, index, names } = slice;
    await this.#work('readwrite', (slices, files) => {
      const known = files.getAll() as IDBRequest<StoredFile[]>;
      known.onsuccess = () => {
        const others = known.result.filter(({ file }) => file !== this.#file).sort((a, b) => b.at - a.at);
        for (const { file } of others.slice(MAX_FILES - 1)) {
          files.delete(file);
          slices.delete(allOf(file));
        }
      };
      const now: StoredFile = { file: this.#file, at: Date.now() };
      files.put(now);
      const record: StoredSlice = { file: this.#file, height, index, names };
      return slices.put(record);
    });
  }

  /** Forgets the file. */
  async forget(): Promise<void> {
    await this.#work('readwrite', (slices, files) => {
      files.delete(this.#file);
      return slices.delete(this.#all());
    });
  }

  close(): void {
    this.#database?.close();
  }

  #all(): IDBKeyRange {
    return allOf(this.#file);
  }

  /** One transaction; undefined where the browser refuses it. */
  #work<T>(
    mode: IDBTransactionMode,
    work: (slices: IDBObjectStore, files: IDBObjectStore) => IDBRequest,
  ): Promise<T | undefined> {
    return new Promise((resolve) => {
      try {
        const transaction = this.#database?.transaction([SLICES, FILES], mode);
        if (transaction === undefined) {
          return resolve(undefined);
        }
        const request = work(transaction.objectStore(SLICES), transaction.objectStore(FILES));
        transaction.oncomplete = () => resolve(request.result as T);
        transaction.onabort = () => resolve(undefined);
      } catch {
        resolve(undefined);
      }
    });
  }
}

/** The keys of a file's slices. */
function allOf(file: string): IDBKeyRange {
  // Arrays come behind all numbers.
  return IDBKeyRange.bound([file], [file, []]);
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(SLICES, { keyPath: ['file', 'index'] });
      request.result.createObjectStore(FILES, { keyPath: 'file' });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('another version of this page holds the database'));
  });
}
