/**
 * Some bytes of a piece, in the network worker: over HTTP from one of its miners, checked leaf by leaf, and from the next one where one
 * fails or lies. Where no miner gives ranges to this page, the whole piece is fetched as ever, and held while parts of it are read.
 *
 * What is asked for, and what of the answer counts, is said in Rust (`shared/src/retrieval/ranges.rs`); the leaves are hashed by the browser.
 */

import { joined } from './bytes.js';
import { type Holder, holders } from './copies.js';
import { abortedError } from './meter.js';
import { fetchFromMiner } from './miner-http.js';
import type { PieceSpan } from './protocol.js';
import { type Client, PieceRange } from './wasm/sealdrop_client.js';

/** Milliseconds for which a miner's addresses count, and for which one that failed is asked behind the others. */
const REMEMBER_MS = 60_000;
/** Miners of which something is remembered at once: each entry is a few hundred bytes. */
const MOST_REMEMBERED = 256;
/** Whole pieces that are held where no ranges are to be had: the one that is read, and the next one. */
const WHOLE_PIECES = 2;
/** Longest time for which a miner may ask to come again. */
const MOST_WAIT_MS = 5_000;

/** What this needs of the worker. */
export interface RangeEdges {
  readonly client: Client;
  /** The deals about a piece. */
  readonly deals: (dataCid: string) => Promise<readonly Holder[]>;
  /** The whole piece, checked. */
  readonly whole: (dataCid: string, size: number, stopped: () => boolean) => Promise<Blob>;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Reads parts of pieces. */
export class Ranges {
  readonly #edges: RangeEdges;
  /** Where miners give ranges, by deal. */
  readonly #addresses = new Map<string, { readonly at: number; readonly urls: Promise<string[]> }>();
  /** When a miner failed last. */
  readonly #failed = new Map<string, number>();
  readonly #whole = new Map<string, Promise<Blob>>();

  constructor(edges: RangeEdges) {
    this.#edges = edges;
  }

  /** The part, checked. */
  async read(span: PieceSpan, stopped: () => boolean): Promise<Bytes> {
    const { dataCid, size, to } = span;
    const out: Bytes[] = [];
    let { from } = span;
    for (const holder of this.#inOrder(holders(await this.#edges.deals(dataCid)))) {
      const [url] = await this.#urlsOf(holder);
      if (url === undefined) {
        continue;
      }
      try {
        await readFrom(url, { dataCid, size, from, to }, stopped, (part) => {
          out.push(part);
          from += part.length;
        });
        return asOne(out);
      } catch (thrown) {
        if (stopped()) {
          throw abortedError();
        }
        // What came of it is checked, and kept; what it was to bring is asked of the next one.
        console.debug(`bytes of ${dataCid} are asked for elsewhere than at ${url}: ${String(thrown)}`);
        remember(this.#failed, holder.view.miner, Date.now());
      }
    }
    const piece = await this.#wholePiece(span, stopped);
    out.push(new Uint8Array(await piece.slice(from, to).arrayBuffer()));
    return asOne(out);
  }

  /** The whole piece, where it was fetched for a part of it and is still held. */
  async held(dataCid: string): Promise<Blob | undefined> {
    return this.#whole.get(dataCid)?.catch(() => undefined);
  }

  /** Those first that have not failed lately. */
  #inOrder(all: readonly Holder[]): readonly Holder[] {
    const since = Date.now() - REMEMBER_MS;
    const hasFailed = ({ view }: Holder): boolean => (this.#failed.get(view.miner) ?? 0) > since;
    return [...all.filter((holder) => !hasFailed(holder)), ...all.filter(hasFailed)];
  }

  async #urlsOf({ state, view }: Holder): Promise<readonly string[]> {
    let known = this.#addresses.get(view.id);
    if (known === undefined || known.at < Date.now() - REMEMBER_MS) {
      known = { at: Date.now(), urls: this.#edges.client.httpAddresses(state) };
      remember(this.#addresses, view.id, known);
    }
    try {
      return await known.urls;
    } catch {
      // The chain does not answer: the piece may come over a connection that stands.
      this.#addresses.delete(view.id);
      return [];
    }
  }

  #wholePiece(span: PieceSpan, stopped: () => boolean): Promise<Blob> {
    const known = this.#whole.get(span.dataCid);
    if (known !== undefined) {
      // Whoever asked for it first may be gone, and have stopped it.
      return known.catch(() => this.#fetchWhole(span, stopped));
    }
    return this.#fetchWhole(span, stopped);
  }

  #fetchWhole({ dataCid, size }: PieceSpan, stopped: () => boolean): Promise<Blob> {
    const coming = this.#edges.whole(dataCid, size, stopped);
    remember(this.#whole, dataCid, coming, WHOLE_PIECES);
    coming.catch(() => {
      if (this.#whole.get(dataCid) === coming) {
        this.#whole.delete(dataCid);
      }
    });
    return coming;
  }
}

/** Sets an entry anew, as the newest one; the oldest goes where there are too many. */
function remember<T>(map: Map<string, T>, key: string, value: T, most = MOST_REMEMBERED): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) {
    map.delete(oldest);
  }
}

/** The parts in a buffer of their own; a single one that has one is not copied. */
function asOne(parts: readonly Bytes[]): Bytes {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && only.byteLength === only.buffer.byteLength) {
    return only;
  }
  return joined(...parts);
}

