/**
 * Drills, in the network worker of the tab that leads: copies are fetched from now and then, to see whether they come back. Which copy and
 * which bytes, when, and what a failure means, is decided in Rust (`shared/src/client/files/drills.rs`), also that a copy that failed three
 * times is lost and replaced where its file's order consents to that.
 *
 * Over HTTP one leaf is fetched, and compared with the digest that was found when the file was hashed. Where the miner has no HTTP that
 * this page may ask, the piece comes as a whole, as the protocol of 2019 has it.
 */

import { DIGEST_BYTES, LEAF_BYTES } from './commp.js';
import { problemOf, SealdropError } from './errors.js';
import { exactly, fetchFromMiner } from './miner-http.js';
import type { Contents, Deals, StoredDeal } from './store.js';
import type { Drilled } from './types.js';
import { type Client, leafDigests } from './wasm/sealdrop_client.js';

/** Milliseconds between two looks at what is due. */
const LOOK_MS = 60_000;
/** A piece of more bytes is not fetched as a whole unasked: a drill is to cost nothing that anybody notices. */
const MOST_WHOLE = 32 << 20;
/** Milliseconds in which a leaf must come. */
const LEAF_LIMIT_MS = 120_000;
/** What a miner does wrong; anything else is none of its copy's. */
const MINERS_OWN = new Set(['miner-unreachable', 'retrieval-failed', 'retrieval-corrupt', 'miner-misbehaved']);

/** A copy that is to be fetched from. */
export interface NextDrill {
  readonly deal: string;
  readonly miner: string;
  readonly dataCid: string;
  readonly size: number;
  readonly from: number;
  readonly to: number;
  readonly piece: number;
}

/** What this needs of the worker. */
export interface Edges {
  readonly client: Client;
  readonly store: Deals;
  /** The files that are carried on here. */
  readonly open: () => Iterable<string>;
  /** The file's record is another than before. */
  readonly keep: (id: string, state: string) => Promise<void>;
  /** All of a piece from a deal's miner. */
  readonly fetch: (state: string, stopped: () => boolean) => Promise<Blob>;
}

export class Drilling {
  readonly #edges: Edges;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** One at a time: it is no race. */
  #busy: Promise<unknown> = Promise.resolve();

  constructor(edges: Edges) {
    this.#edges = edges;
  }

  /** Drills what is due, as long as this tab leads. */
  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    for (const id of [...this.#edges.open()]) {
      const due = this.#edges.client.drillDue(id);
      if (due !== undefined && due <= Date.now() && navigator.onLine) {
        // What hinders it here is tried again when it is looked at next.
        await this.drill(id, MOST_WHOLE).catch(() => undefined);
      }
    }
  }

  /** Fetches from one copy of a file, of a piece of at most `whole` bytes if it has to come as a whole; undefined while none is kept. */
  drill(id: string, whole = Number.POSITIVE_INFINITY): Promise<Drilled | undefined> {
    const drilled = this.#busy.then(() => this.#drill(id, whole));
    this.#busy = drilled.catch(() => undefined);
    return drilled;
  }

  async #drill(id: string, whole: number): Promise<Drilled | undefined> {
    const { client, store, keep } = this.#edges;
    if (client.drillDue(id) === undefined) {
      throw new SealdropError('busy', 'this file is carried on in another tab of this page', 'Check it there.');
    }
    const [seed = 0n] = crypto.getRandomValues(new BigUint64Array(1));
    const drill = await client.nextDrill(id, seed);
    const [deal, contents] = await Promise.all([drill && store.deal(drill.deal), store.contents(id)]);
    if (drill === undefined || deal === undefined || contents === undefined) {
      return undefined;
    }
    const reason = await this.#try(drill, deal, contents, whole).then(
      () => undefined,
      (thrown: unknown) => {
        const problem = problemOf(thrown);
        if (!MINERS_OWN.has(problem.code) || !navigator.onLine) {
          throw SealdropError.from(problem);
        }
        return problem.message;
      },
    );
    const { state, verdict, strikes } = client.heardDrill(id, drill, reason === undefined);
    await keep(id, state);
    const { miner, dataCid } = drill;
    return { file: id, miner, dataCid, verdict, strikes, ...(reason === undefined ? {} : { reason }) };
  }

  async #try(drill: NextDrill, { state }: StoredDeal, contents: Contents, whole: number): Promise<void> {
    const url = await this.#edges.client.pieceUrl(state);
    if (url !== undefined && (await leafComes(url, drill, contents))) {
      return;
    }
    if (drill.size > whole) {
      throw new SealdropError('busy', 'the piece is too large to be fetched as a whole unasked');
    }
    await this.#edges.fetch(state, () => false);
  }
}

/** Whether the leaf that the drill is about comes; false where the miner cannot be asked so. */
async function leafComes(url: string, { dataCid, size, from }: NextDrill, contents: Contents): Promise<boolean> {
  const nodes = nodesOf(contents, dataCid);
  if (nodes === undefined) {
    return false;
  }
  const leaf = Math.floor(from / LEAF_BYTES);
  const [start, end] = [leaf * LEAF_BYTES, Math.min((leaf + 1) * LEAF_BYTES, size)];
  const answer = await fetchFromMiner(url, {
    headers: { range: `bytes=${start}-${end - 1}` },
    signal: AbortSignal.timeout(LEAF_LIMIT_MS),
  }).catch(() => undefined);
  // A miner that has it may still give it over libp2p: what is said here counts only when it is right or wrong.
  const partial = answer?.status === 206 || (answer?.status === 200 && start === 0 && end === size);
  if (answer === undefined || !partial) {
    await answer?.body?.cancel();
    return false;
  }
  const bytes = await exactly(answer, end - start).catch(() => undefined);
  if (bytes === undefined) {
    return false;
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await bytes.arrayBuffer()));
  const known = leafDigests(dataCid, [...nodes]).subarray(leaf * DIGEST_BYTES, (leaf + 1) * DIGEST_BYTES);
  if (known.length !== DIGEST_BYTES || digest.some((byte, at) => byte !== known[at])) {
    throw new SealdropError('retrieval-corrupt', 'the miner gave other bytes than it was given');
  }
  return true;
}

/** The nodes of a piece; undefined of the manifest's own. */
function nodesOf({ data, nodes }: Contents, dataCid: string) {
  const all = nodes.flatMap((pieces) => [...pieces.values()]);
  return all[data.indexOf(dataCid)];
}
