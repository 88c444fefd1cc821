/**
 * What outlives the page, in IndexedDB.
 *
 * One database holds the keys (`vault.ts`). Beside it, each network has one with its deals,
 * their files until the miner has them, and the messages that were signed for its chain. A file of several pieces is kept there once,
 * with its manifest, until all of its copies are at their miners; its deals say which part of it is theirs. Every promise resolves when
 * its transaction is durable.
 *
 * Earlier versions kept one signing key for all networks. It stays the account of the networks that it was used with: their
 * databases have no store `BOUND`, which is made with a database or never.
 */

import { SealdropError } from './errors.js';
import type { FileOpening } from './protocol.js';
import type { Deal, PieceNode } from './types.js';

/** A deal: `state` is the Rust module's own, `view` what the page sees. */
export interface StoredDeal {
  readonly id: string;
  readonly state: string;
  readonly view: Deal;
}

/** What a miner still has to fetch for a deal: a file of its own, or a piece of one that is kept beside it. */
export interface StoredFile {
  readonly id: string;
  readonly blob: Blob | PartOfFile;
  readonly nodes: readonly PieceNode[];
}

/** Bytes of one of the blobs of a file. */
export interface PartOfFile {
  readonly file: string;
  /** The file's place in its folder. */
  readonly at: number;
  readonly offset: number;
  readonly size: number;
}

/** A file or folder; `state` is the Rust module's own. */
export interface StoredFolder {
  readonly id: string;
  readonly state: string;
}

/** What never changes of a file or folder. */
export interface Contents {
  readonly id: string;
  readonly manifest: Uint8Array;
  /** The data CIDs of its pieces: deals about them count for it, whatever they were made for. */
  readonly data: readonly string[];
  /** Of each file's pieces, by where they start. Needed to serve them. */
  readonly nodes: readonly ReadonlyMap<number, readonly PieceNode[]>[];
  /** Of files that are stored encrypted. It is secret, as the files are. */
  readonly sealed?: SealedContents;
}

/** What opens encrypted files, and makes their ciphertext again. */
export interface SealedContents {
  /** The same manifest under the files' own names. */
  readonly shown: Uint8Array;
  /** In the manifest's order. */
  readonly files: readonly FileOpening[];
}

/** Keys of files that are being hashed, kept before they encrypt anything. */
export interface StoredKeys {
  readonly id: string;
  /** The files and to whom they are encrypted: the same again goes on with these keys. Absent with a passphrase, which is not kept. */
  readonly about?: string;
  readonly at: number;
  /** What was kept of each file's encryption, and the bytes of its ciphertext, in the order in which they were handed in. */
  readonly files: readonly { readonly path: string; readonly state: string; readonly size: number }[];
}

/** Where a file is on the disk, and what it was when it was hashed. */
export interface FileOnDisk {
  readonly handle: FileSystemFileHandle;
  readonly size: number;
  readonly lastModified: number;
}

/** One of the files of a folder: its bytes, or where they are. */
interface StoredSource {
  readonly id: string;
  readonly at: number;
  readonly blob?: Blob;
  readonly disk?: FileOnDisk;
}

interface StoredMessage {
  readonly purpose: string;
  readonly message: string;
}

/** Version 2 keeps files of several pieces, too; version 3, keys of files that are encrypted. */
const VERSION = 3;
/** Keys of files that were never stored, at most: the oldest go. */
const MAX_UNUSED_KEYS = 8;
const DEALS = 'deals';
const FILES = 'files';
const MESSAGES = 'messages';
const FOLDERS = 'folders';
const CONTENTS = 'contents';
const SOURCES = 'sources';
/** Keys of files that are not stored yet. */
const SECRETS = 'secrets';
/** Says that the network's account is derived from the root; it holds nothing. */
const BOUND = 'bound';
/** Indexes of the deals: by the data that they are about, and by the file that they are part of. */
const BY_DATA = 'data';
const BY_FILE = 'file';

