/**
 * The keys of this browser at rest: the root that the accounts of all networks come from, once more for each account that was restored here.
 *
 * A root is kept encrypted with AES-GCM under a WebCrypto key that the browser does not hand out (`extractable: false`): what copies the database's
 * bytes does not have it, and no script of the page reads it out of storage. With a passphrase the root is encrypted twice, and opened by nobody
 * without it: PBKDF2-SHA-256 stretches it. A page without HTTPS has no WebCrypto; there the root is kept as it is, until a page with it sees it.
 *
 * One record holds all accounts, so that every change is whole or was never made. **No key is ever lost**: an earlier version's root is taken away in
 * the very transaction that keeps the encrypted one, which was opened once to see that it is the same; an account that another one was restored
 * over stays beside it, with its book.
 *
 * Earlier versions kept one signing key for all networks beside the root. It stays the account of the networks that it was used with; it belongs to
 * the first account.
 */

import { hex, joined } from './bytes.js';
import { SealdropError } from './errors.js';

/** Version 1 kept the root as it was; a page of it must not find none here and make another. */
const VERSION = 2;
const KEYS = 'keys';
const VAULT = 'vault';
/** Where version 1 kept the root, and what came before it. */
const PLAIN_ROOT = 'root';
const PLAIN_OLDER = 'signing';
const ROOT_BYTES = 32;
/** What AES-GCM adds to what it encrypts. */
const TAG_BYTES = 16;
/** Accounts of one browser, at most: a person's. */
const MAX_ACCOUNTS = 16;
/** As OWASP has it for PBKDF2 with SHA-256 since 2023: about half a second. */
const PBKDF2_ITERATIONS = 600_000;
/** Shorter ones are tried through in no time. */
export const LEAST_PASSPHRASE = 8;

/** What is kept of one account's secrets. */
interface Sealed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What `bytes` are encrypted with; absent where the page had no WebCrypto. */
  readonly device?: { readonly key: CryptoKey; readonly iv: Uint8Array<ArrayBuffer> };
  /** That they are encrypted with a passphrase within that. */
  readonly lock?: {
    readonly salt: Uint8Array<ArrayBuffer>;
    readonly iv: Uint8Array<ArrayBuffer>;
    readonly iterations: number;
  };
}

/** When an account was put into safety. */
export interface Backups {
  /** When its phrase was written down, as its user said. */
  readonly phraseAt?: number;
  /** When a backup file was saved last. */
  readonly fileAt?: number;
}

interface StoredAccount {
  readonly id: string;
  readonly createdAt: number;
  /** Stands in the names of its books' databases; empty for the first account. */
  readonly books: string;
  readonly sealed: Sealed;
  readonly backups: Backups;
}

interface Vault {
  readonly active: string;
  readonly accounts: readonly StoredAccount[];
}

/** An account of this browser, without its secrets. */
export interface AccountInfo {
  /** Names it in this browser; nothing follows from it. */
  readonly id: string;
  readonly createdAt: number;
  /** Whether it is the one that is used. */
  readonly active: boolean;
  /** Whether its key is under a passphrase. */
  readonly locked: boolean;
  /** Whether its key is encrypted at rest; false where the page was loaded without HTTPS. */
  readonly encrypted: boolean;
  readonly backups: Backups;
}

/** The secrets of an account. */
export interface Secrets {
  readonly root: Uint8Array<ArrayBuffer>;
  /** The key that an earlier version signed with on every network. */
  readonly older?: Uint8Array<ArrayBuffer> | undefined;
}

/** An account that is open. */
export interface OpenAccount extends Secrets {
  readonly id: string;
  readonly books: string;
  readonly backups: Backups;
}

/** The name of the database that holds an account's book of a network. */
export function bookName(database: string, books: string, genesis: string): string {
  return `${database}${books}@${genesis}`;
}

const hasCrypto = (): boolean => globalThis.crypto?.subtle !== undefined;

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = ({ oldVersion }) => {
      if (oldVersion < 1) {
        request.result.createObjectStore(KEYS);
      }
    };
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
    // A tab of version 1 has it open for a moment only: this goes on when it is done.
  });
}

/** What the database holds. */
interface Kept {
  readonly vault?: Vault;
  readonly root?: Uint8Array<ArrayBuffer>;
  readonly older?: Uint8Array<ArrayBuffer>;
}

/**
 * Changes what is kept in one transaction: `change` sees what is there now and says what the vault is to be, or undefined for no change. Plain keys go
 * with the change. Resolves when it is on the disk.
 */
