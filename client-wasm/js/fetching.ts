/** Getting back what a deal is about: its parts are put together here, and the page is told how far it is. */

import type { FromNetwork } from './protocol.js';
import type { Client } from './wasm/sealdrop_client.js';

/** Least milliseconds between two progress messages of one retrieval. */
const PROGRESS_WAIT_MS = 100;

/** What a deal is about, from its miner; it is checked when this returns. */
export async function fetch(
  client: Client,
  state: string,
  onBytes: (done: number) => void,
  stopped: () => boolean,
): Promise<Blob> {
  const parts: Blob[] = [];
  let done = 0;
  await client.retrieve(state, (part) => {
    if (part === null) {
      // It begins anew in another way.
      parts.length = 0;
      done = 0;
      return !stopped();
    }
    // A Blob may lie on disk, an array only in memory.
    const blob = part instanceof Blob ? part : new Blob([part]);
    if (blob.size > 0) {
      parts.push(blob);
    }
    done += blob.size;
    onBytes(done);
    return !stopped();
  });
  return new Blob(parts);
}

/** Tells the page how many bytes of a call are here, now and then. */
export function progressOf(post: (message: FromNetwork) => void, call: number, total: number): (done: number) => void {
  let told = 0;
  return (done) => {
    const now = performance.now();
    if (now - told >= PROGRESS_WAIT_MS || done === total) {
      told = now;
      post({ kind: 'progress', id: call, done, total });
    }
  };
}