/** Hands out the part's bytes from one miner, as far as they are right; rejects when it has them not, or others. */
async function readFrom(
  url: string,
  { dataCid, size, from, to }: PieceSpan,
  stopped: () => boolean,
  out: (part: Bytes) => void,
): Promise<void> {
  const range = new PieceRange(dataCid, size, from, to);
  const stop = new AbortController();
  try {
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(range.limitMs())]);
    const answer = new Answer(await ask(`${url}${range.path()}`, signal), stopped);
    for (let wanted = range.wants(); wanted > 0; wanted = range.wants()) {
      const bytes = await answer.take(wanted);
      if (range.isLeaf()) {
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        const [start, end] = range.takeDigest(digest);
        out(bytes.subarray(start, end));
      } else {
        range.take(bytes);
      }
    }
  } finally {
    range.free();
    stop.abort();
  }
}

/** The answer's body. A miner that has the piece in a moment says when. */
async function ask(url: string, signal: AbortSignal): Promise<ReadableStream<Bytes>> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetchFromMiner(url, {
      signal,
      headers: { accept: 'application/vnd.ipld.car; version=1; order=dfs; dups=y' },
    });
    if (response.status === 200 && response.body !== null) {
      return response.body;
    }
    const wait = Number(response.headers.get('retry-after') ?? Number.NaN) * 1000;
    void response.body?.cancel().catch(() => undefined);
    if (attempt > 1 || !(wait <= MOST_WAIT_MS)) {
      throw new Error(`status ${response.status}`);
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

/** An answer on its way here, of which exactly as many bytes are taken as are wanted. */
class Answer {
  readonly #reader: ReadableStreamDefaultReader<Bytes>;
  readonly #stopped: () => boolean;
  /** What came and was not taken yet. */
  #rest: Bytes = new Uint8Array();

  constructor(body: ReadableStream<Bytes>, stopped: () => boolean) {
    this.#reader = body.getReader();
    this.#stopped = stopped;
  }

  async take(wanted: number): Promise<Bytes> {
    const bytes = new Uint8Array(wanted);
    let filled = 0;
    while (filled < wanted) {
      if (this.#stopped()) {
        throw abortedError();
      }
      if (this.#rest.length === 0) {
        const { done, value } = await this.#reader.read();
        if (done) {
          throw new Error('the answer breaks off');
        }
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, wanted - filled);
      bytes.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return bytes;
  }
}
