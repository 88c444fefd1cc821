/**
 * The verifying module with types: Filecoin's proofs, checked by a small WebAssembly module of its own.
 *
 * `client-wasm/verify` says what its exports do. Runs in workers and in Node alike; a page gives it a worker (`verify.ts`).
 */

import { unhex } from './bytes.js';
import { SealdropError } from './errors.js';
import { handOver, leftBy, type ModuleMemory, textOf } from './module-memory.js';
import type { ProofVerdict, SealClaim, WindowPoStClaim } from './verify-types.js';

/** Exports of the module. */
interface Exports extends ModuleMemory {
  key(window: number, size: number, length: number): number;
  seal(size: number, length: number): number;
  window(size: number, length: number): number;
}

/** What a check may say. */
const HOLDS = 1;
const REFUSED = 2;

/** What a proof is made with. */
type Circuit = 'porep' | 'window';

/** How the files of the verifying keys name the sectors that there are keys for. */
const SIZES: Readonly<Record<number, string>> = { 2048: '2KiB', 8388608: '8MiB', 536870912: '512MiB' };

/** The bytes of a file beside the module: `keys/porep-8MiB.vk`. */
export type ReadKey = (file: string) => Promise<Uint8Array>;

/** An instance of the module, with the keys that were needed so far. */
export class VerifyModule {
  readonly #exports: Exports;
  readonly #readKey: ReadKey;
  /** SHA-256 of each key that it has. */
  readonly #keys = new Map<string, string>();

  private constructor(exports: Exports, readKey: ReadKey) {
    this.#exports = exports;
    this.#readKey = readKey;
  }

  static async load(module: BufferSource, readKey: ReadKey): Promise<VerifyModule> {
    const { instance } = await WebAssembly.instantiate(module);
    return new VerifyModule(instance.exports as unknown as Exports, readKey);
  }

  /** Whether the proof shows that the replica encodes the data. */
  seal(claim: SealClaim): Promise<ProofVerdict> {
    const { sectorSize, commR, commD, proverId, ticket, seed, sector, proof } = claim;
    const head = [commR, commD, proverId, ticket, seed].map((text) => bytes(text, 32));
    return this.#check('porep', sectorSize, [...head, number(sector, 8), bytes(proof)]);
  }

  /** Whether the proof shows that all the sectors are stored. */
  window(claim: WindowPoStClaim): Promise<ProofVerdict> {
    const { sectorSize, proverId, randomness, sectors, proof } = claim;
    const head = [proverId, randomness].map((text) => bytes(text, 32));
    const each = sectors.flatMap(([sector, commR]) => [number(sector, 8), bytes(commR, 32)]);
    return this.#check('window', sectorSize, [...head, number(String(sectors.length), 4), ...each, bytes(proof)]);
  }

  async #check(circuit: Circuit, size: number, parts: readonly Uint8Array[]): Promise<ProofVerdict> {
    const key = await this.#key(circuit, size);
    if (key === undefined) {
      return { state: 'unchecked', detail: `no verifying key is known for sectors of ${size} bytes` };
    }
    const length = handOver(this.#exports, parts);
    if (length === 0) {
      return { state: 'unchecked', detail: 'the claim is longer than any that a proof is made of' };
    }
    const begun = performance.now();
    const verdict = circuit === 'porep' ? this.#exports.seal(size, length) : this.#exports.window(size, length);
    const milliseconds = performance.now() - begun;
    if (verdict === HOLDS) {
      return { state: 'holds', milliseconds, key };
    }
    const detail = textOf(leftBy(this.#exports));
    return verdict === REFUSED ? { state: 'fails', milliseconds, detail } : { state: 'unchecked', detail };
  }

  /** The digest of the key for this, which is fetched once; undefined when there is none. */
  async #key(circuit: Circuit, size: number): Promise<string | undefined> {
    const label = SIZES[size];
    const file = `keys/${circuit}-${label}.vk`;
    const known = this.#keys.get(file);
    if (label === undefined || known !== undefined) {
      return known;
    }
    const length = handOver(this.#exports, [await this.#readKey(file)]);
    if (!this.#exports.key(Number(circuit === 'window'), size, length)) {
      const reason = textOf(leftBy(this.#exports));
      throw new SealdropError('unsupported', `the verifying key ${file} is not usable: ${reason}`);
    }
    const digest = textOf(leftBy(this.#exports));
    this.#keys.set(file, digest);
    return digest;
  }
}

/** What hexadecimal text stands for. */
function bytes(text: string, length = text.length / 2): Uint8Array {
  if (text.length % 2 !== 0 || text.length !== 2 * length || !/^[0-9a-f]*$/i.test(text)) {
    throw new SealdropError('bad-argument', `"${text.slice(0, 20)}" is not hexadecimal of ${Math.ceil(length)} bytes`);
  }
  return unhex(text);
}

/** A number in decimal text, little-endian. */
function number(text: string, length: number): Uint8Array {
  if (!/^[0-9]{1,20}$/.test(text) || BigInt(text) >> 64n !== 0n) {
    throw new SealdropError('bad-argument', `"${text.slice(0, 20)}" is not a sector's number`);
  }
  const whole = new Uint8Array(8);
  new DataView(whole.buffer).setBigUint64(0, BigInt(text), true);
  return whole.subarray(0, length);
}
