/**
 * Parts of files for miners, which ask for a leaf of 1 MiB in several requests: each leaf is read of the browser's storage once. A read
 * costs about as much for a quarter of a leaf as for all of it.
 *
 * Used by the network worker.
 */

import { LEAF_BYTES } from './commp.js';

/** Leaves that are held: two of each of eight transfers, so that one is read while the other goes out. */
const MAX_HELD = 16;

/** The leaves that were read last. */
export class Leaves {
  /** By file and index; the least recently used first. */
  readonly #held = new Map<string, Promise<ArrayBuffer>>();

  /**
   * The bytes of `file` from `offset`, fewer where it ends. `name` stands for the file's content: another file needs another one. Rejects
   * when the browser cannot read the file.
   */
  async read(name: string, file: Blob, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const index = Math.floor(offset / LEAF_BYTES);
    const from = offset - index * LEAF_BYTES;
    if (from + length > LEAF_BYTES) {
      return new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
    }
    const leaf = new Uint8Array(await this.#leaf(`${name} ${index}`, file, index * LEAF_BYTES));
    return leaf.subarray(from, from + length);
  }

  #leaf(key: string, file: Blob, at: number): Promise<ArrayBuffer> {
    const reading = this.#held.get(key) ?? file.slice(at, at + LEAF_BYTES).arrayBuffer();
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
