/**
 * A piece from a miner's HTTP listener, for the Rust module, which says whether it is the piece: the bytes come in leaves, each is hashed by
 * the browser itself beside the reading, and only the digests go into the module.
 */

/** Bytes of a leaf (design §10). */
const LEAF_BYTES = 1 << 20;

/** A piece that is asked for. */
export interface Download {
  readonly url: string;
  /** Its bytes. */
  readonly size: number;
  /** Milliseconds that nothing may come. */
  readonly silence: number;
}

/**
 * Hands `sink` the leaves in order, and resolves with their SHA-256 digests, 32 bytes each. `sink` returns false to stop; what it got is worth
 * nothing before the digests were checked. Rejects when something else comes than a body of that size.
 */
export async function fetchLeaves(
  { url, size, silence }: Download,
  sink: (leaf: Uint8Array<ArrayBuffer>) => boolean,
): Promise<Uint8Array<ArrayBuffer>> {
  const stop = new AbortController();
  let timer = setTimeout(() => stop.abort(), silence);
  const heard = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stop.abort(), silence);
  };
  try {
    const response = await fetch(url, {
      signal: stop.signal,
      // The piece goes to its reader; the browser's cache would hold it twice.
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
    });
    const length = response.headers.get('content-length');
    if (response.status !== 200 || response.body === null || (length !== null && Number(length) !== size)) {
      throw new Error(`status ${response.status} with ${length ?? 'an unknown number of'} bytes`);
    }
    const digests: Promise<ArrayBuffer>[] = [];
    const body = response.body.getReader({ mode: 'byob' });
    for (let from = 0; from < size; from += LEAF_BYTES) {
      const leaf = await fill(body, Math.min(LEAF_BYTES, size - from), heard);
      digests.push(crypto.subtle.digest('SHA-256', leaf));
      if (!sink(leaf)) throw new DOMException('it is not wanted any more', 'AbortError');
    }
    const all = await Promise.all(digests);
    return new Uint8Array(await new Blob(all).arrayBuffer());
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

/** The next `length` bytes. */
async function fill(
  body: ReadableStreamBYOBReader,
  length: number,
  heard: () => void,
): Promise<Uint8Array<ArrayBuffer>> {
  let buffer = new ArrayBuffer(length);
  for (let filled = 0; filled < length; ) {
    const { value, done } = await body.read(new Uint8Array(buffer, filled));
    if (done || value === undefined) throw new Error('it ended early');
    heard();
    filled += value.length;
    buffer = value.buffer;
  }
  return new Uint8Array(buffer);
}
