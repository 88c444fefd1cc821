/**
 * Parts of files for miners, which ask for a leaf of 1 MiB in several requests: each leaf is read of the browser's storage once. A read
 * costs about as much for a quarter of a leaf as for all of it.
 *
 * Used by the network worker.
 */

import { LEAF_BYTES } from './commp.js';
import type { SealedSource } from './sealing.js';

/** Leaves that are held: two of each of eight transfers, so that one is read while the other goes out. */
const MAX_HELD = 16;

/** The leaves that were read last. */
export class Leaves {
  /** By file and index; the least recently used first. */
  readonly #held = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();

  /**
   * The bytes of `file` from `offset`, fewer where it ends. `name` stands for the file's content: another file needs another one. Rejects
   * when the browser cannot read the file.
   */
  async read(
    name: string,
    file: Blob | SealedSource,
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const index = Math.floor(offset / LEAF_BYTES);
    const from = offset - index * LEAF_BYTES;
    if (from + length > LEAF_BYTES) {
      return across(file, offset, length);
    }
    const leaf = await this.#leaf(`${name} ${index}`, file, index * LEAF_BYTES);
    return leaf.subarray(from, from + length);
  }

  #leaf(key: string, file: Blob | SealedSource, at: number): Promise<Uint8Array<ArrayBuffer>> {
    const reading = this.#held.get(key) ?? bytesOf(file, at, at + LEAF_BYTES);
    this.#held.delete(key);
    this.#held.set(key, reading);
    // What could not be read is read anew the next time.
    reading.catch(() => this.#held.delete(key));
    for (const [oldest] of this.#held) {
      if (this.#held.size <= MAX_HELD) break;
      this.#held.delete(oldest);
    }
    return reading;
  }
}

/** Bytes of a file from a leaf's beginning to another's, or to its end. */
async function bytesOf(file: Blob | SealedSource, from: number, to: number): Promise<Uint8Array<ArrayBuffer>> {
  return file instanceof Blob
    ? new Uint8Array(await file.slice(from, to).arrayBuffer())
    : file.leaves([from, Math.min(to, file.size)]);
}

/** Bytes of more than one leaf. */
async function across(file: Blob | SealedSource, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  if (file instanceof Blob) {
    return bytesOf(file, offset, offset + length);
  }
  const first = offset - (offset % LEAF_BYTES);
  const bytes = await bytesOf(file, first, Math.ceil((offset + length) / LEAF_BYTES) * LEAF_BYTES);
  return bytes.subarray(offset - first, offset - first + length);
}
