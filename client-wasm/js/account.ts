/**
 * The accounts of this browser: put into safety, locked, and restored. Works without a client and without a chain, where IndexedDB is.
 *
 * ```ts
 * import * as account from 'sealdrop-client/account';
 *
 * const words = await account.phrase();
 * const file = await account.backup();
 * ```
 *
 * An account is its root key: 24 words say it, and every network's address follows from it. A backup file holds the deal book beside it: deals, files
 * with their manifests, and the keys of files that were encrypted here. Deals that a wallet paid for are in it, too: what signs for their channels comes
 * from the root, and the wallet is only asked for new ones. What a browser keeps can be cleared; the words and a file bring it back:
 *
 * | | the words alone | the words and a file |
 * |-|-|-|
 * | address and money on every network | yes | yes |
 * | deals, files by name, keys of encrypted files | no: the chain knows channels and miners, not names and keys | yes |
 * | a file whose id (CID) is known, stored `withManifest` | yes, from the miners | yes |
 * | bytes that no miner had yet | no | no |
 *
 * What was restored is seen by the next client: close the one that there is, and make another.
 *
 * @packageDocumentation
 */

import { withBackups } from './backups.js';
import { hex, unhex } from './bytes.js';
import { DATABASE } from './database.js';
import { SealdropError } from './errors.js';
import { type AssetOptions, nameAssets } from './host.js';
import { type Contents, DealStore, type StoredDeal } from './store.js';
import {
  type AccountInfo,
  accounts as accountsOf,
  addAccount,
  bookName,
  setPassphrase as lockWith,
  noteBackup,
  type OpenAccount,
  openAccount,
  type Secrets,
  switchAccount,
  type Taking,
} from './vault.js';

export { type MoreOfError, SealdropError } from './errors.js';
export type { AssetOptions } from './host.js';
export type { AccountInfo, Backups } from './vault.js';
export { LEAST_PASSPHRASE } from './vault.js';

/** Bytes of a backup file, at most. */
const MAX_FILE_BYTES = 65 << 20;

/** Whose accounts. */
export interface AccountOptions extends AssetOptions {
  /** The database that a client is made with as its `store`; `sealdrop` when left out. */
  readonly database?: string | undefined;
  /** The account's own passphrase, where it is locked. */
  readonly passphrase?: string | undefined;
}

/** How a backup file is opened. */
export interface BackupOptions extends AccountOptions {
  /** Opens the file in place of the recovery phrase. */
  readonly filePassphrase?: string | undefined;
}

/** What is restored from. A file is opened with the phrase, with its passphrase, or else by the account that is used here. */
export interface RestoreFrom {
  readonly phrase?: string | undefined;
  readonly file?: Blob | undefined;
  readonly filePassphrase?: string | undefined;
}

/** What came back. */
export interface Restored {
  /** The account, which is used from now on. */
  readonly account: string;
  /** Whether it was here already. */
  readonly known: boolean;
  /** When the file was made. */
  readonly madeAt?: number;
  /** What is new here, by the networks' genesis ids. */
  readonly networks: readonly {
    readonly genesis: string;
    /** Whose deals they are, where a wallet or another signer paid. */
    readonly signer?: string;
    readonly deals: number;
    readonly files: number;
  }[];
}

/** Names the database that is asked; there is none in Node, whose folders keep one key each. */
function databaseOf({ database = DATABASE, ...assets }: AccountOptions): string {
  if (!('indexedDB' in globalThis)) {
    throw new SealdropError(
      'unsupported',
      'there is no database here',
      'In Node, the file `root` of the store is the account.',
    );
  }
  nameAssets(assets);
  return database;
}

/** The accounts of this browser; there is one, which is made where there was none. */
export async function accounts(options: AccountOptions = {}): Promise<AccountInfo[]> {
  return accountsOf(databaseOf(options));
}

