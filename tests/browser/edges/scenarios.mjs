// What a client does, whichever edges it has (design §5): each scenario is written once, and `edges.test.mjs` runs it by the
// terminal's edges and by the browser's, against the same daemon and with the same expectations.
//
// A scenario gets `open(chain?)`, which gives a client with an empty account; `fund(client)`, which asks the faucet for it;
// `world`, which is the daemon and the lying chains around it; and `file(bytes)`, which puts bytes into a file and gives its
// path. What it returns must be the same for all edges.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';

/** Blocks: long enough for two vouchers, and longer than the suite. */
const DURATION = 20_000;
/** Fits eight times into a sector. */
const SIZE = 200;

const isRefused = (code) => (error) => {
  assert.equal(error.code, code, error.message);
  return true;
};

/** The names of all fields, and what kind of value each has; times and identities differ. */
export function shape(value) {
  if (Array.isArray(value)) return value.map(shape);
  if (value === null || typeof value !== 'object') return typeof value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, shape(inner)]),
  );
}

/** What of a deal is the same whoever made it. */
const terms = ({ size, duration, total, step, state }) => ({ size, duration, total, step, state });

/** A client with money. */
async function funded({ open, fund }, chain) {
  const client = await open(chain);
  await fund(client);
  return client;
}

/** A client with a deal that the miner has accepted. */
async function accepted({ open, fund, file }) {
  const client = await funded({ open, fund });
  const bytes = randomBytes(SIZE);
  const id = await client.store(file(bytes), { duration: DURATION });
  await client.until(id, 'accepted');
  return { client, bytes, id };
}

