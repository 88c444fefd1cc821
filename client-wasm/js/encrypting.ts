/** Files that are encrypted before they are hashed: their keys, which are kept before anything is encrypted, and their manifest, which hides names. */

import type { SealedFiles } from './files.js';
import { type Recipients, recipientsOf, withKeys } from './keys.js';
import type { Caller } from './link.js';
import type { MadeManifest, ManifestRequest } from './protocol.js';
import { filesKey } from './saved.js';
import type { StoredKeys } from './store.js';
import type { EncryptTo, FileInput, NewKey, PreparedEncryption } from './types.js';

/** Files with a key for each. */
export class Encrypting {
  readonly #to: Recipients;
  readonly #key: NewKey | undefined;
  readonly #keys: StoredKeys;
  readonly #plainSizes: ReadonlyMap<string, number>;

  private constructor(to: Recipients, key: NewKey | undefined, keys: StoredKeys, files: readonly FileInput[]) {
    this.#to = to;
    this.#key = key;
    this.#keys = keys;
    this.#plainSizes = new Map(files.map(({ path, file }) => [path, file.size]));
  }

  /** Makes the keys, or finds those that were made for the same files before; they are kept when this resolves. */
  static async begin(link: Caller, files: readonly FileInput[], encrypt: EncryptTo): Promise<Encrypting> {
    const { to, key } = await recipientsOf(encrypt);
    // A passphrase is not kept, nor what it could be guessed by. And of bytes that are no file, nothing tells whether they are the same.
    const knowable = to.passphrase === undefined && files.every(({ file }) => file instanceof File);
    const about = knowable ? JSON.stringify([filesKey(files, 0), to.recipients]) : undefined;
    const known = about === undefined ? undefined : await link.call('keysAbout', [about]);
    if (known !== undefined) {
      return new Encrypting(to, key, known, files);
    }
    const sizes = files.map(({ file }) => file.size);
    const made = await withKeys('newEncryption', to, sizes);
    const keys: StoredKeys = {
      id: crypto.randomUUID(),
      ...(about === undefined ? {} : { about }),
      at: Date.now(),
      files: made.map((one, at) => ({ path: files[at]?.path ?? '', ...one })),
    };
    await link.call('keepKeys', [keys]);
    return new Encrypting(to, key, keys, files);
  }

  /** What piece workers need. */
  get sealed(): SealedFiles {
    return this.#keys;
  }

  /** Bytes of the largest ciphertext. */
  get largest(): number {
    return this.#keys.files.reduce((most, { size }) => Math.max(most, size), 0);
  }

  /** The manifest of what was hashed; its names are hidden from all but the recipients. */
  makeManifest(request: ManifestRequest): Promise<MadeManifest> {
    return withKeys('makeManifest', request, this.#to);
  }

  /** What is told of it, with the files in the manifest's order. */
  prepared(shown: Uint8Array<ArrayBuffer>, paths: readonly string[]): PreparedEncryption {
    const plainSizes = paths.map((path) => this.#plainSizes.get(path) ?? 0);
    return {
      keys: this.#keys.id,
      ...(this.#key === undefined ? {} : { key: this.#key }),
      recipients: this.#to.recipients?.length ?? 0,
      passphrase: this.#to.passphrase !== undefined,
      plainSize: plainSizes.reduce((sum, size) => sum + size, 0),
      plainSizes,
      shown,
    };
  }
}
