/** News of the chain for the page. */

import { problemOf } from './errors.js';
import type { FromNetwork } from './protocol.js';
import type { Client } from './wasm/sealdrop_client.js';

/** Least milliseconds between two heads that the page is told of: it draws itself anew with each. */
const HEAD_WAIT_MS = 1000;

/** Tells the page of every new block, and once when the chain is lost. */
export async function watchHead(
  client: Client,
  post: (message: FromNetwork) => void,
  isClosed: () => boolean,
): Promise<void> {
  let block = '';
  let lost = false;
  while (!isClosed()) {
    try {
      const head = await client.nextHead(block);
      block = head.block;
      post({ kind: 'event', event: 'head', value: head });
      lost = false;
    } catch (thrown) {
      if (!lost) {
        post({ kind: 'event', event: 'problem', value: problemOf(thrown) });
      }
      lost = true;
    }
    await new Promise((resolve) => setTimeout(resolve, HEAD_WAIT_MS));
  }
}