/** The networks that a client of this browser has been opened on, by their genesis ids. */
export async function networks(options: AccountOptions = {}): Promise<string[]> {
  const name = databaseOf(options);
  const found = ((await indexedDB.databases?.()) ?? []).flatMap((database) => database.name ?? []);
  const books = found.filter((book) => book.startsWith(`${name}@`) || book.startsWith(`${name}~`));
  return [...new Set(books.flatMap((book) => /@([^-]+)/.exec(book)?.[1] ?? []))];
}

/** Uses another of the accounts that are here, from the next client on. */
export async function use(account: string, options: AccountOptions = {}): Promise<void> {
  return switchAccount(databaseOf(options), account);
}

/** The 24 words of the account: whoever has them has its money. Throws `locked` without its passphrase. */
export async function phrase(options: AccountOptions = {}): Promise<string> {
  const { root } = await openAccount(databaseOf(options), options.passphrase);
  return withBackups('phraseOf', root);
}

/** Notes that the words were written down, as the account's user says. */
export async function phraseIsSafe(options: AccountOptions = {}): Promise<void> {
  const active = (await accounts(options)).find(({ active }) => active);
  await noteBackup(databaseOf(options), active?.id ?? '', { phraseAt: Date.now() });
}

/** Locks the account with a passphrase, with another one, or with none. It cannot be had back: a forgotten one needs the words. */
export async function setPassphrase(next: string | undefined, options: AccountOptions = {}): Promise<void> {
  return lockWith(databaseOf(options), next, options.passphrase);
}

/**
 * The account and its deal book of all networks as a file, encrypted in the age format. It is opened by the recovery phrase, or with `filePassphrase` by
 * that instead. The bytes of stored files are not in it: miners have them.
 */
export async function backup(options: BackupOptions = {}): Promise<Blob> {
  const name = databaseOf(options);
  const account = await openAccount(name, options.passphrase);
  const { root, older } = account;
  const books = await Promise.all((await booksOf(name, account)).map((book) => packed(name, account, book)));
  // A wallet that was only looked at is nothing that an earlier version could not read.
  const networks = books.filter(({ signer, deals, files }) => signer === undefined || deals.length + files.length > 0);
  const book = {
    madeMs: Date.now(),
    root: hex(root),
    networks: networks.map(({ bound, ...network }) => ({
      ...network,
      ...(bound || older === undefined ? {} : { olderKey: hex(older) }),
    })),
  };
  const { filePassphrase } = options;
  const file = await withBackups(
    'seal',
    book,
    filePassphrase === undefined ? { root } : { passphrase: filePassphrase },
  );
  await noteBackup(name, account.id, { fileAt: Date.now() });
  return new Blob([file], { type: 'application/age-encryption' });
}

/**
 * Takes an account back from its words, and its deal book from a file. What is here already stays; the same backup twice changes nothing; another account
 * than the present one is kept beside it with a book of its own, and is used from now on. `options.passphrase` is that of the account that is here;
 * with the words, one that is forgotten is taken away.
 *
 * Restoring pays for nothing: deals that were not paid when the backup was made are given up, and files make new deals when `retry` is called.
 * Throws `bad-argument` for words that are none and a file that is damaged, and `decryption` for a file of another account or with another passphrase.
 */