async function update(name: string, change: (kept: Kept) => Vault | undefined): Promise<void> {
  const database = await open(name);
  try {
    await new Promise<void>((resolve, reject) => {
      const transaction = database.transaction(KEYS, 'readwrite', { durability: 'strict' });
      const keys = transaction.objectStore(KEYS);
      let failed: unknown;
      const [vault, root, older] = [VAULT, PLAIN_ROOT, PLAIN_OLDER].map((key) => keys.get(key)) as [
        IDBRequest,
        IDBRequest,
        IDBRequest,
      ];
      older.onsuccess = () => {
        try {
          const next = change({ vault: vault.result, root: root.result, older: older.result });
          if (next !== undefined) {
            keys.put(next, VAULT);
            keys.delete(PLAIN_ROOT);
            keys.delete(PLAIN_OLDER);
          }
        } catch (thrown) {
          failed = thrown;
          transaction.abort();
        }
      };
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(failed ?? transaction.error);
    });
  } finally {
    database.close();
  }
}

async function read(name: string): Promise<Kept> {
  let found: Kept = {};
  await update(name, (kept) => {
    found = kept;
    return undefined;
  });
  return found;
}

/** The name of an account: a hash of its root. */
async function nameOf(root: Uint8Array<ArrayBuffer>): Promise<string> {
  if (!hasCrypto()) {
    // It has to be told from others, and from none that follows from the root.
    return hex(crypto.getRandomValues(new Uint8Array(8)));
  }
  const text = new TextEncoder().encode('sealdrop account of a browser');
  const hash = await crypto.subtle.digest('SHA-256', joined(text, root));
  return hex(new Uint8Array(hash).subarray(0, 8));
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

async function stretched(passphrase: string, salt: Uint8Array<ArrayBuffer>, iterations: number): Promise<CryptoKey> {
  const text = new TextEncoder().encode(passphrase.normalize('NFKC'));
  const secret = await crypto.subtle.importKey('raw', text, 'PBKDF2', false, ['deriveKey']);
  return crypto.subtle.deriveKey(
    { name: 'PBKDF2', hash: 'SHA-256', salt, iterations },
    secret,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  );
}

async function encrypt(key: CryptoKey, plain: Uint8Array<ArrayBuffer>) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const made = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, plain);
  return { iv, bytes: new Uint8Array(made) };
}

async function decrypt(key: CryptoKey, iv: Uint8Array<ArrayBuffer>, bytes: Uint8Array<ArrayBuffer>) {
  return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, bytes));
}

/** Encrypts secrets for keeping, and opens them once to see that they come back. */
async function seal({ root, older }: Secrets, passphrase: string | undefined): Promise<Sealed> {
  const plain = older === undefined ? root : joined(root, older);
  if (!hasCrypto()) {
    if (passphrase !== undefined) {
      throw new SealdropError(
        'unsupported',
        'this page was loaded without HTTPS, and the browser lets it encrypt nothing',
        'Open the page over HTTPS or from this machine.',
      );
    }
    return { bytes: plain };
  }
  let bytes = plain;
  let lock: Sealed['lock'];
  if (passphrase !== undefined) {
    const salt = crypto.getRandomValues(new Uint8Array(16));
    const made = await encrypt(await stretched(passphrase, salt, PBKDF2_ITERATIONS), plain);
    lock = { salt, iv: made.iv, iterations: PBKDF2_ITERATIONS };
    bytes = made.bytes;
  }
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  const made = await encrypt(key, bytes);
  const sealed: Sealed = { bytes: made.bytes, device: { key, iv: made.iv }, ...(lock && { lock }) };
  const again = await unseal(sealed, passphrase);
  if (!same(again.root, root)) {
    throw new SealdropError('storage', 'the browser does not give a key back as it was kept');
  }
  return sealed;
}

async function unseal({ bytes, device, lock }: Sealed, passphrase: string | undefined): Promise<Secrets> {
  let plain = bytes;
  if (device !== undefined) {
    if (!hasCrypto()) {
      throw new SealdropError(
        'unsupported',
        'this account was made on a page with HTTPS, and this page was loaded without it',
        'Open the page over HTTPS or from this machine.',
      );
    }
    plain = await decrypt(device.key, device.iv, plain).catch(() => {
      throw new SealdropError(
        'storage',
        'the browser’s key does not open the account any more: its storage is damaged',
        'Restore the account from its recovery phrase or a backup.',
      );
    });
  }
  if (lock !== undefined) {
    if (passphrase === undefined) {
      throw new SealdropError('locked', 'the account is locked', 'Unlock it with its passphrase.');
    }
    const key = await stretched(passphrase, lock.salt, lock.iterations);
    plain = await decrypt(key, lock.iv, plain).catch(() => {
      throw new SealdropError('locked', 'this is not the account’s passphrase', 'Try again, or restore the account.');
    });
  }
  const root = plain.slice(0, ROOT_BYTES);
  const older = plain.length > ROOT_BYTES ? plain.slice(ROOT_BYTES) : undefined;
  return { root, older };
}

