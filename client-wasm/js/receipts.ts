/**
 * Receipts: a deal's evidence in one file, and whose word each of its fifteen steps stands on. The rules are in the Rust module; proofs are
 * checked by the module of `verify.ts`.
 */

import { SealdropError } from './errors.js';
import { type AssetOptions, nameAssets } from './host.js';
import { type Caller, Link } from './link.js';
import type { CallOptions, Passport } from './types.js';
import type { ProofVerdict, SealClaim, WindowPoStClaim } from './verify-types.js';

/** The proofs of a receipt; null where it has too little. */
export interface ReceiptClaims {
  readonly seal: SealClaim | null;
  /** In the receipt's order. */
  readonly posts: readonly (WindowPoStClaim | null)[];
}

/** Data that are at hand, as they were hashed. */
export interface MeasuredData {
  readonly dataCid: string;
  readonly size: number;
  readonly commP: string;
}

/** Who looks at a receipt, with the verdicts on its proofs in their order. */
export interface Looking {
  readonly seal: ProofVerdict | null;
  readonly posts: readonly (ProofVerdict | null)[];
  /** Whether it is the client that made the deal. */
  readonly own: boolean;
  readonly knowsNetwork: boolean;
  readonly data: MeasuredData | null;
}

/** How a receipt is looked at. */
export interface ReceiptOptions extends CallOptions, AssetOptions {
  /** Throws `bad-argument` for a receipt of another network than the one with this genesis id. */
  readonly genesis?: string | undefined;
  /** Genesis ids of networks that are known here. The passport of any other network says that it is not known. */
  readonly networks?: readonly string[] | undefined;
  /** The receipt's piece, where it is at hand: what `computePiece` says of the file. */
  readonly data?: MeasuredData | undefined;
}

/** The functions of the module, wherever it runs. */
export interface ReceiptModule {
  genesis(receipt: Uint8Array): Promise<string>;
  claims(receipt: Uint8Array): Promise<ReceiptClaims>;
  judge(receipt: Uint8Array, looking: Looking): Promise<Passport>;
}

/**
 * Checks a receipt with nothing but its bytes: no chain, no miner and no client are asked. Everything in it is held against everything else,
 * signatures, block headers and zero-knowledge proofs; what is wrong is told of the step that it belongs to. Throws `bad-argument` for what is no
 * receipt.
 */
export async function verifyReceipt(
  receipt: Blob | Uint8Array | ArrayBuffer,
  options: ReceiptOptions = {},
): Promise<Passport> {
  const bytes = await bytesOf(receipt);
  nameAssets(options);
  const link = new Link();
  try {
    return await passportOf(moduleOf(link, options), bytes, false, options);
  } finally {
    link.end(new SealdropError('closed', 'the receipt was checked'));
  }
}

/** The functions for receipts of a worker. */
export function moduleOf(worker: Caller, { signal }: CallOptions = {}): ReceiptModule {
  return {
    genesis: (receipt) => worker.call('receiptGenesis', [receipt], { signal }),
    claims: (receipt) => worker.call('receiptClaims', [receipt], { signal }),
    judge: (receipt, looking) => worker.call('judgeReceipt', [receipt, looking], { signal }),
  };
}

/** The passport of a receipt, with its proofs checked. */
export async function passportOf(
  module: ReceiptModule,
  receipt: Uint8Array,
  own: boolean,
  { genesis, networks = [], data, signal }: ReceiptOptions = {},
): Promise<Passport> {
  const found = await module.genesis(receipt);
  if (genesis !== undefined && found !== genesis) {
    throw new SealdropError('bad-argument', `the receipt is of the network ${found}, not of ${genesis}`);
  }
  const knowsNetwork = genesis !== undefined || networks.includes(found);
  const { seal, posts } = await module.claims(receipt);
  const { ProofChecker } = await import('./verify.js');
  const checker = new ProofChecker();
  // What is not checked then is not judged either: the next call to the module says that it was stopped.
  const stop = (): void => checker.close();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const sealed = seal ? await verdict(() => checker.seal(seal)) : null;
    const windows: (ProofVerdict | null)[] = [];
    for (const claim of posts) {
      windows.push(claim ? await verdict(() => checker.window(claim)) : null);
    }
    const looking = { seal: sealed, posts: windows, own, knowsNetwork, data: data ? measured(data) : null };
    return await module.judge(receipt, looking);
  } finally {
    signal?.removeEventListener('abort', stop);
    checker.close();
  }
}

/** What it is compared by; a `Piece` has its DAG's nodes, too. */
function measured({ dataCid, size, commP }: MeasuredData): MeasuredData {
  return { dataCid, size, commP };
}

/** A proof that cannot be checked here is no reason to say nothing of the rest. */
async function verdict(check: () => Promise<ProofVerdict>): Promise<ProofVerdict> {
  try {
    return await check();
  } catch (thrown) {
    return { state: 'unchecked', detail: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

async function bytesOf(receipt: Blob | Uint8Array | ArrayBuffer): Promise<Uint8Array> {
  if (receipt instanceof Uint8Array) {
    return receipt;
  }
  return new Uint8Array(receipt instanceof ArrayBuffer ? receipt : await receipt.arrayBuffer());
}
