/**
 * The backup module with types: recovery phrases and what a backup holds, in a small WebAssembly module of its own.
 *
 * `client-wasm/backup` says what its exports do. Runs in workers and in Node alike.
 */

import { SealdropError } from './errors.js';
import { handOver, leftBy, type ModuleMemory, textOf } from './module-memory.js';
import type { FileOpening } from './protocol.js';
import type { StoredDeal } from './store.js';
import type { ErrorCode } from './types.js';

/** Exports of the module. */
interface Exports extends ModuleMemory {
  phrase_of(length: number): number;
  root_of(length: number): number;
  seal(key: number, byPassphrase: number, length: number): number;
  open(key: number, byPassphrase: number, length: number, now: number): number;
  takes_the_place(first: number, length: number): number;
}

/** A browser's books, or what comes out of a backup; bytes are hexadecimal. */
export interface Book<D, F> {
  readonly madeMs: number;
  readonly root: string;
  readonly networks: readonly {
    readonly genesis: string;
    /** Who pays, where that is not the account of the root. */
    readonly signer?: string | undefined;
    /** The key that an earlier version has signed with here. */
    readonly olderKey?: string | undefined;
    readonly deals: readonly D[];
    readonly files: readonly F[];
  }[];
}

/** A file as it goes into a backup. */
export interface FileToPack {
  readonly state: string;
  readonly manifest: string;
  /** Of one that is encrypted: the manifest under its own names, and each file's encryption. */
  readonly shown?: string | undefined;
  readonly keys?: readonly string[] | undefined;
}

/** A file as it comes out of one. */
export interface UnpackedFile {
  readonly id: string;
  readonly state: string;
  readonly manifest: string;
  readonly data: readonly string[];
  /** How many there are in it. */
  readonly files: number;
  readonly sealed?: { readonly shown: string; readonly files: readonly FileOpening[] } | undefined;
}

/** What opens a backup. */
export type OpensBackup = { readonly root: Uint8Array<ArrayBuffer> } | { readonly passphrase: string };

/** Random bytes that the module takes with what it encrypts. */
const RANDOM_BYTES = 256;

/** An instance of the module. */
export class BackupModule {
  readonly #exports: Exports;

  private constructor(exports: Exports) {
    this.#exports = exports;
  }

  static async load(module: BufferSource): Promise<BackupModule> {
    const { instance } = await WebAssembly.instantiate(module);
    return new BackupModule(instance.exports as unknown as Exports);
  }

  /** The recovery phrase of a root. */
  phraseOf(root: Uint8Array): string {
    return this.#text(this.#exports.phrase_of(handOver(this.#exports, [root])));
  }

  /** The root that a phrase says. */
  rootOf(phrase: string): Uint8Array<ArrayBuffer> {
    const read = this.#exports.root_of(handOver(this.#exports, [encoded(phrase)]));
    return this.#result(read, 'bad-argument', 'the recovery phrase');
  }

  /** The backup of books, as an age file. */
  seal(book: Book<string, FileToPack>, by: OpensBackup): Uint8Array<ArrayBuffer> {
    const random = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES));
    const key = keyOf(by);
    const written = handOver(this.#exports, [random, key, encoded(JSON.stringify(book))]);
    const sealed = this.#exports.seal(key.length, Number('passphrase' in by), written);
    return this.#result(sealed, 'storage', 'the book cannot be backed up');
  }

  /** The books of a backup, as they are taken back. */
  open(file: Uint8Array, by: OpensBackup): Book<StoredDeal, UnpackedFile> {
    const key = keyOf(by);
    const written = handOver(this.#exports, [key, file]);
    const opened = this.#exports.open(key.length, Number('passphrase' in by), written, Date.now());
    return JSON.parse(textOf(this.#result(opened, 'decryption', 'the backup')));
  }

  /** Whether a deal of a backup takes the place of the one that is here. */
  takesThePlace(backed: string, here: string): boolean {
    const first = encoded(backed);
    const written = handOver(this.#exports, [first, encoded(here)]);
    return this.#text(this.#exports.takes_the_place(first.length, written)) === 'yes';
  }

  /** A copy of what a call left; throws it where it is the reason of a failure. */
  #result(succeeded: number, code: ErrorCode = 'internal', what = 'the backup module'): Uint8Array<ArrayBuffer> {
    const result = leftBy(this.#exports).slice();
    if (!succeeded) {
      throw new SealdropError(code, `${what}: ${textOf(result)}`);
    }
    return result;
  }

  #text(succeeded: number): string {
    return textOf(this.#result(succeeded));
  }
}

const encoded = (text: string): Uint8Array => new TextEncoder().encode(text);

function keyOf(by: OpensBackup): Uint8Array {
  return 'passphrase' in by ? encoded(by.passphrase) : by.root;
}