function open(
  name: string,
  version: number,
  upgrade: (database: IDBDatabase, from: number, transaction: IDBTransaction | null) => void,
): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, version);
    let blocked = false;
    request.onupgradeneeded = ({ oldVersion }) => upgrade(request.result, oldVersion, request.transaction);
    request.onsuccess = () => {
      const database = request.result;
      if (blocked) {
        // Nobody waits for it any more.
        database.close();
        return;
      }
      // A later version of this page would wait for this one for ever.
      database.onversionchange = () => database.close();
      resolve(database);
    };
    request.onerror = () => reject(request.error);
    request.onblocked = () => {
      blocked = true;
      reject(
        new SealdropError(
          'storage',
          'an earlier version of this page is open in another tab',
          'Close the other tabs of this page, and reload it.',
        ),
      );
    };
  });
}

/** Runs `work` in one transaction; gives its request's result once everything is on disk. */
function transact<T>(
  database: IDBDatabase,
  stores: string | string[],
  mode: IDBTransactionMode,
  work: (transaction: IDBTransaction) => IDBRequest<T> | undefined,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(stores, mode, { durability: 'strict' });
    const request = work(transaction);
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => reject(transaction.error ?? new Error('the deal was removed'));
  });
}

/** What keeps deals, files and messages of one network. Backups are taken in by a browser's database alone. */
export type Deals = Omit<DealStore, 'merge'>;

/** The same in the browser's database. */
export class DealStore {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  /** `bound`: whether a book that is made here belongs to an account of the root; one of an earlier version's key does not. */
  static async open(name: string, bound = true): Promise<DealStore> {
    const database = await open(name, VERSION, (fresh, from, transaction) => {
      if (from < 1) {
        fresh.createObjectStore(DEALS, { keyPath: 'id' });
        fresh.createObjectStore(FILES, { keyPath: 'id' });
        fresh.createObjectStore(MESSAGES, { keyPath: 'purpose' });
        if (bound) {
          fresh.createObjectStore(BOUND);
        }
      }
      if (from < 2) {
        const deals = transaction?.objectStore(DEALS);
        deals?.createIndex(BY_DATA, 'view.dataCid');
        deals?.createIndex(BY_FILE, 'view.partOf');
        fresh.createObjectStore(FOLDERS, { keyPath: 'id' });
        fresh.createObjectStore(CONTENTS, { keyPath: 'id' });
        fresh.createObjectStore(SOURCES, { keyPath: ['id', 'at'] });
      }
      fresh.createObjectStore(SECRETS, { keyPath: 'id' });
    });
    return new DealStore(database);
  }

  /** Whether this network was first used by a version that derives its account. */
  get bound(): boolean {
    return this.#database.objectStoreNames.contains(BOUND);
  }

  close(): void {
    this.#database.close();
  }

  async deals(): Promise<StoredDeal[]> {
    const all = await this.#read<StoredDeal[]>(DEALS, (deals) => deals.getAll());
    return all ?? [];
  }

  deal(id: string): Promise<StoredDeal | undefined> {
    return this.#read<StoredDeal | undefined>(DEALS, (deals) => deals.get(id));
  }

  /** The deals about this data. */
  async dealsAbout(dataCid: string): Promise<StoredDeal[]> {
    return (await this.#read<StoredDeal[]>(DEALS, (deals) => deals.index(BY_DATA).getAll(dataCid))) ?? [];
  }

  /** The deals that were made for a file. */
  async dealsOf(file: string): Promise<StoredDeal[]> {
    return (await this.#read<StoredDeal[]>(DEALS, (deals) => deals.index(BY_FILE).getAll(file))) ?? [];
  }

  /** Keeps a new deal together with its file. */
  async create(deal: StoredDeal, file: StoredFile): Promise<void> {
    await transact(this.#database, [DEALS, FILES], 'readwrite', (transaction) => {
      transaction.objectStore(FILES).put(file);
      return transaction.objectStore(DEALS).put(deal);
    });
  }

  /** Keeps a deal's change. Fails for a deal that was removed meanwhile: nothing may be done for it any more. */
  async update(deal: StoredDeal): Promise<void> {
    await transact(this.#database, DEALS, 'readwrite', (transaction) => {
      const deals = transaction.objectStore(DEALS);
      const known = deals.getKey(deal.id);
      known.onsuccess = () => {
        if (known.result === undefined) {
          transaction.abort();
        } else {
          deals.put(deal);
        }
      };
      return undefined;
    });
  }

