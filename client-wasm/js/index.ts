/**
 * Sealdrop's storage client: keeps files with storage miners, and checks that they keep them. For browsers, and for Node.
 *
 * ```ts
 * import { createClient } from 'sealdrop-client';
 *
 * const client = createClient({ chain: 'http://127.0.0.1:4403/rpc' });
 * for await (const event of client.store(file, { duration: 2500 })) console.log(event.type);
 * ```
 *
 * @packageDocumentation
 */

import { SealdropError } from './errors.js';
import { Link } from './link.js';
import type { PageLink } from './types.js';

export { formatFil, parseFil } from './amounts.js';
export { type Client, createClient, type Wallet } from './client.js';
export { type MoreOfError, SealdropError } from './errors.js';
export { computeFiles } from './files.js';
export type { AssetOptions } from './host.js';
export { roomForCopy } from './opfs.js';
export { computePiece, resumePiece } from './pieces.js';
export { type MeasuredData, type ReceiptOptions, verifyReceipt } from './receipts.js';
export type { Storing } from './storing.js';
export * from './types.js';
export type * from './verify-types.js';
export { toBlob } from './whole.js';

/**
 * Reads a link that opens a page at a miner or a chain (`https://page.example/#/miner=t2…&chain=https://…`), or what stands
 * behind its `#`; undefined when it is none. A link is a stranger's word: ask before you use a chain that you do not know. Throws
 * `bad-argument` for one that is damaged.
 */
export async function readLink(text: string): Promise<PageLink | undefined> {
  const link = new Link();
  try {
    return await link.call('readLink', [text]);
  } finally {
    link.end(new SealdropError('closed', 'the link was read'));
  }
}
