/**
 * The hashing module with types: CommP and data root, in a small WebAssembly module of its own.
 *
 * `client-wasm/commp` says what its exports do. Runs in pages, workers and Node alike.
 */

import { SealdropError } from './errors.js';
import { readAsset, wasmFile } from './host.js';
import { handOver, leftBy, type ModuleMemory, textOf } from './module-memory.js';
import type { Piece } from './types.js';

/** Exports of the module. */
interface Exports extends ModuleMemory {
  divide(size: number, workers: number, height: number): number;
  slice(size: number, height: number, index: number): number;
  begin(size: number, height: number, index: number, leaves: number): number;
  push(length: number): number;
  finish(): number;
  add_slice(length: number): number;
  assemble(size: number): number;
  cut(size: number, sector: number): number;
  begin_file(size: number, sector: number): number;
  add_piece(): number;
  finish_file(): number;
  node(index: number): number;
}

/** A file in slices. */
export interface Division {
  /** Levels of a whole slice's tree; names the division. */
  readonly height: number;
  readonly slices: number;
}

/** Places in the file, from and to. */
export interface Slice {
  /** What goes into CommP. */
  readonly bytes: readonly [number, number];
  /** The leaves of the data's own tree that belong to this slice. */
  readonly leaves: readonly [number, number];
}

/** How a file is cut into pieces. */
export interface Cut {
  readonly pieces: number;
  /** Bytes of every piece but the last. */
  readonly step: number;
}

/** Bytes of a leaf of the data's own tree. */
export const LEAF_BYTES = 1 << 20;
/** Bytes of a digest. */
export const DIGEST_BYTES = 32;
/** Bytes of a slice's names before its leaves' digests: height and root. */
export const NAMES_HEAD = 1 + DIGEST_BYTES;

/** Bytes handed over at a time: four leaves, which the module hashes side by side. */
const INPUT_BYTES = 4 * LEAF_BYTES;

/** An instance of the module. It holds one slice, or the slices of one file. */
export class Commp {
  readonly #exports: Exports;

  private constructor(exports: Exports) {
    this.#exports = exports;
  }

  /** Fetches and compiles the module; one compilation serves any number of workers. */
  static async compile(): Promise<WebAssembly.Module> {
    const beside = new URL('./wasm/sealdrop_commp.wasm', import.meta.url);
    const bytes = await readAsset(wasmFile('sealdrop_commp.wasm', beside));
    try {
      return await WebAssembly.compile(bytes);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new SealdropError(
        'unsupported',
        `the hashing module does not run here: ${reason}`,
        'Use a current browser.',
        { cause: error },
      );
    }
  }

  /** An instance with a memory of its own. */
  static async load(module: WebAssembly.Module): Promise<Commp> {
    const { exports } = await WebAssembly.instantiate(module);
    return new Commp(exports as unknown as Exports);
  }

  /** How a file is shared by that many workers; or as it was divided before, with a `height`. */
  divide(size: number, workers: number, height = 0): Division {
    return this.#json(this.#exports.divide(size, workers, height));
  }

  /** Where a slice lies. */
  slice(size: number, height: number, index: number): Slice {
    return this.#json(this.#exports.slice(size, height, index));
  }

  /** Begins a slice. With `leaves`, its leaves are hashed too. */
  begin(size: number, height: number, index: number, leaves: boolean): void {
    this.#result(this.#exports.begin(size, height, index, Number(leaves)));
  }

  /** Takes the slice's next bytes; they are copied. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += INPUT_BYTES) {
      const part = bytes.subarray(at, at + INPUT_BYTES);
      handOver(this.#exports, [part]);
      this.#result(this.#exports.push(part.length));
    }
  }

  /** Ends the slice: its names, to be kept or given to `assemble`. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#result(this.#exports.finish());
  }

  /** The names of a file from those of all its slices, in order. */
  assemble(size: number, slices: Iterable<Uint8Array>): Piece {
    this.#add(slices);
    return this.#piece(this.#exports.assemble(size));
  }

  /** How a file is cut for sectors of `sector` bytes. Throws `file-too-large` for one that cannot be. */
  cut(size: number, sector: number): Cut {
    try {
      return this.#json(this.#exports.cut(size, sector));
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      throw new SealdropError('file-too-large', reason, 'Choose miners with larger sectors, or store it in parts.');
    }
  }

  /** Begins a file that is cut like that; its pieces come by `addPiece`, in order. */
  beginFile(size: number, sector: number): void {
    this.#result(this.#exports.begin_file(size, sector));
  }

  /** The names of the file's next piece from those of all its slices, in order. */
  addPiece(slices: Iterable<Uint8Array>): Piece {
    this.#add(slices);
    return this.#piece(this.#exports.add_piece());
  }

  /** The root of the file whose pieces were all added. */
  finishFile(): string {
    return textOf(this.#result(this.#exports.finish_file()));
  }

  #add(slices: Iterable<Uint8Array>): void {
    for (const names of slices) {
      handOver(this.#exports, [names]);
      this.#result(this.#exports.add_slice(names.length));
    }
  }

  #piece(succeeded: number): Piece {
    const piece = this.#json<Omit<Piece, 'nodes'> & { nodes: string[] }>(succeeded);
    const nodes = piece.nodes.map((cid, index) => ({ cid, bytes: this.#result(this.#exports.node(index)) }));
    return { ...piece, nodes };
  }

  /** A copy of what a call left; throws it where it is the reason of a failure. */
  #result(succeeded: number): Uint8Array<ArrayBuffer> {
    const result = leftBy(this.#exports).slice();
    if (!succeeded) {
      throw new SealdropError('bad-argument', `the file is not usable: ${textOf(result)}`);
    }
    return result;
  }

  #json<T>(succeeded: number): T {
    return JSON.parse(textOf(this.#result(succeeded))) as T;
  }
}
