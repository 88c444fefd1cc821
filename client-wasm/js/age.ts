/**
 * The encryption module with types: files in the age format, in a small WebAssembly module of its own that is loaded by whoever has an
 * encrypted file.
 *
 * `client-wasm/age` says what its exports do. Runs in workers, pages and Node alike. Everything that it returns as bytes is a view into its
 * memory: valid until the next call.
 */

import { SealdropError } from './errors.js';
import { readAsset, wasmFile } from './host.js';
import { handOver, leftBy, type ModuleMemory, textOf } from './module-memory.js';
import type { ErrorCode } from './types.js';

/** Exports of the module. */
interface Exports extends ModuleMemory {
  open_kept(length: number): number;
  open_sealed(head: number, key: number, cipherLength: number, byPassphrase: number): number;
  close(number: number): void;
  lengths(number: number): number;
  plain_range(number: number, from: number, to: number): number;
  encrypt(number: number, from: number, to: number, length: number): number;
  cipher_range(number: number, from: number, to: number): number;
  decrypt(number: number, from: number, to: number, length: number): number;
}

/** From the first byte to the one behind the last. */
export type Span = readonly [from: number, to: number];

/** What opens a file of which nothing is kept here. */
export interface OpeningKey {
  readonly kind: 'identity' | 'passphrase';
  readonly text: string;
}

/** Bytes of the beginning of a file that always hold its head: `MAX_HEAD_BYTES` of the format's limits. */
export const HEAD_BYTES = 64 << 10;

let compiled: Promise<WebAssembly.Module> | undefined;

/** The module, compiled once in a page or worker; it can be posted to others. */
export function encryptionModule(): Promise<WebAssembly.Module> {
  compiled ??= compile().catch((error: unknown) => {
    // It may be there the next time.
    compiled = undefined;
    throw error;
  });
  return compiled;
}

async function compile(): Promise<WebAssembly.Module> {
  const beside = new URL('./wasm/sealdrop_age.wasm', import.meta.url);
  return WebAssembly.compile(await readAsset(wasmFile('sealdrop_age.wasm', beside)));
}

/** An instance of the module, with a memory of its own. */
export class Age {
  readonly #exports: Exports;

  private constructor(exports: Exports) {
    this.#exports = exports;
  }

  static async load(module: WebAssembly.Module): Promise<Age> {
    const { exports } = await WebAssembly.instantiate(module);
    return new Age(exports as unknown as Exports);
  }

  /** Opens a file of one's own by what was kept of it. */
  openKept(state: string): AgeFile {
    const bytes = new TextEncoder().encode(state);
    handOver(this.#exports, [bytes]);
    return this.#opened(this.#exports.open_kept(bytes.length));
  }

  /** Opens anybody's file by its beginning, the length of its ciphertext, and a key. Takes seconds and 256 MiB with a passphrase. */
  openSealed(head: Uint8Array, cipherLength: number, { kind, text }: OpeningKey): AgeFile {
    const key = new TextEncoder().encode(text);
    handOver(this.#exports, [head, key]);
    const byPassphrase = Number(kind === 'passphrase');
    return this.#opened(this.#exports.open_sealed(head.length, key.length, cipherLength, byPassphrase));
  }

  #opened(succeeded: number): AgeFile {
    return new AgeFile(
      {
        lengths: (number) => this.#span(this.#exports.lengths(number)),
        plainRange: (number, [from, to]) => this.#span(this.#exports.plain_range(number, from, to)),
        encrypt: (number, [from, to], plain) =>
          this.#result(this.#exports.encrypt(number, from, to, handOver(this.#exports, plain)), 'file-lost'),
        cipherRange: (number, [from, to]) => this.#span(this.#exports.cipher_range(number, from, to)),
        decrypt: (number, [from, to], cipher) =>
          this.#result(this.#exports.decrypt(number, from, to, handOver(this.#exports, cipher))),
        close: (number) => this.#exports.close(number),
      },
      Number(textOf(this.#result(succeeded))),
    );
  }

  /** What a call left; throws it where it is the reason of a failure. */
  #result(succeeded: number, code: ErrorCode = 'decryption'): Uint8Array<ArrayBuffer> {
    const result = leftBy(this.#exports);
    if (!succeeded) {
      throw new SealdropError(code, textOf(result));
    }
    return result;
  }

  #span(succeeded: number): Span {
    return JSON.parse(textOf(this.#result(succeeded))) as Span;
  }
}

interface Calls {
  lengths(number: number): Span;
  plainRange(number: number, cipher: Span): Span;
  encrypt(number: number, cipher: Span, plain: readonly Uint8Array[]): Uint8Array<ArrayBuffer>;
  cipherRange(number: number, plain: Span): Span;
  decrypt(number: number, plain: Span, cipher: readonly Uint8Array[]): Uint8Array<ArrayBuffer>;
  close(number: number): void;
}

/** A file that is open in the module. */
export class AgeFile {
  readonly #calls: Calls;
  readonly #number: number;

  constructor(calls: Calls, number: number) {
    this.#calls = calls;
    this.#number = number;
  }

  /** Bytes of the file. */
  get plainLength(): number {
    return this.#calls.lengths(this.#number)[0];
  }

  /** What has to be read of the file for a range of its ciphertext. */
  plainRange(cipher: Span): Span {
    return this.#calls.plainRange(this.#number, cipher);
  }

  /** A range of the ciphertext, to be hashed and for nothing else: see `sealing.ts`. */
  encrypt(cipher: Span, plain: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
    return this.#calls.encrypt(this.#number, cipher, plain);
  }

  /** What has to be read of the ciphertext for a range of the file. */
  cipherRange(plain: Span): Span {
    return this.#calls.cipherRange(this.#number, plain);
  }

  /** A range of the file. */
  decrypt(plain: Span, cipher: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
    return this.#calls.decrypt(this.#number, plain, cipher);
  }

  /** Forgets the file with its key. */
  close(): void {
    this.#calls.close(this.#number);
  }
}
