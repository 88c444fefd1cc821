// Stores a file from Node and takes it back: node node.mjs FILE [CHAIN]

import { createWriteStream, openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { Writable } from 'node:stream';
import { createClient, formatFil, parseFil } from 'sealdrop-client';

const [, , path, chain = 'http://127.0.0.1:4403/rpc'] = process.argv;
// In a folder, deals and account outlive the program; without `store` they are kept in memory.
const client = createClient({ chain, store: { folder: './sealdrop' } });
try {
  if ((await client.wallet.balance()) < parseFil('1')) await client.wallet.faucet();
  const storing = client.store(await openAsBlob(path), { name: basename(path), duration: 2500 });
  for await (const event of storing) {
    if (event.type === 'deal') console.log(event.deal.miner, event.deal.step);
  }
  const { id, file } = await storing;
  console.log(id, formatFil(file.progress.committed), 'FIL');
  await client.retrieve(id).pipeTo(Writable.toWeb(createWriteStream(`${basename(path)}.back`)));
} finally {
  await client.close();
}
