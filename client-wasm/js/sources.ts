/**
 * The bytes of files of several pieces, in the network worker: those that are stored until all copies are at their miners, and those that
 * were only referred to and are known while the page is open.
 */

import { Age, encryptionModule } from './age.js';
import { SealdropError } from './errors.js';
import { SealedSource } from './sealing.js';
import type { PieceBytes } from './serving.js';
import type { Deals, FileOnDisk, PartOfFile } from './store.js';
import { leafDigests } from './wasm/sealdrop_client.js';

/** The bytes of all files. */
export class Sources {
  readonly #store: Deals;
  /** Bytes that are read often, so that each read does not go through the database, and those that are not in it. */
  readonly #blobs = new Map<string, Blob>();
  #age: Promise<Age> | undefined;

  constructor(store: Deals) {
    this.#store = store;
  }

  /** Knows the bytes of a file as long as this lives. */
  remember(id: string, blobs: readonly Blob[] = []): void {
    for (const [at, blob] of blobs.entries()) {
      this.#blobs.set(`${id}/${at}`, blob);
    }
  }

  /** One of a file's blobs; undefined where nothing is here of it. */
  async blob(id: string, at: number): Promise<Blob | undefined> {
    const key = `${id}/${at}`;
    const known = this.#blobs.get(key) ?? (await this.#kept(id, at));
    if (known !== undefined) {
      this.#blobs.set(key, known);
    }
    return known;
  }

  async #kept(id: string, at: number): Promise<Blob | undefined> {
    const kept = await this.#store.source(id, at);
    return kept === undefined || kept instanceof Blob ? kept : onDisk(kept);
  }

  forget(id: string): void {
    for (const key of [...this.#blobs.keys()]) {
      if (key.startsWith(`${id}/`)) {
        this.#blobs.delete(key);
      }
    }
  }

  /** What a deal about the piece `dataCid` sends: bytes of a file, or of its ciphertext. */
  async part({ file, at, offset, size }: PartOfFile, dataCid: string): Promise<PieceBytes> {
    const [blob, contents] = await Promise.all([this.blob(file, at), this.#store.contents(file)]);
    if (blob === undefined || contents === undefined) {
      throw new SealdropError('file-lost', 'this browser no longer has the file of this deal');
    }
    // Only of files that are known to be stored as they are.
    if (contents.sealed === undefined) {
      return blob.slice(offset, offset + size);
    }
    const state = contents.sealed.files[at]?.state;
    if (state === undefined) {
      throw new SealdropError('file-lost', 'this browser no longer has what encrypts the file of this deal');
    }
    this.#age ??= encryptionModule().then((module) => Age.load(module));
    // It may be there the next time.
    this.#age.catch(() => {
      this.#age = undefined;
    });
    const digests = leafDigests(dataCid, contents.nodes[at]?.get(offset) ?? []);
    return new SealedSource(await this.#age, { blob, state, offset, size, digests });
  }
}

/** A file that is still where it was and what it was, as far as the browser lets this page read it now. */
async function onDisk({ handle, size, lastModified }: FileOnDisk): Promise<File | undefined> {
  const { queryPermission } = handle as AskedHandle;
  if (queryPermission !== undefined && (await queryPermission.call(handle, { mode: 'read' })) !== 'granted') {
    return undefined;
  }
  const file = await handle.getFile().catch(() => undefined);
  return file?.size === size && file.lastModified === lastModified ? file : undefined;
}

/** What browsers of one family have, and the types do not know. */
export interface AskedHandle {
  queryPermission?(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission?(options: { mode: 'read' }): Promise<PermissionState>;
}
