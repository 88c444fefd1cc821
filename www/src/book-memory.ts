// The deal book as the page saw it last: what is shown when neither chain nor client answers, so that the book can be read offline. The
// client's own store is what is true; this is a copy to look at, and goes with the site's data.

import type { Deal, StoredFile } from 'sealdrop-client';

export interface Book {
  /** The chain that it belongs to. */
  readonly chain: string;
  /** The browser's name for the account that it belongs to; absent where an earlier version kept it. */
  readonly account?: string | undefined;
  readonly deals: Deal[];
  readonly files: StoredFile[];
}

const DATABASE = 'sealdrop-page';
const STORE = 'book';
const KEY = 'last';
/** Milliseconds from a change until it is kept: deals change often while they are under way. */
const KEEP_MS = 2_000;

let next: Book | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Keeps the book, a moment later. */
export function keepBook(book: Book): void {
  const known = next;
  next = book;
  if (timer !== undefined || (known?.deals === book.deals && known.files === book.files)) return;
  timer = setTimeout(keepNow, KEEP_MS);
}

function keepNow(): void {
  if (timer === undefined) return;
  clearTimeout(timer);
  timer = undefined;
  // Without it nothing is lost but a look at the book offline.
  if (next) void within('readwrite', (store) => store.put(next, KEY)).catch(() => undefined);
}

// A tab that is put away may never be heard of again.
addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden') keepNow();
});

/** The last book that was kept, if it is of this chain and this account; of whichever, where none is known. */
export async function lastBook(chain: string | undefined, account: string | undefined): Promise<Book | undefined> {
  try {
    const book = (await within('readonly', (store) => store.get(KEY))) as Book | undefined;
    const isOf = (one: string | undefined, other: string | undefined) => !one || !other || one === other;
    return book && isOf(chain, book.chain) && isOf(account, book.account) ? book : undefined;
  } catch {
    return undefined;
  }
}

/** Does one thing in the store. */
async function within(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = (await settled(opening)) as IDBDatabase;
  try {
    return await settled(work(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function settled(request: IDBRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
