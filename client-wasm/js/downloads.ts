/**
 * A piece from a miner's HTTP listener, for the Rust module, which says whether it is the piece.
 *
 * A range that has come is a Blob, which may lie on the disk, and is read once to hash its leaves, which the browser does itself. Only the
 * digests go into the module. While one range is hashed, the next one comes.
 */

import { LEAF_BYTES } from './commp.js';
import { exactly, fetchFromMiner } from './miner-http.js';
import { Reader } from './reading.js';

/** Bytes of a range: few requests, and little that comes again when one of them fails. Two are under way. */
const RANGE_BYTES = 32 * LEAF_BYTES;
/** Times that a range is asked for. */
const ATTEMPTS = 2;

/** A piece that is asked for. */
export interface Download {
  readonly url: string;
  /** Its bytes. */
  readonly size: number;
  /** Milliseconds in which a range must come. */
  readonly limit: number;
}

/**
 * Hands `sink` the piece's ranges in order, and resolves with the SHA-256 digests of its leaves, 32 bytes each. `sink` returns false to stop;
 * what it got is worth nothing before the digests were checked. Rejects when something else comes than such a piece.
 */
export async function fetchLeaves(
  { url, size, limit }: Download,
  sink: (range: Blob) => boolean,
): Promise<Uint8Array<ArrayBuffer>> {
  const stop = new AbortController();
  const digests: Promise<ArrayBuffer>[] = [];
  const ask = (from: number): Promise<Blob> => {
    const to = Math.min(from + RANGE_BYTES, size);
    const coming = fetchRange(url, { from, to, size }, AbortSignal.any([stop.signal, AbortSignal.timeout(limit)]));
    // It is awaited later; a rejection until then must not count as unhandled.
    coming.catch(() => undefined);
    return coming;
  };
  try {
    let ahead: Promise<Blob> | undefined = ask(0);
    for (let from = 0; ahead !== undefined; from += RANGE_BYTES) {
      const range: Blob = await ahead;
      ahead = from + RANGE_BYTES < size ? ask(from + RANGE_BYTES) : undefined;
      digests.push(...(await hash(range)));
      if (!sink(range)) throw new DOMException('it is not wanted any more', 'AbortError');
    }
    return new Uint8Array(await new Blob(await Promise.all(digests)).arrayBuffer());
  } finally {
    stop.abort();
  }
}

interface Range {
  readonly from: number;
  readonly to: number;
  /** Bytes of the piece. */
  readonly size: number;
}

async function fetchRange(url: string, { from, to, size }: Range, signal: AbortSignal): Promise<Blob> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await fetchFromMiner(url, { headers: { range: `bytes=${from}-${to - 1}` }, signal });
      const whole = from === 0 && to === size;
      if (response.status !== 206 && !(whole && response.status === 200)) {
        throw new Error(`status ${response.status} for bytes ${from} to ${to}`);
      }
      // Longer bodies are not taken in: they may never end.
      return await exactly(response, to - from);
    } catch (thrown) {
      if (attempt === ATTEMPTS || signal.aborted) throw thrown;
    }
  }
}

/** The digests of a range's leaves; all of it was read when this resolves. */
async function hash(range: Blob): Promise<Promise<ArrayBuffer>[]> {
  const digests: Promise<ArrayBuffer>[] = [];
  const reader = new Reader(range, 0, range.size);
  try {
    for (let from = 0; from < range.size; from += LEAF_BYTES) {
      const length = Math.min(LEAF_BYTES, range.size - from);
      const next = Math.min(LEAF_BYTES, range.size - from - length);
      // The browser takes a copy before this returns, so the buffer may be filled again.
      digests.push(crypto.subtle.digest('SHA-256', await reader.take(length, next)));
    }
  } finally {
    reader.end();
  }
  return digests;
}
