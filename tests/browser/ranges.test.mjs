// Ranges of a file through the npm package in real Chromium: only the leaves that they lie in are fetched, each is checked, a miner that lies
// is not believed and the next one asked, and where nobody gives ranges the whole piece comes. Proofs are fake.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { askClient, fund, launch, onPage, SOON_MS } from './page.mjs';

const MIB = 1 << 20;
const LIMIT = { timeout: 10 * SOON_MS };

let browser;
let first;
let second;

before(async () => {
  const options = { sectorSize: '8MiB', program: FAKE };
  first = await Daemon.start(['--auto-seal', '200ms'], options);
  second = await Daemon.start(['--auto-seal', '200ms'], { ...options, joins: first });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await second?.end();
  await first?.end();
});

/** In the page: stores nine MiB at two miners, in pieces of seven and two, and gives the file's id. */
const store = async (client, limit) => {
  const bytes = new Uint8Array(9 << 20).map((_, i) => Math.imul(i, 2654435761) >>> 24);
  const file = new File([bytes], 'twice.bin');
  const order = { duration: 3000, copies: 2 };
  const prepared = await client.prepare(file, order);
  const { id } = await client.store(file, { prepared, until: 'ordered', ...order });
  const end = Date.now() + limit;
  for (;;) {
    const { progress, parts } = await client.file(id);
    if (progress.state === 'kept') return { id, deal: parts[0].copies[0].deal };
    if (progress.state !== 'under-way' || Date.now() > end) throw { code: 'late', message: JSON.stringify(progress) };
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
};

/** In the page: whether ranges come as their bytes. */
const read = async (client, { id, ranges, deal }) => {
  const wrong = [];
  for (const [from, to] of ranges) {
    const stream = deal ? client.retrieve(deal, { range: [from, to] }) : client.retrieve(id, { range: [from, to] });
    const reader = stream.getReader();
    let at = from;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const start = at;
      at += value.length;
      if (!value.every((byte, i) => byte === Math.imul(start + i, 2654435761) >>> 24)) wrong.push([start, at]);
    }
    if (at !== to) wrong.push([from, at]);
  }
  return wrong;
};

test('a range comes checked from whichever miner does not lie, and nothing is fetched but what it lies in', LIMIT, () =>
  onPage(browser, first, 'ranges', async (page) => {
    const ask = (work, input) => askClient(page, first.chain, work, input);
    await fund(page, first.chain);
    const { id, deal } = await ask(store, 6 * SOON_MS);

    let asked = [];
    page.on('request', (request) => {
      const { host, pathname, searchParams } = new URL(request.url());
      if (!/^[/](ipfs|piece)[/]/.test(pathname)) return;
      const [from, last] = searchParams.get('entity-bytes')?.split(':').map(Number) ?? [];
      asked.push({ host, what: pathname.split('/')[1], bytes: last - from + 1 });
    });
    const bytes = () => asked.reduce((sum, one) => sum + one.bytes, 0);

    // Across the border of two pieces, within a leaf, and the last byte.
    const ranges = [
      [7 * MIB - 5, 7 * MIB + 5],
      [3 * MIB + 17, 3 * MIB + 18],
      [9 * MIB - 1, 9 * MIB],
      [5, 5],
    ];
    assert.deepEqual(await ask(read, { id, ranges }), []);
    assert.deepEqual([bytes(), asked.every(({ what }) => what === 'ipfs')], [12, true]);
    asked = [];
    assert.deepEqual(await ask(read, { id, ranges: [[MIB + 1, 9 * MIB]] }), []);
    assert.equal(bytes(), 8 * MIB - 1, 'each byte once');
    assert.deepEqual(await ask(read, { id, deal, ranges: [[100, 3 * MIB]] }), []);

    // One of them changes a byte of what it sends, deep in a leaf.
    let lies = 0;
    const lie = async (route) => {
      const response = await route.fetch();
      const body = await response.body();
      body[body.length - 100] ^= 1;
      lies += 1;
      await route.fulfill({ response, body });
    };
    const [liar] = asked.map(({ host }) => host);
    asked = [];
    await page.context().route(`http://${liar}/ipfs/**`, lie);
    assert.deepEqual(await ask(read, { id, ranges: [[MIB, 6 * MIB]] }), []);
    assert.ok(lies > 0, 'the liar was asked');
    assert.ok(new Set(asked.map(({ host }) => host)).size > 1, 'and the other one behind it');
    // Having lied, it is asked behind the other one.
    assert.ok(lies < 3, `it was asked ${lies} times`);

    // Nobody gives ranges: the piece comes whole, once.
    await page.context().unrouteAll();
    await page.context().route('**/ipfs/**', (route) => route.fulfill({ status: 404, body: 'not here' }));
    asked = [];
    assert.deepEqual(await ask(read, { id, ranges: [[0, 6 * MIB]] }), []);
    assert.deepEqual(
      asked.filter(({ what }) => what === 'piece').length,
      1,
      'a piece of seven MiB is one request, and is held for the reads behind the first',
    );
  }),
);
