/**
 * The ciphertext of a file, made again from the file itself whenever bytes of it are needed: no encrypted copy lies on the disk.
 *
 * Two uses. Piece workers hash it as they read (`SealedReaders`). Whoever sends it (`SealedSource`, in the network worker) **compares each leaf
 * with the SHA-256 that was found then, and gives nothing away that differs**: a file on the disk changes without asking, and two
 * ciphertexts of different bytes under one key give both away (`shared/encryption`, the one rule).
 */

import { Age, type AgeFile, type Span } from './age.js';
import { joined } from './bytes.js';
import { DIGEST_BYTES, LEAF_BYTES } from './commp.js';
import { SealdropError } from './errors.js';
import { Reader } from './reading.js';

/** Bytes of the file in a chunk of the format: what two neighbouring ranges of the ciphertext may both need. */
const CHUNK_BYTES = 64 << 10;

/** Gives bytes one after the other, as piece workers hash them. */
export interface Source {
  begin(buffer: ArrayBuffer): void;
  take(length: number, next: number): Promise<Uint8Array<ArrayBuffer>>;
  end(): ArrayBuffer;
}

/** Reads the ciphertext of `blob` from one place to another; each byte of the file is read once. */
class SealedReader implements Source {
  readonly #file: AgeFile;
  readonly #reader: Reader;
  /** The place in the ciphertext that comes next. */
  #at: number;
  /** Up to where the file is read. */
  #read: number;
  /** The last bytes that were read: the chunk that two ranges share. */
  #tail: Uint8Array<ArrayBuffer> = new Uint8Array();
  #out: Uint8Array<ArrayBuffer> = new Uint8Array();

  constructor(age: Age, state: string, blob: Blob, [from, to]: Span) {
    this.#file = age.openKept(state);
    const [plainFrom, plainTo] = this.#file.plainRange([from, to]);
    this.#reader = new Reader(blob, plainFrom, plainTo);
    this.#at = from;
    this.#read = plainFrom;
  }

  begin(buffer: ArrayBuffer): void {
    this.#reader.begin(buffer);
  }

  async take(length: number, next: number): Promise<Uint8Array<ArrayBuffer>> {
    const range: Span = [this.#at, this.#at + length];
    const [from, to] = this.#file.plainRange(range);
    const following = next > 0 ? this.#file.plainRange([range[1], range[1] + next])[1] : to;
    const missing = Math.max(0, to - this.#read);
    const bytes = missing > 0 ? await this.#reader.take(missing, Math.max(0, following - to)) : new Uint8Array();
    const shared = to - missing - from;
    const made = this.#file.encrypt(range, [this.#tail.subarray(this.#tail.length - shared), bytes]);
    // The reader fills its buffer again, and the range after this one may begin in the chunk that this one ends in.
    const whole = bytes.length >= CHUNK_BYTES ? bytes.slice(-CHUNK_BYTES) : joined(this.#tail, bytes);
    this.#tail = whole.length > CHUNK_BYTES ? whole.slice(-CHUNK_BYTES) : whole;
    this.#read = Math.max(this.#read, to);
    this.#at += length;
    // The module's memory is another reader's in a moment.
    this.#out = this.#out.length === made.length ? this.#out : new Uint8Array(made.length);
    this.#out.set(made);
    return this.#out;
  }

  end(): ArrayBuffer {
    this.#file.close();
    return this.#reader.end();
  }
}

/** Opens readers of files by what was kept of their encryption; they share a module. */
export type SealedReaders = (state: string, blob: Blob, span: Span) => Source;

/** An instance of the module for such readers. */
export async function loadSealedReaders(module: WebAssembly.Module): Promise<SealedReaders> {
  const age = await Age.load(module);
  return (state, blob, span) => new SealedReader(age, state, blob, span);
}

/** Where a piece's bytes come from that is sent encrypted. */
export interface Sealed {
  /** The file as it is. */
  readonly blob: Blob;
  /** What was kept of its encryption. */
  readonly state: string;
  /** Where the piece begins in the ciphertext, and its bytes. */
  readonly offset: number;
  readonly size: number;
  /** The SHA-256 of each of its leaves. */
  readonly digests: Uint8Array;
}

/** A piece of a file's ciphertext, for sending. */
export class SealedSource {
  readonly size: number;
  readonly #file: AgeFile;
  readonly #blob: Blob;
  readonly #offset: number;
  readonly #digests: Uint8Array;

  constructor(age: Age, { blob, state, offset, size, digests }: Sealed) {
    if (digests.length !== Math.ceil(size / LEAF_BYTES) * DIGEST_BYTES) {
      throw new SealdropError('internal', `${digests.length} bytes are not the digests of ${size} bytes`);
    }
    this.#file = age.openKept(state);
    this.#blob = blob;
    this.#offset = offset;
    this.#digests = digests;
    this.size = size;
  }

  /** The bytes from one leaf's beginning to the end of another; rejects where they are not what was hashed. */
  async leaves([from, to]: Span): Promise<Uint8Array<ArrayBuffer>> {
    const range: Span = [this.#offset + from, this.#offset + to];
    const [plainFrom, plainTo] = this.#file.plainRange(range);
    const plain = new Uint8Array(await this.#blob.slice(plainFrom, plainTo).arrayBuffer());
    if (plain.length !== plainTo - plainFrom) {
      throw changed();
    }
    const made = this.#file.encrypt(range, [plain]).slice();
    const checks: Promise<boolean>[] = [];
    for (let at = 0; at < made.length; at += LEAF_BYTES) {
      checks.push(this.#isLeaf((from + at) / LEAF_BYTES, made.subarray(at, at + LEAF_BYTES)));
    }
    if (!(await Promise.all(checks)).every(Boolean)) {
      throw changed();
    }
    return made;
  }

  async #isLeaf(index: number, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const known = this.#digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
    return known.length === DIGEST_BYTES && digest.every((byte, at) => byte === known[at]);
  }

  close(): void {
    this.#file.close();
  }
}

function changed(): SealdropError {
  return new SealdropError(
    'file-lost',
    'the file is not what it was when it was encrypted first, and the same key must not encrypt another',
    'Choose the same file again, or store this one anew.',
  );
}