function activeOf({ accounts, active }: Vault): StoredAccount {
  const account = accounts.find(({ id }) => id === active);
  if (account === undefined) {
    throw new SealdropError(
      'storage',
      'the browser’s storage of keys is damaged',
      'Restore the account from a backup.',
    );
  }
  return account;
}

/**
 * Makes sure that there is an account, encrypted as far as the page can: the first visit makes one, and an earlier version's is taken over. The same
 * for all tabs that call at once.
 */
async function settled(name: string): Promise<Vault> {
  for (;;) {
    const { vault, root, older } = await read(name);
    if (vault !== undefined) {
      const active = activeOf(vault);
      if (active.sealed.device !== undefined || !hasCrypto()) {
        return vault;
      }
      // It was kept on a page without HTTPS.
      const sealed = await seal(await unseal(active.sealed, undefined), undefined);
      await replace(name, active, { sealed });
      continue;
    }
    const secrets: Secrets = { root: root ?? crypto.getRandomValues(new Uint8Array(ROOT_BYTES)), older };
    const account: StoredAccount = {
      id: await nameOf(secrets.root),
      createdAt: Date.now(),
      books: '',
      sealed: await seal(secrets, undefined),
      backups: {},
    };
    // FAIL: the tab may end before this, and another one may have been faster.
    // THEN: what was there is there still; whoever comes next looks again.
    await update(name, (kept) => {
      const unchanged =
        kept.vault === undefined &&
        (root === undefined ? kept.root === undefined : kept.root !== undefined && same(kept.root, root));
      return unchanged ? { active: account.id, accounts: [account] } : undefined;
    });
  }
}

/** Changes an account, unless another tab has done so meanwhile. */
async function replace(name: string, seen: StoredAccount, change: Partial<StoredAccount>): Promise<boolean> {
  let changed = false;
  await update(name, ({ vault }) => {
    const now = vault?.accounts.find(({ id }) => id === seen.id);
    if (vault === undefined || now === undefined || !same(now.sealed.bytes, seen.sealed.bytes)) {
      return undefined;
    }
    changed = true;
    const accounts = vault.accounts.map((account) => (account === now ? { ...now, ...change } : account));
    return { ...vault, accounts };
  });
  return changed;
}

/** Opens the account that is used; makes it at the first time. Throws `locked` without its passphrase. */
export async function openAccount(name: string, passphrase?: string): Promise<OpenAccount> {
  const { id, books, sealed, backups } = activeOf(await settled(name));
  return { id, books, backups, ...(await unseal(sealed, passphrase)) };
}

/** The accounts of this browser, the one that is used among them. */
export async function accounts(name: string): Promise<AccountInfo[]> {
  const vault = await settled(name);
  return vault.accounts.map(({ id, createdAt, sealed, backups }) => ({
    id,
    createdAt,
    active: id === vault.active,
    locked: sealed.lock !== undefined,
    encrypted: sealed.device !== undefined,
    backups,
  }));
}

/** Puts the account under a passphrase, another one, or none. `current` is the one that it is under. */
export async function setPassphrase(name: string, next: string | undefined, current?: string): Promise<void> {
  if (next !== undefined && next.length < LEAST_PASSPHRASE) {
    throw new SealdropError(
      'bad-argument',
      `a passphrase has ${LEAST_PASSPHRASE} characters at least`,
      'Choose a longer one.',
    );
  }
  const seen = activeOf(await settled(name));
  const sealed = await seal(await unseal(seen.sealed, current), next);
  if (!(await replace(name, seen, { sealed }))) {
    throw changedElsewhere();
  }
}

/** Notes that the account was put into safety. */
export async function noteBackup(name: string, account: string, backups: Backups): Promise<void> {
  await update(name, ({ vault }) => {
    const accounts = vault?.accounts.map((known) =>
      known.id === account ? { ...known, backups: { ...known.backups, ...backups } } : known,
    );
    return vault && accounts && { ...vault, accounts };
  });
}