  async remove(id: string): Promise<void> {
    await transact(this.#database, [DEALS, FILES], 'readwrite', (transaction) => {
      transaction.objectStore(FILES).delete(id);
      return transaction.objectStore(DEALS).delete(id);
    });
  }

  file(id: string): Promise<StoredFile | undefined> {
    return this.#read<StoredFile | undefined>(FILES, (files) => files.get(id));
  }

  async dropFile(id: string): Promise<void> {
    await this.#write(FILES, (files) => files.delete(id));
  }

  async folders(): Promise<StoredFolder[]> {
    const all = await this.#read<StoredFolder[]>(FOLDERS, (folders) => folders.getAll());
    return all ?? [];
  }

  folder(id: string): Promise<StoredFolder | undefined> {
    return this.#read<StoredFolder | undefined>(FOLDERS, (folders) => folders.get(id));
  }

  /** Keeps keys before they encrypt anything. */
  async keepKeys(keys: StoredKeys): Promise<void> {
    await this.#write(SECRETS, (secrets) => {
      const all = secrets.getAll() as IDBRequest<StoredKeys[]>;
      all.onsuccess = () => {
        const others = all.result.filter(({ id }) => id !== keys.id).sort((a, b) => b.at - a.at);
        for (const { id } of others.slice(MAX_UNUSED_KEYS - 1)) {
          secrets.delete(id);
        }
      };
      return secrets.put(keys);
    });
  }

  /** Keys of files that are not stored yet. */
  keys(id: string): Promise<StoredKeys | undefined> {
    return this.#read<StoredKeys | undefined>(SECRETS, (secrets) => secrets.get(id));
  }

  /** The keys that were made for these files before. */
  async keysAbout(about: string): Promise<StoredKeys | undefined> {
    const all = await this.#read<StoredKeys[]>(SECRETS, (secrets) => secrets.getAll());
    return all?.find((keys) => keys.about === about);
  }

  /**
   * Keeps a new file or folder with its bytes, if they are handed in; all of it or, where there is no room, nothing. `keys` are those
   * that it was hashed with: they are its own from now on, and of nothing else. Throws `file-lost` where they are another's by now.
   */
  async createFolder(
    folder: StoredFolder,
    contents: Contents,
    blobs: readonly (Blob | FileOnDisk | undefined)[],
    keys?: string,
  ): Promise<void> {
    let taken = false;
    await transact(this.#database, [FOLDERS, CONTENTS, SOURCES, SECRETS], 'readwrite', (transaction) => {
      if (keys !== undefined) {
        const secrets = transaction.objectStore(SECRETS);
        const known = secrets.getKey(keys);
        known.onsuccess = () => {
          if (known.result === undefined) {
            taken = true;
            transaction.abort();
          }
        };
        secrets.delete(keys);
      }
      const sources = transaction.objectStore(SOURCES);
      for (const [at, blob] of blobs.entries()) {
        if (blob !== undefined) {
          const where = blob instanceof Blob ? { blob } : { disk: blob };
          const source: StoredSource = { id: folder.id, at, ...where };
          sources.put(source);
        }
      }
      transaction.objectStore(CONTENTS).put(contents);
      return transaction.objectStore(FOLDERS).put(folder);
    }).catch((thrown: unknown) => {
      throw taken ? keysGone() : thrown;
    });
  }

  /** Keeps a change of a file or folder; one that was removed meanwhile stays removed. */
  async updateFolder(folder: StoredFolder): Promise<void> {
    await transact(this.#database, FOLDERS, 'readwrite', (transaction) => {
      const folders = transaction.objectStore(FOLDERS);
      const known = folders.getKey(folder.id);
      known.onsuccess = () => {
        if (known.result !== undefined) {
          folders.put(folder);
        }
      };
      return undefined;
    });
  }

  /**
   * Takes records of a backup in, all of them or none. A deal that is here stays unless `replaces` says that the other one takes its place; a file
   * that is here stays. How many are new.
   */
  async merge(
    deals: readonly StoredDeal[],
    files: readonly { readonly folder: StoredFolder; readonly contents: Contents }[],
    replaces: ReadonlySet<string>,
  ): Promise<{ deals: number; files: number }> {
    const added = { deals: 0, files: 0 };
    await transact(this.#database, [DEALS, FOLDERS, CONTENTS], 'readwrite', (transaction) => {
      const kept = transaction.objectStore(DEALS);
      for (const deal of deals) {
        const known = kept.getKey(deal.id);
        known.onsuccess = () => {
          if (known.result === undefined || replaces.has(deal.id)) {
            kept.put(deal);
            added.deals += 1;
          }
        };
      }
      const folders = transaction.objectStore(FOLDERS);
      for (const { folder, contents } of files) {
        const known = folders.getKey(folder.id);
        known.onsuccess = () => {
          if (known.result === undefined) {
            transaction.objectStore(CONTENTS).put(contents);
            folders.put(folder);
            added.files += 1;
          }
        };
      }
      return undefined;
    });
    return added;
  }

  contents(id: string): Promise<Contents | undefined> {
    return this.#read<Contents | undefined>(CONTENTS, (contents) => contents.get(id));
  }

  /** The bytes of one file of a folder, while they are kept, or where they are. */
  async source(id: string, at: number): Promise<Blob | FileOnDisk | undefined> {
    const kept = await this.#read<StoredSource | undefined>(SOURCES, (sources) => sources.get([id, at]));
    return kept?.blob ?? kept?.disk;
  }

  /** Where the files of a folder are on the disk, as far as that is known. */
  async handles(id: string): Promise<FileSystemFileHandle[]> {
    const kept = await this.#read<StoredSource[]>(SOURCES, (sources) => sources.getAll(allOf(id)));
    return (kept ?? []).flatMap(({ disk }) => disk?.handle ?? []);
  }

  /** Lets go of a folder's bytes: all of its copies are at their miners. */
  async dropSources(id: string): Promise<void> {
    await this.#write(SOURCES, (sources) => sources.delete(allOf(id)));
  }

  /** Forgets a file or folder and those of its deals, in one step. */
  async removeFolder(id: string, deals: readonly string[]): Promise<void> {
    const stores = [FOLDERS, CONTENTS, SOURCES, DEALS, FILES];
    await transact(this.#database, stores, 'readwrite', (transaction) => {
      for (const deal of deals) {
        transaction.objectStore(DEALS).delete(deal);
        transaction.objectStore(FILES).delete(deal);
      }
      transaction.objectStore(CONTENTS).delete(id);
      transaction.objectStore(SOURCES).delete(allOf(id));
      return transaction.objectStore(FOLDERS).delete(id);
    });
  }

  async message(purpose: string): Promise<string | undefined> {
    const kept = await this.#read<StoredMessage | undefined>(MESSAGES, (messages) => messages.get(purpose));
    return kept?.message;
  }

  async saveMessage(purpose: string, message: string): Promise<void> {
    const kept: StoredMessage = { purpose, message };
    await this.#write(MESSAGES, (messages) => messages.put(kept));
  }

  async dropMessage(purpose: string): Promise<void> {
    await this.#write(MESSAGES, (messages) => messages.delete(purpose));
  }

  async messages(): Promise<string[]> {
    const all = await this.#read<StoredMessage[]>(MESSAGES, (messages) => messages.getAll());
    return (all ?? []).map((kept) => kept.message);
  }

  #read<T>(store: string, work: (store: IDBObjectStore) => IDBRequest): Promise<T | undefined> {
    return transact<T>(this.#database, store, 'readonly', (transaction) => work(transaction.objectStore(store)));
  }

  async #write(store: string, work: (store: IDBObjectStore) => IDBRequest): Promise<void> {
    await transact(this.#database, store, 'readwrite', (transaction) => work(transaction.objectStore(store)));
  }
}

/** The keys of a folder's bytes. */
function allOf(id: string): IDBKeyRange {
  // Arrays come behind all numbers.
  return IDBKeyRange.bound([id], [id, []]);
}

/** Why files are not stored with keys that are not here. */
export function keysGone(): SealdropError {
  const why = 'the keys that these files were encrypted with are not kept any more';
  return new SealdropError('file-lost', why, 'Prepare the files again.');
}
