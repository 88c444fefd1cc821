// What every dapp of these tests does: names a file in workers, and opens a client; with `store`, stores the file and takes it back.

import { createClient, formatFil, toBlob } from 'sealdrop-client';
import { computePiece } from 'sealdrop-client/piece';
import { ProofChecker } from 'sealdrop-client/verify';

const BYTES = 3_000_000;

/** `assets` says where the package's files are, for bundlers that leave workers alone. */
export async function run({ chain, store = false, assets = {} }) {
  const bytes = Uint8Array.from({ length: BYTES }, (_, at) => (at * 7 + (at >> 8)) & 255);
  const { pieceCid } = await computePiece(new Blob([bytes]), assets);
  const checker = new ProofChecker(assets);
  const claim = {
    sectorSize: 2048,
    proverId: '00'.repeat(32),
    randomness: '00'.repeat(32),
    sectors: [['1', '00'.repeat(32)]],
    proof: '00'.repeat(192),
  };
  const { state: proof } = await checker.window(claim);
  checker.close();
  const client = createClient({ chain, ...assets });
  try {
    const [{ address }, { network }] = await Promise.all([client.wallet.account(), client.network()]);
    return { pieceCid, proof, address, network, ...(store && (await stored(client, bytes))) };
  } finally {
    await client.close();
  }
}

async function stored(client, bytes) {
  await client.wallet.faucet();
  const types = new Set();
  const storing = client.store(bytes.subarray(0, 900), { duration: 3000, name: 'part.bin' });
  for await (const { type } of storing) types.add(type);
  const { id, file } = await storing;
  const back = new Uint8Array(await (await toBlob(client.retrieve(id))).arrayBuffer());
  const same = back.length === 900 && back.every((byte, at) => byte === bytes[at]);
  return { same, types: [...types], state: file.progress.state, cost: formatFil(file.progress.committed) };
}

/** For the test, which asks the page for it by `chain` in its address. */
export async function show(assets) {
  const asked = new URLSearchParams(location.search);
  try {
    globalThis.outcome = await run({ chain: asked.get('chain'), store: asked.has('store'), assets });
  } catch (error) {
    globalThis.outcome = {
      failed: `${error.code}: ${error.message} (${error.hint}) ${error.cause ?? ''} ${error.stack}`,
    };
  }
}
