/** Where a client keeps what it keeps: chosen when it is opened, in its network worker. */

import { SealdropError } from './errors.js';
import { KeptDeals } from './kept.js';
import { isNode } from './node.js';
import { lockFolder, openFolder, rootKey } from './node-folder.js';
import { DealStore, type Deals } from './store.js';
import type { StoreChoice } from './types.js';
import { bookName, openAccount, type Secrets } from './vault.js';

/** A place for the root key, and for what belongs to each network. */
export interface Stores {
  /** Those who use the same place know each other by it. */
  readonly name: string;
  readonly accountKeys: () => Promise<Secrets>;
  /** What is kept of the network with this genesis. */
  readonly open: (genesis: string) => Promise<Deals>;
  readonly close: () => void;
}

/**
 * The place that was chosen. Throws `unsupported` where there is none of its kind, `busy` for a folder that another process uses, and `locked`
 * for a database whose account `passphrase` does not open.
 */
export async function storesOf(choice: StoreChoice, passphrase: string | undefined): Promise<Stores> {
  if (choice === 'memory') {
    const root = crypto.getRandomValues(new Uint8Array(32));
    return {
      name: crypto.randomUUID(),
      accountKeys: async () => ({ root }),
      open: async () => new KeptDeals(),
      close: () => undefined,
    };
  }
  if ('folder' in choice) {
    return folderStores(choice.folder);
  }
  const { database } = choice;
  if (!('indexedDB' in globalThis)) {
    throw new SealdropError('unsupported', 'there is no database here', 'Use `{ folder }` or `memory` as the store.');
  }
  const account = await openAccount(database, passphrase);
  return {
    // Each account has a book of its own.
    name: `${database}${account.books}`,
    accountKeys: async () => account,
    open: (genesis) => DealStore.open(bookName(database, account.books, genesis)),
    close: () => undefined,
  };
}

async function folderStores(folder: string): Promise<Stores> {
  if (!isNode()) {
    throw new SealdropError('unsupported', 'a browser keeps nothing in folders', 'Use `{ database }` as the store.');
  }
  const unlock = await lockFolder(folder);
  return {
    name: folder,
    accountKeys: async () => ({ root: await rootKey(folder) }),
    async open(genesis) {
      const { held, behind } = await openFolder(`${folder}/${genesis}`);
      return new KeptDeals(held, behind);
    },
    close: unlock,
  };
}