export async function restore(from: RestoreFrom, options: AccountOptions = {}): Promise<Restored> {
  const name = databaseOf(options);
  const root = from.phrase === undefined ? undefined : await withBackups('rootOf', from.phrase);
  if (from.file === undefined) {
    if (root === undefined) {
      throw new SealdropError(
        'bad-argument',
        'there is nothing to restore from',
        'Give the recovery phrase or a backup file.',
      );
    }
    const { books: _, ...account } = await taken(name, { root }, { byPhrase: true, passphrase: options.passphrase });
    return { ...account, networks: [] };
  }
  const file = await bytesOf(from.file);
  const opens =
    from.filePassphrase !== undefined
      ? { passphrase: from.filePassphrase }
      : { root: root ?? (await openAccount(name, options.passphrase)).root };
  const book = await withBackups('open', file, opens);
  if (root !== undefined && hex(root) !== book.root) {
    throw new SealdropError('bad-argument', 'the recovery phrase and the backup file are of different accounts');
  }
  const [older, another] = new Set(book.networks.flatMap(({ olderKey }) => olderKey ?? []));
  if (another !== undefined) {
    throw new SealdropError(
      'unsupported',
      'the backup has a key of its own for each of several networks, and a browser keeps one',
      'Restore it in the terminal: sealdrop client restore.',
    );
  }
  const secrets = { root: unhex(book.root), ...(older === undefined ? {} : { older: unhex(older) }) };
  const { passphrase } = options;
  const { books, ...account } = await taken(name, secrets, { byPhrase: root !== undefined, passphrase });
  const networks = [];
  for (const { genesis, signer, olderKey, deals, files } of book.networks) {
    const id = signer === undefined ? genesis : `${genesis}-${signer}`;
    const store = await DealStore.open(bookName(name, books, id), olderKey === undefined);
    try {
      const replaces = await replacedBy(store, deals);
      const folders = files.map(({ id, state, manifest, data, files: count, sealed }) => {
        const contents: Contents = {
          id,
          manifest: unhex(manifest),
          data,
          // No backup has them: what was not sent yet is to be stored anew.
          nodes: Array.from({ length: count }, () => new Map()),
          ...(sealed && { sealed: { shown: unhex(sealed.shown), files: sealed.files } }),
        };
        return { folder: { id, state }, contents };
      });
      const added = await store.merge(deals, folders, replaces);
      networks.push({ genesis, ...(signer === undefined ? {} : { signer }), ...added });
    } finally {
      store.close();
    }
  }
  return { ...account, madeAt: book.madeMs, networks };
}

/** Takes an account in. */
async function taken(name: string, secrets: Secrets, taking: Taking) {
  const before = await accountsOf(name);
  const { id, books } = await addAccount(name, secrets, taking);
  return { account: id, books, known: before.some((account) => account.id === id) };
}

/** The deals that are here as given up by an older backup, and further in this one. */
async function replacedBy(store: DealStore, deals: readonly StoredDeal[]): Promise<Set<string>> {
  const pairs = [];
  for (const { id, state } of deals) {
    const here = await store.deal(id);
    if (here?.view.state === 'failed') {
      pairs.push({ id, states: [state, here.state] as const });
    }
  }
  if (pairs.length === 0) {
    return new Set();
  }
  const takes = await withBackups(
    'taking',
    pairs.map(({ states }) => states),
  );
  return new Set(pairs.filter((_, at) => takes[at]).map(({ id }) => id));
}

/** The books of an account: each has its network's genesis id, and the payer behind it where that is a wallet, which has its own. */
async function booksOf(database: string, { books }: OpenAccount): Promise<string[]> {
  if (indexedDB.databases === undefined) {
    throw new SealdropError('unsupported', 'this browser does not list its databases', 'Use a current browser.');
  }
  const prefix = bookName(database, books, '');
  const names = (await indexedDB.databases()).flatMap(({ name }) => name ?? []);
  return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
}

async function packed(database: string, { books }: OpenAccount, book: string) {
  const [genesis = '', signer] = book.split('-');
  const store = await DealStore.open(bookName(database, books, book));
  try {
    const [deals, folders] = await Promise.all([store.deals(), store.folders()]);
    const files = await Promise.all(
      folders.map(async ({ id, state }) => {
        const contents = await store.contents(id);
        return contents === undefined ? [] : [{ state, ...bytesFor(contents) }];
      }),
    );
    return { genesis, signer, bound: store.bound, deals: deals.map(({ state }) => state), files: files.flat() };
  } finally {
    store.close();
  }
}

function bytesFor({ manifest, sealed }: Contents) {
  if (sealed === undefined) {
    return { manifest: hex(manifest) };
  }
  return { manifest: hex(manifest), shown: hex(sealed.shown), keys: sealed.files.map(({ state }) => state) };
}

async function bytesOf(file: Blob): Promise<Uint8Array> {
  if (file.size > MAX_FILE_BYTES) {
    throw new SealdropError('bad-argument', 'the file is too large for a backup', 'Choose the backup file.');
  }
  return new Uint8Array(await file.arrayBuffer());
}
