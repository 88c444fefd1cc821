/**
 * Files that are not of this browser, in the network worker: their manifest by its CID, and their pieces, from whichever miner gives them.
 * Both are checked against their CIDs; what a manifest says is checked when it is read.
 */

import { holders } from './copies.js';
import { problemOf, SealdropError } from './errors.js';
import type { Folders } from './folders.js';
import type { Extent, FileSpans } from './protocol.js';
import type { Deals } from './store.js';
import { type Client, fileSpans, manifestBytes } from './wasm/sealdrop_client.js';

/** Manifests of strangers that are held, at most: one has up to 7 MiB. */
const MAX_HELD = 4;

/** What this needs of the worker. */
export interface Edges {
  readonly client: Client;
  readonly store: Deals;
  readonly folders: Folders;
}

export class Strangers {
  readonly #edges: Edges;
  /** By id; the one that was read last is the last. */
  readonly #held = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();

  constructor(edges: Edges) {
    this.#edges = edges;
  }

  /** A file's manifest as it is stored. */
  async manifest(id: string): Promise<Uint8Array<ArrayBuffer>> {
    const own = await this.#edges.store.contents(id);
    if (own !== undefined) {
      return new Uint8Array(own.manifest);
    }
    const coming = this.#held.get(id) ?? this.#fetchManifest(id);
    this.#held.delete(id);
    this.#held.set(id, coming);
    // It may be there the next time.
    coming.catch(() => this.#held.delete(id));
    for (const [oldest] of this.#held) {
      if (this.#held.size <= MAX_HELD) break;
      this.#held.delete(oldest);
    }
    return coming;
  }

  async #fetchManifest(id: string): Promise<Uint8Array<ArrayBuffer>> {
    const blob = await this.#fetch(id, undefined, manifestBytes(id), () => true).catch((thrown: unknown) => {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new SealdropError(
        'not-found',
        `no miner gave the list of files ${id}: ${why}`,
        'Check the id; the files may have been stored without their list, or their deals be over.',
      );
    });
    return new Uint8Array(await blob.arrayBuffer());
  }

  /** Where a range of a file lies in its pieces, or in windows. */
  async spans(id: string, path?: string, range?: Extent, windows = false): Promise<FileSpans> {
    if ((await this.#edges.store.contents(id)) !== undefined) {
      return this.#edges.folders.spans(id, path, range, windows);
    }
    return fileSpans(await this.manifest(id), path, range?.[0] ?? 0, range?.[1], windows);
  }

  /** A piece that no miner has by a deal of this browser, checked; undefined where one has, or soon will and nobody else gives it. */
  async piece(
    dataCid: string,
    size: number,
    onBytes: (done: number) => void,
    stopped: () => boolean,
  ): Promise<Blob | undefined> {
    const own = await this.#edges.folders.dealsAbout(dataCid);
    if (holders(own).length > 0) {
      return undefined;
    }
    const coming = this.#fetch(dataCid, size, size, (done) => {
      onBytes(done);
      return !stopped();
    });
    return own.some(({ view }) => view.state === 'working') ? coming.catch(unlessAborted) : coming;
  }

  async #fetch(
    dataCid: string,
    size: number | undefined,
    most: number,
    wanted: (done: number) => boolean,
  ): Promise<Blob> {
    const parts: Blob[] = [];
    let done = 0;
    await this.#edges.client.retrieveAny(dataCid, size, most, (part) => {
      if (part === null) {
        // It begins anew at another miner.
        parts.length = 0;
        done = 0;
        return wanted(done);
      }
      const blob = part instanceof Blob ? part : new Blob([part]);
      parts.push(blob);
      done += blob.size;
      return wanted(done);
    });
    return new Blob(parts);
  }
}

/** What failed is nothing to tell of, but for a stop. */
function unlessAborted(thrown: unknown): undefined {
  if (problemOf(thrown).code === 'aborted') {
    throw thrown;
  }
  return undefined;
}
