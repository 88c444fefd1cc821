/**
 * What outlives the page, in IndexedDB.
 *
 * One database holds the root that the accounts of all networks come from. Beside it, each network has one with its deals,
 * their files until the miner has them, and the messages that were signed for its chain. Every promise resolves when its
 * transaction is durable.
 *
 * Earlier versions kept one signing key for all networks. It stays the account of the networks that it was used with: their
 * databases have no store `BOUND`, which is made with a database or never.
 */

import type { Deal, PieceNode } from './types.js';

/** A deal: `state` is the Rust module's own, `view` what the page sees. */
export interface StoredDeal {
  readonly id: string;
  readonly state: string;
  readonly view: Deal;
}

/** A file that a miner still has to fetch. */
export interface StoredFile {
  readonly id: string;
  readonly blob: Blob;
  readonly nodes: readonly PieceNode[];
}

interface StoredMessage {
  readonly purpose: string;
  readonly message: string;
}

const VERSION = 1;
const KEYS = 'keys';
const DEALS = 'deals';
const FILES = 'files';
const MESSAGES = 'messages';
/** Says that the network's account is derived from the root; it holds nothing. */
const BOUND = 'bound';

function open(name: string, upgrade: (database: IDBDatabase) => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => upgrade(request.result);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
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

/** What this browser's accounts come from. */
export interface Keys {
  readonly root: Uint8Array;
  /** The key that an earlier version signed with on every network. */
  readonly older: Uint8Array | undefined;
}

/** The keys of this browser. The root is made at the first call, the same ever after, also for tabs that call at once. */
export async function accountKeys(databaseName: string): Promise<Keys> {
  const database = await open(databaseName, (fresh) => fresh.createObjectStore(KEYS));
  try {
    const fresh = crypto.getRandomValues(new Uint8Array(32));
    const kept = await transact<Uint8Array>(database, KEYS, 'readwrite', (transaction) => {
      const keys = transaction.objectStore(KEYS);
      // `add` leaves a key that is there already; its error must not undo the transaction.
      keys.add(fresh, 'root').onerror = (event) => {
        event.preventDefault();
        event.stopPropagation();
      };
      return keys.get('root') as IDBRequest<Uint8Array>;
    });
    const older = await transact<Uint8Array | undefined>(database, KEYS, 'readonly', (transaction) =>
      transaction.objectStore(KEYS).get('signing'),
    );
    return { root: kept ?? fresh, older };
  } finally {
    database.close();
  }
}

/** Deals, files and messages of one network. */
export class DealStore {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  static async open(name: string): Promise<DealStore> {
    const database = await open(name, (fresh) => {
      fresh.createObjectStore(DEALS, { keyPath: 'id' });
      fresh.createObjectStore(FILES, { keyPath: 'id' });
      fresh.createObjectStore(MESSAGES, { keyPath: 'purpose' });
      fresh.createObjectStore(BOUND);
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
