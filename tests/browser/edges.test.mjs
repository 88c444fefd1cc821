// The same scenarios through both sets of edges of the one client engine: the terminal's commands and the npm package in
// Chromium (design §5). A difference between the two is a bug; it is mended in a host, or by moving the rule into `shared`.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chainOfAnotherGenesis, chainOfCheapMiners, chainOfSilentMiners, chainOfThreeMiners } from './away.mjs';
import { Daemon } from './daemon.mjs';
import * as browser from './edges/browser.mjs';
import { aDealIsCompleted, MEANWHILE } from './edges/scenarios.mjs';
import * as terminal from './edges/terminal.mjs';

const EDGES = [terminal, browser];
/** Sealing a sector of 2 KiB once, on a busy machine. */
const SEAL_MS = 900_000;
/** Anything without a sealing, on a busy machine. */
const SOON_MS = 300_000;
/** Blocks from a channel's cancellation to its end: a few seconds. */
const CANCEL_DELAY = 20;

let daemon;
let world;
let sealed;
const started = new Map();
const lies = [];
const folder = mkdtempSync(join(tmpdir(), 'sealdrop-edges-'));
let files = 0;

/** A promise that is settled from outside. */
function deferred() {
  const parts = {};
  const promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return { ...parts, promise };
}

let funding = Promise.resolve();

/** Gives a client money. One at a time: two grants at once may get the same nonce, and the faucet refuses one of them. */
function fund(client) {
  const funded = funding.then(() => client.fund());
  funding = funded.catch(() => {});
  return funded;
}

/** Puts bytes into a file of its own. */
function file(bytes) {
  const path = join(folder, `file-${files++}`);
  writeFileSync(path, bytes);
  return path;
}

/** Runs a scenario through some edges; the clients that it opens go away with it. */
async function run(edges, scenario, more = {}) {
  const clients = [];
  const open = async (chain = daemon.chain, profile = {}) => {
    const client = await started.get(edges).open(chain, profile);
    clients.push(client);
    return client;
  };
  try {
    return await scenario({ open, fund, file, world, ...more });
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

before(
  async () => {
    // The test says when the one sector is sealed.
    daemon = await Daemon.start(['--auto-seal', '24h', '--cancel-delay', CANCEL_DELAY]);
    const lying = async (chain) => {
      lies.push(await chain);
      return chain;
    };
    world = {
      anotherNetwork: (await lying(chainOfAnotherGenesis(daemon.chain))).url,
      threeMiners: (await lying(chainOfThreeMiners(daemon.chain))).url,
      silentMiners: (await lying(chainOfSilentMiners(daemon.chain))).url,
      cheapMiners: () => lying(chainOfCheapMiners(daemon.chain)),
      balance: async (address) => Number((await daemon.ask('chain.actor', { address }))?.balance ?? 0),
      channel: (payer, id) => daemon.ask('chain.channel', { payer, id }),
      miner: async () => (await daemon.ask('chain.miners'))[0].address,
    };
    for (const edges of EDGES) started.set(edges, await edges.start(daemon.page));
    sealed = completeAll();
  },
  { timeout: SEAL_MS },
);

after(async () => {
  await Promise.all([...started.values()].map((edges) => edges.end()));
  for (const lie of lies) lie.close();
  await daemon?.end();
  rmSync(folder, { recursive: true, force: true });
});

/** One sector for the deals of all edges, sealed beside everything else. */
function completeAll() {
  let missing = EDGES.length;
  const all = deferred();
  const seal = async () => {
    missing -= 1;
    if (missing === 0) all.resolve(daemon.operate('mining', 'seal-now'));
    await all.promise;
  };
  const outcomes = EDGES.map((edges) => run(edges, aDealIsCompleted, { seal }));
  // One that fails before it is staged must not keep the other waiting.
  for (const outcome of outcomes) outcome.catch(all.reject);
  all.promise.catch(() => {});
  return outcomes;
}

/** Tests one scenario through all edges at once, and that it comes to the same. */
function through(name, scenario, timeout) {
  describe(name, { concurrency: EDGES.length + 1, timeout }, () => {
    const found = EDGES.map(() => deferred());
    for (const [index, edges] of EDGES.entries()) {
      test(edges.name, { timeout }, async () => {
        try {
          found[index].resolve(await scenario(edges, index));
        } catch (error) {
          found[index].resolve(undefined);
          throw error;
        }
      });
    }
    test('it comes to the same', { timeout }, async () => {
      const [first, ...others] = await Promise.all(found.map(({ promise }) => promise));
      for (const other of others) assert.deepEqual(other, first);
    });
  });
}

describe('every edge', { concurrency: 3 }, () => {
  for (const [name, scenario] of Object.entries(MEANWHILE)) through(name, (edges) => run(edges, scenario), SOON_MS);
});

through('a deal is completed, its inclusion verified and its bytes given back', (_, index) => sealed[index], SEAL_MS);

/** What a profile keeps of a deal, and not what its tabs know of it. */
const stored = async (client, id) => JSON.parse((await client.stored(id)).state);

test(
  'what a tab is asked for that does not lead is kept by the one that does when it resolves',
  { timeout: SOON_MS },
  () =>
    run(browser, async ({ open }) => {
      const leading = await open();
      await fund(leading);
      const id = await leading.store(file(Buffer.alloc(200, 7)), { duration: 20_000 });
      await leading.until(id, 'accepted');
      const other = await leading.beside();
      await other.giveUp(id);
      const { givingUp, deal } = await stored(other, id);
      assert.ok(givingUp ?? deal.stage.failed ?? deal.stage.Failed, JSON.stringify(deal.stage));
      await leading.crash();
      await other.moneyBack(id);
      assert.equal((await other.deal(id)).state, 'failed');
      await assert.rejects(other.giveUp(id), ({ code }) => code === 'not-working');
    }),
);

/** Finding B3. */
test(
  'a profile has another account on each network, and an older key stays where it was used',
  { timeout: SOON_MS },
  () =>
    run(browser, async ({ open }) => {
      const here = await open();
      const there = await here.beside(world.anotherNetwork);
      assert.notEqual(there.address, here.address);
      assert.equal((await here.beside()).address, here.address);
      assert.ok(here.bound && there.bound);

      const old = await open(daemon.chain, { older: true });
      assert.ok(!old.bound);
      assert.notEqual(old.address, here.address);
      assert.equal((await old.beside()).address, old.address);
      const elsewhere = await old.beside(world.anotherNetwork);
      assert.ok(elsewhere.bound);
      assert.notEqual(elsewhere.address, old.address);
    }),
);
