/** Where a client keeps what it keeps: chosen when it is opened, in its network worker. */

import { SealdropError } from './errors.js';
import { KeptDeals } from './kept.js';
import { isNode } from './node.js';
import { lockFolder, openFolder, rootKey } from './node-folder.js';
import { accountKeys, DealStore, type Deals, type Keys } from './store.js';
import type { StoreChoice } from './types.js';

/** A place for the root key, and for what belongs to each network. */
export interface Stores {
  /** Those who use the same place know each other by it. */
  readonly name: string;
  readonly accountKeys: () => Promise<Keys>;
  /** What is kept of the network with this genesis. */
  readonly open: (genesis: string) => Promise<Deals>;
  readonly close: () => void;
}

/** The place that was chosen. Throws `unsupported` where there is none of its kind, and `busy` for a folder that another process uses. */
export async function storesOf(choice: StoreChoice): Promise<Stores> {
  if (choice === 'memory') {
    const root = crypto.getRandomValues(new Uint8Array(32));
    return {
      name: crypto.randomUUID(),
      accountKeys: async () => ({ root, older: undefined }),
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
  return {
    name: database,
    accountKeys: () => accountKeys(database),
    open: (genesis) => DealStore.open(`${database}@${genesis}`),
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
    accountKeys: async () => ({ root: await rootKey(folder), older: undefined }),
    async open(genesis) {
      const { held, behind } = await openFolder(`${folder}/${genesis}`);
      return new KeptDeals(held, behind);
    },
    close: unlock,
  };
}
