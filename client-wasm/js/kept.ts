/**
 * Deals, files and messages of one network where there is no database of a browser: in memory, and in a folder behind it if there is one.
 *
 * What it keeps is what `store.ts` keeps, and it answers as that does.
 */

import type { Contents, Deals, FileOnDisk, StoredDeal, StoredFile, StoredFolder, StoredKeys } from './store.js';
import { keysGone } from './store.js';

/** Keys of files that were never stored, at most: the oldest go. */
const MAX_UNUSED_KEYS = 8;

/** One of the files of a folder. */
export interface StoredSource {
  readonly id: string;
  readonly at: number;
  readonly blob: Blob | FileOnDisk;
}

interface StoredMessage {
  readonly purpose: string;
  readonly message: string;
}

/** What is kept, by kind. */
export interface Tables {
  readonly deals: StoredDeal;
  readonly files: StoredFile;
  readonly messages: StoredMessage;
  readonly folders: StoredFolder;
  readonly contents: Contents;
  readonly sources: StoredSource;
  readonly secrets: StoredKeys;
}

export type Table = keyof Tables;

/** What outlives the memory. A write is durable when it resolves, and gives what is to be held of it. */
export interface Behind {
  readonly write: <T extends Table>(table: T, key: string, record: Tables[T]) => Promise<Tables[T]>;
  readonly remove: (table: Table, key: string) => Promise<void>;
  readonly close: () => void;
}

/** Nothing does. */
export const nothingBehind: Behind = {
  write: (_table, _key, record) => Promise.resolve(record),
  remove: () => Promise.resolve(),
  close: () => undefined,
};

/** What is held of each kind. */
export type Held = { readonly [T in Table]: Map<string, Tables[T]> };

export function nothingHeld(): Held {
  return {
    deals: new Map(),
    files: new Map(),
    messages: new Map(),
    folders: new Map(),
    contents: new Map(),
    sources: new Map(),
    secrets: new Map(),
  };
}

const sourceKey = (id: string, at: number): string => `${id}/${at}`;

export class KeptDeals implements Deals {
  /** No earlier version kept anything here. */
  readonly bound = true;
  readonly #held: Held;
  readonly #behind: Behind;

  constructor(held: Held = nothingHeld(), behind: Behind = nothingBehind) {
    this.#held = held;
    this.#behind = behind;
  }

  close(): void {
    this.#behind.close();
  }

  async deals(): Promise<StoredDeal[]> {
    return [...this.#held.deals.values()];
  }

  async deal(id: string): Promise<StoredDeal | undefined> {
    return this.#held.deals.get(id);
  }

  async dealsAbout(dataCid: string): Promise<StoredDeal[]> {
    return (await this.deals()).filter(({ view }) => view.dataCid === dataCid);
  }

  async dealsOf(file: string): Promise<StoredDeal[]> {
    return (await this.deals()).filter(({ view }) => view.partOf === file);
  }

  async create(deal: StoredDeal, file: StoredFile): Promise<void> {
    // FAIL: between the two a file is kept that no deal is about.
    // THEN: it is let go of when the folder is opened again.
    await this.#put('files', file.id, file);
    await this.#put('deals', deal.id, deal);
  }

  async update(deal: StoredDeal): Promise<void> {
    if (!this.#held.deals.has(deal.id)) {
      throw new Error('the deal was removed');
    }
    await this.#put('deals', deal.id, deal);
  }

  async remove(id: string): Promise<void> {
    await this.#drop('deals', id);
    await this.#drop('files', id);
  }

  async file(id: string): Promise<StoredFile | undefined> {
    return this.#held.files.get(id);
  }

  dropFile(id: string): Promise<void> {
    return this.#drop('files', id);
  }

  async folders(): Promise<StoredFolder[]> {
    return [...this.#held.folders.values()];
  }

  async folder(id: string): Promise<StoredFolder | undefined> {
    return this.#held.folders.get(id);
  }

  async keepKeys(keys: StoredKeys): Promise<void> {
    const others = [...this.#held.secrets.values()].filter(({ id }) => id !== keys.id).sort((a, b) => b.at - a.at);
    for (const { id } of others.slice(MAX_UNUSED_KEYS - 1)) {
      await this.#drop('secrets', id);
    }
    await this.#put('secrets', keys.id, keys);
  }

  async keys(id: string): Promise<StoredKeys | undefined> {
    return this.#held.secrets.get(id);
  }

  async keysAbout(about: string): Promise<StoredKeys | undefined> {
    return [...this.#held.secrets.values()].find((keys) => keys.about === about);
  }

  async createFolder(
    folder: StoredFolder,
    contents: Contents,
    blobs: readonly (Blob | FileOnDisk | undefined)[],
    keys?: string,
  ): Promise<void> {
    if (keys !== undefined && !this.#held.secrets.has(keys)) {
      throw keysGone();
    }
    const { id } = folder;
    try {
      for (const [at, blob] of blobs.entries()) {
        if (blob !== undefined) {
          await this.#put('sources', sourceKey(id, at), { id, at, blob });
        }
      }
      await this.#put('contents', id, contents);
      // FAIL: until it is there, nothing refers to the rest.
      // THEN: it is let go of here, or when the folder is opened again.
      await this.#put('folders', id, folder);
    } catch (thrown) {
      await this.dropSources(id).catch(() => undefined);
      await this.#drop('contents', id).catch(() => undefined);
      throw thrown;
    }
    if (keys !== undefined) {
      await this.#drop('secrets', keys);
    }
  }

  async updateFolder(folder: StoredFolder): Promise<void> {
    if (this.#held.folders.has(folder.id)) {
      await this.#put('folders', folder.id, folder);
    }
  }

  async contents(id: string): Promise<Contents | undefined> {
    return this.#held.contents.get(id);
  }

  async source(id: string, at: number): Promise<Blob | FileOnDisk | undefined> {
    return this.#held.sources.get(sourceKey(id, at))?.blob;
  }

  async handles(): Promise<FileSystemFileHandle[]> {
    return [];
  }

  async dropSources(id: string): Promise<void> {
    for (const source of [...this.#held.sources.values()]) {
      if (source.id === id) {
        await this.#drop('sources', sourceKey(id, source.at));
      }
    }
  }

  async removeFolder(id: string, deals: readonly string[]): Promise<void> {
    await this.#drop('folders', id);
    for (const deal of deals) {
      await this.remove(deal);
    }
    await this.dropSources(id);
    await this.#drop('contents', id);
  }

  async message(purpose: string): Promise<string | undefined> {
    return this.#held.messages.get(purpose)?.message;
  }

  saveMessage(purpose: string, message: string): Promise<void> {
    return this.#put('messages', purpose, { purpose, message });
  }

  dropMessage(purpose: string): Promise<void> {
    return this.#drop('messages', purpose);
  }

  async messages(): Promise<string[]> {
    return [...this.#held.messages.values()].map(({ message }) => message);
  }

  async #put<T extends Table>(table: T, key: string, record: Tables[T]): Promise<void> {
    const kept = await this.#behind.write(table, key, record);
    (this.#held[table] as Map<string, Tables[T]>).set(key, kept);
  }

  async #drop(table: Table, key: string): Promise<void> {
    if (this.#held[table].delete(key)) {
      await this.#behind.remove(table, key);
    }
  }
}
