// What happens to deals between machines: far apart, with losses, when one moves, is cut off, or goes away.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { browse, LIMIT_MS, until, World } from './world.mjs';

const MIB = 1 << 20;
/** A piece whose transfer takes some seconds over a long path, and how much of it is there when something happens. */
const LARGE = 48 * MIB;
const PART = 6 * MIB;
/** How long a host is cut off: a hundred blocks, and longer than a ping waits. SEALDROP_CUT_SECONDS=60 for a minute. */
const CUT_MS = Number(process.env.SEALDROP_CUT_SECONDS ?? 25) * 1000;

let world;
let terminal;
let seed = 0;
before(async () => {
  world = await World.start(3, ['terminal', 'browser']);
  terminal = world.terminal('terminal');
});
after(() => world?.end());

/** A test that changes paths: where namespaces are forbidden it says that it was skipped. */
const between = (name, work) =>
  test(name, { timeout: 4 * LIMIT_MS }, async (context) => {
    const { network } = world;
    if (!network.isReal) return context.skip(`no network namespaces here: ${network.impossible}`);
    try {
      await work();
    } finally {
      await world.paths({});
    }
  });

/** Stores a file with a miner and takes it back. */
async function thereAndBack(miner, bytes) {
  const path = terminal.file(++seed, bytes);
  const begun = performance.now();
  const deal = await terminal.store(path, miner.id);
  const stored = performance.now();
  assert.ok((await terminal.retrieve(deal)).equals(readFileSync(path)), 'other bytes came back');
  return { storeMs: stored - begun, retrieveMs: performance.now() - stored };
}

/** Begins to store a file, and comes back when the miner has the proposal. */
async function proposed(miner) {
  const count = async () => (await miner.ask('deals', 'list', '--miner')).deals.length;
  const already = await count();
  const ended = terminal.store(terminal.file(++seed, MIB), miner.id);
  // Whatever comes first: a store that fails says why.
  await Promise.race([ended, until('the proposal', async () => (await count()) > already)]);
  return { ended };
}

/** Begins to store a large file over a long path, and comes back when a part of it is at the miner. */
async function halfWay(miner) {
  await world.paths({ roundTripMs: 160 });
  const before = miner.pieces();
  /** Bytes of the new piece that the miner has. */
  const staged = () => {
    const fresh = [...miner.pieces()].filter(([name]) => !before.has(name));
    return Math.max(0, ...fresh.map(([, size]) => size));
  };
  const path = terminal.file(++seed, LARGE);
  let isOver = false;
  const deal = terminal.store(path, miner.id).finally(() => (isOver = true));
  deal.catch(() => {}); // It is awaited later.
  await until('a part of the piece', () => isOver || staged() >= PART);
  const part = staged();
  assert.ok(part >= PART && part < LARGE / 2, `${part} of ${LARGE} bytes are there`);
  return { path, deal, part, staged, isOver: () => isOver };
}

/** The transfer goes on from what was there: no later look finds less, and the deal is completed. */
async function goesOn({ path, deal, part, staged, isOver }) {
  let least = part;
  while (!isOver() && staged() < LARGE) {
    least = Math.min(least, staged());
    await pause(20);
  }
  const id = await deal;
  assert.equal(least, part, `${part} bytes were there, and later only ${least}`);
  await world.paths({});
  assert.ok((await terminal.retrieve(id)).equals(readFileSync(path)), 'other bytes came back');
}

test('a terminal stores a file with each of three miners on other hosts and takes it back', {
  timeout: LIMIT_MS,
}, async () => {
  assert.equal(new Set(world.miners.map(({ id }) => id)).size, 3);
  for (const miner of world.miners) await thereAndBack(miner, MIB + 17);
});

test('a page in a browser on another host does the same', { timeout: LIMIT_MS }, async () => {
  const miners = world.miners.map(({ id }) => id);
  const stored = await browse(world, miners, 3 * MIB);
  assert.deepEqual(stored, miners);
});

between('files go there and back at 40 ms with a loss of a thousandth, from terminal and browser', async () => {
  await world.paths({ roundTripMs: 40, loss: 0.001 });
  const [miner, other] = world.miners;
  const before = await world.network.count();
  const { storeMs, retrieveMs } = await thereAndBack(miner, 16 * MIB);
  assert.deepEqual(await browse(world, [other.id], 8 * MIB), [other.id]);
  const { lost } = await world.network.count();
  assert.ok(lost > before.lost, 'nothing was lost');
  const took = [storeMs, retrieveMs].map((ms) => `${(ms / 1000).toFixed(1)} s`);
  console.log(
    `16 MiB at 40 ms and 0.1 %: complete after ${took[0]}, back after ${took[1]}, ${lost - before.lost} packets lost`,
  );
});

between(
  'a miner that moves to another address in the middle of a transfer is found there, and the transfer goes on',
  async () => {
    const [miner] = world.miners;
    const transfer = await halfWay(miner);
    await world.network.move('miner1', '10.77.0.101');
    await goesOn(transfer);
  },
);

between('a transfer whose miner is cut off from everybody goes on when it is not any more', async () => {
  const [, miner] = world.miners;
  const transfer = await halfWay(miner);
  await world.network.cut('miner2');
  await pause(CUT_MS);
  await world.network.mend('miner2');
  await goesOn(transfer);
});

between(
  'miners and clients that are cut off from the chain complete their deals when they are not any more',
  async () => {
    const [, , miner] = world.miners;
    const deal = await proposed(miner);
    await world.network.cut('chain');
    await pause(CUT_MS);
    await world.network.mend('chain');
    await deal.ended;
  },
);

test('a chain endpoint that goes away in the middle of a deal and comes back finds all as it was', {
  timeout: 4 * LIMIT_MS,
}, async () => {
  const [, , miner] = world.miners;
  const deal = await proposed(miner);
  await world.chain.kill();
  await pause(5000);
  await world.chain.start();
  const id = await deal.ended;
  assert.equal((await terminal.retrieve(id)).length, MIB);
});
