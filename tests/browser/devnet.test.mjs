// Whole deals in real Chromium without any server but that of static files: the package with its in-page devnet, whose miner has a
// FAKE prover. Each fault that a test can switch on, with what the client says of it; and the README's example, as it stands there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './page.mjs';
import { serve } from './site.mjs';

const README = resolve(import.meta.dirname, '../../client-wasm/README.md');
const LIMIT = { timeout: 400_000 };
/** What a whole deal may take, from the module's first byte to the last voucher. */
const WHOLE_DEAL_MS = 10_000;

let site;
let browser;

before(async () => {
  site = await serve();
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
});

/** Runs `work` in a page of its own that has nothing but the package. */
async function onPage(work, input) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    const asked = [];
    page.on('request', (request) => asked.push(new URL(request.url()).hostname));
    await page.goto(`http://127.0.0.1:${site.port}/`);
    const outcome = await page.evaluate(
      async ([tools, work, input]) => (0, eval)(`(${work})`)(await (0, eval)(`(${tools})`)(), input),
      [TOOLS.toString(), work.toString(), input],
    );
    assert.deepEqual([...new Set(asked)], ['127.0.0.1'], 'nobody else is asked for anything');
    return outcome;
  } finally {
    await context.close();
  }
}

/** What the tests have in the page. */
const TOOLS = async () => {
  const { createClient, toBlob } = await import('/client/index.js');
  const { computePiece } = await import('/client/piece.js');
  const { createDevnet } = await import('/client/devnet.js');
  const bytes = Uint8Array.from({ length: 1000 }, (_, at) => (at * 7) % 251);
  const file = new File([bytes], 'notes.txt', { type: 'text/plain' });
  const start = async (options) => {
    const net = await createDevnet({ seed: 'test', ...options });
    const client = createClient({ chain: net.chain, store: 'memory' });
    await net.faucet((await client.wallet.account()).address);
    await net.mine();
    return { net, client, miner: net.miners[0], file, bytes };
  };
  /** The deal once `done` says so; fails with what it is stuck at. */
  const until = (client, id, done, limit = 90_000) =>
    new Promise((found, failed) => {
      const look = (deal) => {
        if (deal?.id === id && done(deal)) found(deal);
      };
      client.on('deal', look);
      client.deal(id).then(look);
      setTimeout(async () => failed(new Error(`stuck: ${JSON.stringify(await client.deal(id))}`)), limit);
    });
  /** One deal about the file, with the first miner or by a rule; as it is when the client has taken the order. */
  const store = async ({ client, net }, options) => {
    const prepared = await computePiece(file);
    const order = { prepared, duration: 2000, miner: net.miners[0].address, until: 'ordered', ...options };
    const { id } = await client.store(file, order);
    return client.deal(id);
  };
  const retrieve = (client, id) => toBlob(client.retrieve(id));
  /** What a verification comes to: `state`, or what it is after some seconds. */
  const verified = async (client, id, state) => {
    for (let tries = 0; ; tries += 1) {
      const found = await client.verify(id);
      if (found.state === state || tries === 20) return found.state;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  };
  const problem = async (work) => {
    try {
      await work();
      return undefined;
    } catch (error) {
      return { code: error.code, message: error.message };
    }
  };
  return { start, until, store, retrieve, verified, problem, bytes };
};

test('a whole deal is stored, completed, proven, retrieved and paid in less than ten seconds', LIMIT, async () => {
  // What else runs on the machine is not the deal's: the quickest of some counts, and none where much else runs.
  const isBusy = loadavg()[0] > 2 * availableParallelism();
  const took = [await wholeDeal()];
  while (!isBusy && took.length < 3 && Math.min(...took) >= WHOLE_DEAL_MS) took.push(await wholeDeal());
  if (isBusy) console.log('the machine is busy with other things: how long it takes says nothing');
  else assert.ok(Math.min(...took) < WHOLE_DEAL_MS, `${took} ms`);
});

/** Milliseconds that a whole deal takes, from the module's first byte on. */
async function wholeDeal() {
  const outcome = await onPage(async ({ start, until, store, retrieve, verified, bytes }) => {
    const at = [performance.now()];
    const { net, client } = await start();
    at.push(performance.now());
    const network = await client.network();
    const deal = await store({ client, net });
    await net.autoMine(20);
    await until(client, deal.id, ({ step }) => step === 'complete' || step === 'proven');
    at.push(performance.now());
    await net.autoMine(0);
    await net.mine(400);
    await until(client, deal.id, ({ step }) => step === 'proven');
    at.push(performance.now());
    const verification = await verified(client, deal.id, 'holds');
    const blob = await retrieve(client, deal.id);
    const same = new Uint8Array(await blob.arrayBuffer()).every((byte, index) => byte === bytes[index]);
    at.push(performance.now());
    await net.mine(2100);
    const payments = await client.payments(deal.id);
    await net.checkInvariants();
    at.push(performance.now());
    net.close();
    const times = at.slice(1).map((ms) => Math.round(ms - at[0]));
    return { network, verification, same, size: blob.size, payments, times };
  });
  console.log(`a whole deal (network, complete, proven, retrieved, paid): ${outcome.times.join(', ')} ms`);
  assert.match(outcome.network.network, /fake proofs/);
  assert.equal(outcome.network.verifyingKeys, 'fake');
  assert.equal(outcome.verification, 'holds');
  assert.equal(outcome.size, 1000);
  assert.ok(outcome.same);
  assert.deepEqual(
    outcome.payments.vouchers.map(({ state }) => state),
    outcome.payments.vouchers.map(() => 'redeemed'),
  );
  assert.ok(outcome.payments.vouchers.length > 1);
  return outcome.times.at(-1);
}

test('the proofs of a devnet are shown as fake', LIMIT, async () => {
  const missing = await onPage(async ({ start, until, store }) => {
    const { net, client } = await start();
    const deal = await store({ client, net });
    await net.autoMine(20);
    await until(client, deal.id, ({ step }) => step === 'complete');
    const { seal } = await client.evidence(deal.id);
    net.close();
    return seal.missing;
  });
  assert.match(missing, /fake/);
});

test('a miner that refuses is passed over or told by its words, before anything is paid', LIMIT, async () => {
  const { refused, chosen, miners } = await onPage(async ({ start, store, problem, until }) => {
    const { net, client } = await start({ miners: 2 });
    await net.faults.set(net.miners[0], { refuse: 1044 });
    await net.autoMine(20);
    const deal = await store({ client, net });
    const refused = await until(client, deal.id, ({ state }) => state === 'failed');
    const other = await store({ client, net }, { miner: 'cheapest', allowDuplicates: true });
    const chosen = await until(client, other.id, ({ step }) => step === 'complete');
    const unknown = await problem(() => net.faults.set(net.miners[0], { refuse: 7 }));
    net.close();
    return { refused, chosen, unknown, miners: net.miners };
  });
  assert.match(refused.reason, /refused on purpose, with code 1044/);
  assert.equal(chosen.miner, miners[1].address);
});

test('a connection that breaks off delays a deal, and is said', LIMIT, async () => {
  const { hindered, done } = await onPage(async ({ start, store, until }) => {
    const { net, client } = await start();
    const deal = await store({ client, net });
    await net.faults.set(net.miners[0], { dropConnection: true });
    await net.autoMine(20);
    const hindered = await until(client, deal.id, ({ error }) => error?.code === 'miner-unreachable');
    await net.faults.clear(net.miners[0]);
    const done = await until(client, deal.id, ({ step }) => step === 'complete');
    net.close();
    return { hindered: hindered.error, done: done.state };
  });
  assert.equal(hindered.code, 'miner-unreachable');
  assert.equal(done, 'complete');
});

test('what a miner lies about is found, and named', LIMIT, async () => {
  const outcome = await onPage(async ({ start, store, retrieve, until, problem }) => {
    const { net, client, miner } = await start();
    await net.faults.set(miner, { lie: 'inclusion' });
    const deal = await store({ client, net });
    await net.autoMine(20);
    const inclusion = (await until(client, deal.id, ({ error }) => error !== undefined)).error;
    await net.faults.set(miner, { lie: 'commR' });
    await until(client, deal.id, ({ step }) => step === 'complete');
    const replica = await client.verify(deal.id);
    await net.faults.set(miner, { lie: 'piece-bytes' });
    const bytes = await problem(() => retrieve(client, deal.id));
    await net.faults.clear(miner);
    const blob = await retrieve(client, deal.id);
    net.close();
    return { inclusion, replica, bytes, size: blob.size };
  });
  assert.match(outcome.inclusion.message, /cannot be accepted/);
  assert.equal(outcome.replica.state, 'fails');
  assert.equal(outcome.bytes.code, 'retrieval-corrupt');
  assert.equal(outcome.size, 1000);
});

test('a miner that misses its proof does not verify any more', LIMIT, async () => {
  const { before, later } = await onPage(async ({ start, store, until, verified }) => {
    const { net, client, miner } = await start();
    const deal = await store({ client, net });
    await net.autoMine(20);
    await until(client, deal.id, ({ step }) => step === 'complete');
    await net.autoMine(0);
    const before = await verified(client, deal.id, 'pending');
    await net.faults.set(miner, { missPoSt: true });
    // A thousand blocks: the window is over, and its grace.
    await net.advance(1_000_000);
    const later = await verified(client, deal.id, 'fails');
    net.close();
    return { before, later };
  });
  assert.deepEqual([before, later], ['pending', 'fails']);
});

test('a slow miner seals so many blocks later', LIMIT, async () => {
  const { begun, height } = await onPage(async ({ start, store, until }) => {
    const { net, client, miner } = await start();
    const begun = await net.height();
    await net.faults.set(miner, { slow: 100 });
    const deal = await store({ client, net });
    await net.autoMine(20);
    await until(client, deal.id, ({ step }) => step === 'complete');
    const height = await net.height();
    net.close();
    return { begun, height };
  });
  assert.ok(height > begun + 100, `${begun} to ${height}`);
});

test('the same seed is the same network, and no seed is another each time', LIMIT, async () => {
  const [one, same, other, another] = await onPage(async () => {
    const { createDevnet } = await import('/client/devnet.js');
    const minersOf = async (options) => {
      const net = await createDevnet(options);
      const { miners } = net;
      net.close();
      return miners;
    };
    return [await minersOf({ seed: 7 }), await minersOf({ seed: '7' }), await minersOf({}), await minersOf({})];
  });
  assert.deepEqual(one, same);
  assert.notDeepEqual(one, other);
  assert.notDeepEqual(other, another);
});

test("the README's example runs as it stands there", LIMIT, async () => {
  const text = readFileSync(README, 'utf8');
  const section = text.slice(text.indexOf('## A development network in the page'));
  const [, code] = section.match(/```js\n([\s\S]*?)```/);
  const body = code
    .replace(
      "import { createClient, toBlob } from 'sealdrop-client';",
      "const { createClient, toBlob } = await import('/client/index.js');",
    )
    .replace(
      "import { createDevnet } from 'sealdrop-client/devnet';",
      "const { createDevnet } = await import('/client/devnet.js');",
    );
  const said = await onPage(async (_, body) => {
    const said = [];
    const AsyncFunction = (async () => {}).constructor;
    await new AsyncFunction('console', body)({ log: (...words) => said.push(words.join(' ')) });
    return said;
  }, body);
  assert.deepEqual(said, ['holds', 'hello']);
});

test('options that make no network are refused with their reason', LIMIT, async () => {
  const refused = await onPage(async ({ problem }) => {
    const { createDevnet } = await import('/client/devnet.js');
    return [
      await problem(() => createDevnet({ miners: 0 })),
      await problem(() => createDevnet({ sectorSize: '1GiB' })),
    ];
  });
  assert.match(refused[0].message, /1 to 16 miners, not 0/);
  assert.equal(refused[1].code, 'bad-argument');
});