/** Runs while the sector of `theSectorOfAllIsSealed` is made. */
export const MEANWHILE = {
  async 'a file that no sector holds is refused, and so is an empty one'({ open, file }) {
    const client = await open();
    const options = { duration: DURATION };
    await assert.rejects(client.store(file(randomBytes(5000)), options), isRefused('file-too-large'));
    await assert.rejects(client.store(file(Buffer.alloc(0)), options), isRefused('empty-file'));
    assert.deepEqual(await client.deals(), []);
  },

  async 'a duration that is not possible is refused before anything is sent'({ open, fund, file }) {
    const client = await funded({ open, fund });
    const refusal = await client.store(file(randomBytes(SIZE)), { duration: 1_000_000 }).catch((error) => error);
    assert.deepEqual(await client.deals(), []);
    return { code: refusal.code, rejection: refusal.rejection };
  },

  // spec §9.7
  async 'a second deal of the same file with the same miner is refused unless it is meant'({ open, fund, file }) {
    const { client, bytes } = await accepted({ open, fund, file });
    const again = file(bytes);
    await assert.rejects(client.store(again, { duration: DURATION }), isRefused('duplicate'));
    assert.equal((await client.deals()).length, 1);
    const second = await client.store(again, { duration: DURATION, allowDuplicates: true });
    await client.until(second, 'accepted');
    assert.equal((await client.deals()).length, 2);
  },

  async 'a miner that does not answer is named, and no money moves'({ open, fund, file, world }) {
    const client = await funded({ open, fund }, world.silentMiners);
    const before = await world.balance(client.address);
    const refusal = await client.store(file(randomBytes(SIZE)), { duration: DURATION }).catch((error) => error);
    assert.equal(refusal.code, 'miner-unreachable', refusal.message);
    assert.ok(refusal.message.includes(await world.miner()), refusal.message);
    assert.deepEqual(await client.deals(), []);
    assert.equal(await world.balance(client.address), before);
  },

  async 'a rule passes over a miner that refuses or does not answer, and says so'({ open, fund, file, world }) {
    const client = await funded({ open, fund }, world.threeMiners);
    const said = await client.answers();
    assert.deepEqual(said.map(({ says }) => says).sort(), ['no', 'silent', 'yes'], JSON.stringify(said));
    const { room, distanceMs } = said.find(({ says }) => says === 'yes');
    assert.ok(room > 0 && distanceMs >= 0, JSON.stringify(said));
    const id = await client.store(file(randomBytes(SIZE)), { duration: DURATION, rule: 'cheapest' });
    await client.until(id, 'accepted');
    const deal = await client.deal(id);
    assert.deepEqual([deal.miner, deal.minerRule], [await world.miner(), 'cheapest']);
    assert.deepEqual(
      deal.passedOver.map(({ miner }) => miner),
      ['t0900001', 't0900002'],
    );
    return { passedOver: deal.passedOver.map(({ reason }) => reason.replaceAll(deal.miner, 'the miner')) };
  },

  // Finding B5.
  async 'a deal that the miner would not take costs nothing, and says why'({ open, fund, file, world }) {
    const client = await funded({ open, fund }, (await world.cheapMiners()).url);
    const before = await world.balance(client.address);
    const deal = async () => (await client.deals())[0];
    const refused = async () => {
      await client.store(file(randomBytes(SIZE)), { duration: DURATION });
      await client.until((await deal()).id, 'accepted');
    };
    await assert.rejects(refused, isRefused('rejected'));
    const { error, state } = await deal();
    assert.equal(state, 'failed');
    assert.match(error.message, /proposed price \(.*\) is less than expected \(.*\)/);
    const { refunds, refunding, forgettable } = await deal();
    assert.deepEqual([refunds, refunding, forgettable], [[], false, true]);
    assert.equal(await world.balance(client.address), before, 'no channel was opened');
    return { code: error.code, hint: error.hint, deal: shape(await deal()) };
  },

  // Finding D4.
  async 'a file that has changed between choosing and storing is refused, and no money moves'({
    open,
    fund,
    file,
    world,
  }) {
    const client = await funded({ open, fund });
    const path = file(randomBytes(SIZE));
    const chosen = await client.choose(path);
    const before = await world.balance(client.address);
    writeFileSync(path, randomBytes(SIZE + 1));
    await assert.rejects(client.storeChosen(chosen, { duration: DURATION }), isRefused('file-lost'));
    assert.deepEqual(await client.deals(), []);
    assert.equal(await world.balance(client.address), before);
  },

  async 'a deal that was given up pays its money back, once'({ open, fund, file, world }) {
    const { client, id } = await accepted({ open, fund, file });
    await client.giveUp(id);
    await client.moneyBack(id);
    const { state, error, refunds } = await client.deal(id);
    assert.deepEqual([state, error.code, refunds[0].state], ['failed', 'deal-failed', 'returned']);
    assert.equal(await world.channel(client.address, refunds[0].channel), null, 'the channel is gone');
    await assert.rejects(client.giveUp(id), isRefused('not-working'));
    return { hint: error.hint };
  },

  async 'a failed deal is begun anew at the present price, under its own name'({ open, fund, file, world }) {
    const chain = await world.cheapMiners();
    const client = await funded({ open, fund }, chain.url);
    await assert.rejects(async () => {
      await client.store(file(randomBytes(SIZE)), { duration: DURATION });
      await client.until((await client.deals())[0].id, 'accepted');
    }, isRefused('rejected'));
    const [failed] = await client.deals();
    chain.beHonest();
    await client.retry(failed.id);
    // It is kept when that returns, and nothing of the failed attempt hinders it.
    assert.equal((await client.deal(failed.id)).state, 'working');
    await client.until(failed.id, 'accepted');
    const anew = await client.deal(failed.id);
    assert.deepEqual([anew.state, anew.error], ['working', undefined]);
    assert.notEqual(anew.dealCid, failed.dealCid, 'it is another proposal');
    assert.equal(Number(anew.total), 10 * Number(failed.total), 'at the price of now');
    const { channel } = await client.payments(failed.id);
    assert.equal(channel.state, 'open', 'it is paid, as the first attempt was not');
  },

  async 'what there is not cannot be asked for'({ open }) {
    const client = await open();
    await assert.rejects(client.verify('nothing'), isRefused('not-found'));
    await assert.rejects(client.giveUp('nothing'), isRefused('not-found'));
  },

  async 'what the miner has is given back before it is sealed, and cannot be verified yet'({ open, fund, file }) {
    const { client, bytes, id } = await accepted({ open, fund, file });
    await client.until(id, 'staged');
    assert.deepEqual(await client.retrieve(id), bytes);
    await assert.rejects(client.verify(id), isRefused('not-stored-yet'));
  },
};

/** The one sealed sector: every client has a deal in it. `seal` starts the sealing once all have. */
export async function aDealIsCompleted({ open, fund, file, seal }) {
  const { client, bytes, id } = await accepted({ open, fund, file });
  await client.until(id, 'staged');
  const staged = await client.payments(id);
  await seal();
  await client.until(id, 'complete');

  const checks = await client.verify(id);
  for (const part of ['inclusion', 'commitMessage', 'commitments', 'actor'])
    assert.equal(checks[part].state, 'holds', checks[part].detail);
  assert.deepEqual(await client.retrieve(id), bytes);
  const deal = await client.deal(id);
  assert.deepEqual([deal.state, deal.transferred], ['complete', SIZE]);
  assert.match(deal.dealCid, /^bafy2bza/);
  const payments = await client.payments(id);
  const last = payments.vouchers.at(-1);
  assert.deepEqual(
    [last.amount, payments.channel.amount, payments.channel.state],
    [payments.total, payments.total, 'open'],
  );
  return {
    deal: shape({ ...deal, answer: undefined, proving: undefined }),
    terms: terms({ ...deal, step: 'complete' }),
    steps: deal.steps.map(({ step }) => step),
    checks: shape(checks),
    payments: shape(staged),
    sums: [payments.total, ...payments.vouchers.map(({ amount, conditional }) => [amount, conditional])],
  };
}
