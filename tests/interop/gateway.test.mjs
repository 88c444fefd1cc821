// Other people's clients read files and ranges from the miner's public HTTP: Helia's verified fetch, which checks every block, and curl.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import './node.mjs';
import { fallbackRouter } from '@helia/fallback-router';
import { withHTTP } from '@helia/http';
import { createVerifiedFetchWithHelia } from '@helia/verified-fetch';
import { createHeliaLight } from 'helia';
import { base32 } from 'multiformats/bases/base32';
import { PROGRAM } from '../browser/daemon.mjs';
import { start } from './daemon.mjs';

const MIB = 1 << 20;
/** More than one leaf, and not a whole number of them. */
const BYTES = Buffer.from(
  Uint8Array.from({ length: 3 * MIB + 4321 }, (_, i) => (i * 131 + (i >> 8) * 7 + (i >> 16)) & 0xff),
);

let daemon;
let folder;
let piece;
before(async () => {
  daemon = await start({ sectorSize: '8MiB' });
  folder = mkdtempSync(join(tmpdir(), 'sealdrop-gateway-'));
  const file = join(folder, 'file');
  writeFileSync(file, BYTES);
  const added = await run(PROGRAM, ['mining', 'add-piece', file, '--json', '--home', daemon.home]);
  piece = JSON.parse(added.stdout);
  await until(() => fetch(`${daemon.http}/ipfs/${piece.dataCid}?format=raw`).then((answer) => answer.ok));
});
after(async () => {
  await daemon?.end();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const run = promisify(execFile);

/** CommP as a piece CID of version 1: fil-commitment-unsealed, sha2-256-trunc254-padded. */
const pieceCid = () => base32.encode(Buffer.from(`0181e203922020${piece.commP}`, 'hex'));

async function until(holds) {
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`it does not come about: ${holds}`);
}

/**
 * A client that knows this gateway alone: no routers, no other peers. Helia 7 asks its fallback only after a router has answered, so the
 * gateway is told by one.
 */
async function verifiedFetch() {
  const http = { delegatedRouters: [], recursiveGateways: [], allowInsecure: true, allowLocal: true };
  const helia = withHTTP(createHeliaLight(), http);
  const known = fallbackRouter({ gateways: [daemon.http] });
  helia.addRouter({ name: 'known', findProviders: (cid, options) => known.findProviders(cid, options) });
  return createVerifiedFetchWithHelia(await helia.start());
}

test('@helia/verified-fetch reads a file and a range of it from the gateway', async () => {
  const get = await verifiedFetch();
  try {
    const whole = await get(`ipfs://${piece.dataCid}`);
    assert.equal(whole.status, 200);
    assert.deepEqual(Buffer.from(await whole.arrayBuffer()), BYTES);
    const part = await get(`ipfs://${piece.dataCid}`, { headers: { range: `bytes=${MIB - 5}-${2 * MIB + 5}` } });
    assert.equal(part.status, 206);
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), BYTES.subarray(MIB - 5, 2 * MIB + 6));
  } finally {
    await get.stop();
  }
});

test('curl reads a piece, a range of it, and goes on where it was', async () => {
  const url = `${daemon.http}/piece/${pieceCid()}`;
  const curl = (...words) => run('curl', ['-sSf', ...words], { encoding: 'buffer', maxBuffer: 16 * MIB });
  assert.deepEqual((await curl(url)).stdout, BYTES);
  assert.deepEqual((await curl('-r', '1000000-1999999', url)).stdout, BYTES.subarray(1_000_000, 2_000_000));
  const file = join(folder, 'half');
  writeFileSync(file, BYTES.subarray(0, 777_777));
  await curl('-C', '-', '-o', file, url);
  assert.deepEqual((await curl(`file://${file}`)).stdout, BYTES);
});
