/**
 * Computes the names of one file off the main thread, then waits to be ended.
 *
 * The next slice is read while the last one is hashed. Slices are read whole: a byte stream of the browser stalls for
 * ever when its Blob is collected, and hashing is slower than reading either way.
 */

import { problemOf } from './errors.js';
import type { FromPiece } from './protocol.js';
import init, { Digest } from './wasm/sealdrop_client.js';

/** Bytes read at a time: large enough to keep the hashing busy, small enough for a telephone's memory. */
const SLICE = 2 << 20;
/** A read that takes longer has stalled: the medium is gone, or the browser lost it. */
const READ_LIMIT_MS = 30_000;

function post(message: FromPiece): void {
  self.postMessage(message);
}

/** A slice's bytes; rejects when the browser never comes back with them. */
async function read(file: Blob, offset: number): Promise<Uint8Array> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException('reading takes too long', 'NotReadableError')), READ_LIMIT_MS);
  });
  try {
    return new Uint8Array(await Promise.race([file.slice(offset, offset + SLICE).arrayBuffer(), stalled]));
  } finally {
    clearTimeout(timer);
  }
}

async function digest(file: Blob): Promise<void> {
  const [, first] = await Promise.all([init(), read(file, 0)]);
  const names = new Digest();
  let bytes = first;
  let done = 0;
  while (done < file.size) {
    const end = done + bytes.length;
    const next = end < file.size ? read(file, end) : undefined;
    // It is awaited below; a rejection while the hashing runs must not count as unhandled.
    next?.catch(() => undefined);
    names.push(bytes);
    done = end;
    post({ kind: 'progress', done });
    if (next === undefined) {
      break;
    }
    bytes = await next;
  }
  post({ kind: 'piece', piece: names.finish() });
}

self.onmessage = (event: MessageEvent<Blob>) => {
  digest(event.data).catch((thrown: unknown) => post({ kind: 'problem', problem: problemOf(thrown) }));
};
