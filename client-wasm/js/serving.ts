/**
 * What miners get of the files of deals under way, over libp2p and over HTTP, in the network worker. A file that is stored encrypted leaves
 * as its ciphertext, which is made of it as it is asked for (`sealing.ts`).
 */

import { SealdropError } from './errors.js';
import { Leaves } from './leaves.js';
import { SealedSource } from './sealing.js';
import type { PartOfFile, StoredDeal, StoredFile } from './store.js';

/** Where a deal's bytes come from. */
export type PieceBytes = Blob | SealedSource;

/** What this needs of the worker. */
export interface Kept {
  readonly file: (id: string) => Promise<StoredFile | undefined>;
  readonly deal: (id: string) => Promise<StoredDeal | undefined>;
  /** The bytes of a part of a larger file. */
  readonly part: (part: PartOfFile, dataCid: string) => Promise<PieceBytes>;
}

/** The files of deals under way. */
export class Serving {
  readonly #kept: Kept;
  /** So that each read does not go through the database. */
  readonly #files = new Map<string, Promise<PieceBytes>>();
  readonly #leaves = new Leaves();

  constructor(kept: Kept) {
    this.#kept = kept;
  }

  /** Bytes of a deal's piece, which a miner asks for. */
  async read(id: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#leaves.read(id, await this.#bytes(id), offset, length);
  }

  /** The same as the body of a request; leaves are whole in it. */
  async body(id: string, from: number, to: number): Promise<Blob> {
    const bytes = await this.#bytes(id);
    // As a Blob: with an array of 8 MiB for its body, `fetch` holds this thread up for a second in Chromium.
    return bytes instanceof Blob ? bytes.slice(from, to) : new Blob([await bytes.leaves([from, to])]);
  }

  /** The bytes of a deal are not needed any more, or are other ones. */
  forget(id: string): void {
    const known = this.#files.get(id);
    this.#files.delete(id);
    known?.then(
      (bytes) => bytes instanceof SealedSource && bytes.close(),
      () => undefined,
    );
  }

  #bytes(id: string): Promise<PieceBytes> {
    const known = this.#files.get(id) ?? this.#find(id);
    this.#files.set(id, known);
    // What could not be found is looked for anew the next time.
    known.catch(() => this.#files.delete(id));
    return known;
  }

  async #find(id: string): Promise<PieceBytes> {
    const [file, deal] = await Promise.all([this.#kept.file(id), this.#kept.deal(id)]);
    if (file === undefined || deal === undefined) {
      throw new SealdropError('file-lost', 'this browser no longer has the file of this deal');
    }
    return file.blob instanceof Blob ? file.blob : this.#kept.part(file.blob, deal.view.dataCid);
  }
}