/** How an account is taken in that may be here already. */
export interface Taking {
  /** What the account that is here is locked with. */
  readonly passphrase?: string | undefined;
  /** Whether its words were given: whoever has them needs no passphrase, and takes a forgotten one away. */
  readonly byPhrase: boolean;
}

/**
 * Takes an account in and uses it from now on. One that is here already stays, with its lock, unless its words were given and not its passphrase, and
 * is given the key of an earlier version that it lacks. Another one is kept beside those that are here, which stay, too. Gives it as it is here.
 */
export async function addAccount(name: string, secrets: Secrets, taking: Taking): Promise<OpenAccount> {
  const { accounts: known } = await settled(name);
  const id = await nameOf(secrets.root);
  const here = known.find((account) => account.id === id || holdsPlainly(account, secrets.root));
  if (here !== undefined) {
    const { sealed, whole } = await completed(here, secrets, taking);
    if (sealed !== here.sealed && !(await replace(name, here, { sealed }))) {
      throw changedElsewhere();
    }
    await switchAccount(name, here.id);
    return { id: here.id, books: here.books, backups: here.backups, ...whole };
  }
  const account: StoredAccount = {
    id,
    createdAt: Date.now(),
    books: `~${id}`,
    sealed: await seal(secrets, undefined),
    // Whoever restores it has it in safety.
    backups: { phraseAt: Date.now() },
  };
  let full = false;
  await update(name, ({ vault }) => {
    const all = vault?.accounts ?? [];
    const there = all.some((other) => other.id === id);
    full = !there && all.length >= MAX_ACCOUNTS;
    return full ? undefined : { active: id, accounts: there ? all : [...all, account] };
  });
  if (full) {
    throw new SealdropError('storage', `this browser has ${MAX_ACCOUNTS} accounts, as many as it may`);
  }
  return { id, books: account.books, backups: account.backups, ...secrets };
}

/** Whether an account that a page without HTTPS keeps has this root: no hash names it there. */
function holdsPlainly({ sealed }: StoredAccount, root: Uint8Array): boolean {
  return sealed.device === undefined && same(sealed.bytes.subarray(0, ROOT_BYTES), root);
}

/** An account that is here with what is known of it now: its secrets, and how they are kept from now on. */
async function completed({ sealed }: StoredAccount, secrets: Secrets, { passphrase, byPhrase }: Taking) {
  const kept = await unseal(sealed, passphrase).catch(() => undefined);
  if (kept === undefined) {
    if (sealed.lock !== undefined && !byPhrase) {
      // The file had what opens it; the lock stays.
      if (secrets.older !== undefined && !hasOlder(sealed)) {
        throw new SealdropError(
          'locked',
          'the backup has a key of an earlier version, which the locked account lacks',
          'Unlock the account with its passphrase, or give its words with the file.',
        );
      }
      return { sealed, whole: secrets };
    }
    if (secrets.older === undefined && hasOlder(sealed)) {
      throw new SealdropError(
        'locked',
        'the account has a key of an earlier version, too, which the words do not give',
        'Unlock it with its passphrase, or give its backup file with the words.',
      );
    }
    return { sealed: await seal(secrets, undefined), whole: secrets };
  }
  if (secrets.older === undefined || (kept.older !== undefined && same(kept.older, secrets.older))) {
    return { sealed, whole: kept };
  }
  if (kept.older !== undefined) {
    throw new SealdropError(
      'bad-argument',
      'the backup has another key of an earlier version than this browser has for the same account',
      'Restore it in another browser or profile.',
    );
  }
  const lock = sealed.lock === undefined ? undefined : passphrase;
  return { sealed: await seal(secrets, lock), whole: secrets };
}

/** Whether two keys are in what cannot be opened. */
function hasOlder({ bytes, device, lock }: Sealed): boolean {
  const layers = [device, lock].filter((layer) => layer !== undefined).length;
  return bytes.length > ROOT_BYTES + layers * TAG_BYTES;
}

function changedElsewhere(): SealdropError {
  return new SealdropError('busy', 'another tab has just changed the account', 'Look at it again.');
}

/** Uses another of the accounts that are here from now on. */
export async function switchAccount(name: string, id: string): Promise<void> {
  let known = false;
  await update(name, ({ vault }) => {
    known = vault?.accounts.some((account) => account.id === id) ?? false;
    return known && vault ? { ...vault, active: id } : undefined;
  });
  if (!known) {
    throw new SealdropError('not-found', `there is no account ${id} in this browser`);
  }
}
