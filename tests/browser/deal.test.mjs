// The page in real Chromium against a real daemon, with real proofs: a file from the page to a proven sector and back,
// over a crash of the daemon; a deal that fails and its money; what bad input shows.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { chainOfCheapMiners, chainOfSilentMiners } from './away.mjs';
import { Daemon } from './daemon.mjs';
import * as ui from './page.mjs';
import { affordable, choose, dealPage, hook, ORDER, pressStore, problem, reach, SOON_MS, withClient } from './page.mjs';

/** Sealing a sector of 2 KiB once, on a busy machine, and the first proof-of-spacetime after it. */
const SEAL_MS = 900_000;
/** Blocks from a channel's cancellation to its end: a few seconds. */
const CANCEL_DELAY = 40;

let daemon;
let browser;
const onPage = (name, work, chain) => ui.onPage(browser, daemon, name, work, chain);

before(
  async () => {
    // Short periods: the first proof-of-spacetime is due soon after the commitment.
    const periods = ['--proving-period', '120', '--challenge-window', '60', '--grace', '240'];
    daemon = await Daemon.start(['--auto-seal', '1s', '--cancel-delay', CANCEL_DELAY, ...periods]);
    browser = await ui.launch();
  },
  { timeout: 800_000 },
);

after(async () => {
  await browser?.close();
  await daemon?.end();
});

test('a file larger than a sector is refused with both sizes', { timeout: 300_000 }, () =>
  onPage('oversize', async (page) => {
    await hook(page, 'file-input').first().waitFor({ state: 'attached' });
    // The limit is known as soon as the miners are.
    await page.getByText(/any kind of file, up to/i).waitFor();
    await choose(page, 'large.bin', randomBytes(5000));
    const refusal = problem(page, 'file-too-large');
    await refusal.waitFor();
    const text = await refusal.innerText();
    assert.match(text, /5[,.]?000 bytes/);
    assert.match(text, /2[,.]?032 bytes/);
    assert.equal(await hook(page, 'store-button').count(), 0);
  }),
);

test('an empty file is refused', { timeout: 300_000 }, () =>
  onPage('empty', async (page) => {
    await hook(page, 'file-input').first().waitFor({ state: 'attached' });
    await choose(page, 'empty.bin', Buffer.alloc(0));
    await problem(page, 'empty-file').waitFor();
  }),
);

/** Finding D3: of several files that were dropped the second one was ignored without a word. */
test('several files that are dropped, or a folder that is chosen, are taken together', { timeout: 300_000 }, () =>
  onPage('several', async (page) => {
    await hook(page, 'file-input').first().waitFor({ state: 'attached' });
    await page.locator('.drop').evaluate((zone) => {
      const given = new DataTransfer();
      for (const name of ['one.txt', 'two.txt', 'three.txt']) given.items.add(new File([name], name));
      zone.dispatchEvent(new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true }));
    });
    const facts = hook(page, 'chosen-facts');
    await facts.waitFor();
    assert.match(await facts.innerText(), /3 files · 23 bytes/);
    assert.deepEqual(await hook(page, 'chosen-files').locator('.file-path').allInnerTexts(), [
      'one.txt',
      'three.txt',
      'two.txt',
    ]);
    await hook(page, 'files-id').waitFor();
    await choose(page, 'four.txt', Buffer.from('four'));
    await hook(page, 'piece-commp').waitFor();
    assert.equal(await hook(page, 'chosen-name').innerText(), 'four.txt');
    await page.locator('.drop').evaluate((zone) => {
      const given = new DataTransfer();
      given.items.add('words', 'text/plain');
      zone.dispatchEvent(new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true }));
    });
    assert.match(await hook(page, 'set-aside').innerText(), /Nothing was taken/);
  }),
);

test('a miner that does not answer is named after 15 seconds, and no deal is begun', { timeout: 300_000 }, async () => {
  const chain = await chainOfSilentMiners(daemon.chain);
  try {
    await onPage(
      'away',
      async (page) => {
        await choose(page, 'file.bin', randomBytes(100));
        await pressStore(page);
        const away = problem(page, 'miner-unreachable');
        await away.waitFor();
        // The limit as the client counts it: a busy machine may be late to say so.
        assert.match(await away.innerText(), /no connection within 15 seconds/i);
        assert.equal(await hook(page, 'deal-state').count(), 0, 'no deal was begun');
      },
      chain.url,
    );
  } finally {
    chain.close();
  }
});

// Findings B5: a refusal that was known beforehand locked the money up.
test('a deal that its miner would refuse is refused before anything is paid', { timeout: 600_000 }, async () => {
  const chain = await chainOfCheapMiners(daemon.chain);
  try {
    await onPage(
      'unpaid',
      async (page) => {
        const look = async (client, id) => ({
          deal: id && (await client.deal(id)),
          balance: Number(await client.wallet.balance()),
        });
        await choose(page, 'letter.bin', randomBytes(1500));
        await affordable(page);
        const { balance: funds } = await withClient(page, chain.url, look);
        await pressStore(page);
        await dealPage(page);
        const failed = problem(page, 'rejected');
        await failed.waitFor();
        assert.match(await failed.innerText(), /proposed price \(.*\) is less than expected \(.*\)/);
        const id = await hook(page, 'deal-id').getAttribute('data-id');
        const { deal, balance } = await withClient(page, chain.url, look, id);
        assert.equal(deal.state, 'failed');
        assert.deepEqual(deal.refunds, [], 'no channel was opened');
        assert.equal(balance, funds);
        await hook(page, 'remove-button').click();
        await page.getByText('No deals yet').waitFor();
      },
      chain.url,
    );
  } finally {
    chain.close();
  }
});

// spec §7.9: a failed deal must not leave its funds locked.
test('the money of a deal that is given up comes back by itself, over a reload', { timeout: 600_000 }, () =>
  onPage('refund', async (page) => {
    const look = async (client, id) => ({
      deal: id && (await client.deal(id)),
      balance: Number(await client.wallet.balance()),
    });
    await choose(page, 'letter.bin', randomBytes(1500));
    await affordable(page);
    const { balance: funds } = await withClient(page, daemon.chain, look);
    await pressStore(page);
    await dealPage(page);
    await reach(page, 'accepted', SOON_MS);
    await hook(page, 'give-up-button').click();
    await problem(page, 'deal-failed').waitFor();
    const refund = hook(page, 'refund');
    await refund.waitFor();
    const id = await hook(page, 'deal-id').getAttribute('data-id');
    const [{ channel, amount, state }] = (await withClient(page, daemon.chain, look, id)).deal.refunds;
    assert.ok(Number(amount) > 0);
    if (state !== 'returned') {
      const kept = await withClient(page, daemon.chain, (client, id) => client.remove(id), id);
      assert.equal(kept?.code, 'refund-pending', 'a deal whose money is not back yet cannot be forgotten');
    }

    await page.reload();
    await page.locator('[data-testid="refund"][data-state="returned"]').waitFor({ timeout: 2 * SOON_MS });
    const { deal, balance } = await withClient(page, daemon.chain, look, id);
    assert.equal(deal.state, 'failed');
    const { address: payer } = await withClient(page, daemon.chain, (client) => client.wallet.account());
    assert.equal(await daemon.ask('chain.channel', { payer, id: channel }), null, 'the channel is gone');
    // All but the gas of the messages, which is a millionth of it, however early it came back.
    assert.ok(
      funds - balance < 0.01 * Number(amount),
      `${funds} before the deal of ${amount}, ${balance} FIL after it`,
    );

    await hook(page, 'remove-button').click();
    await page.getByText('No deals yet').waitFor();
  }),
);

test('a file goes from the page to a proven sector and back, over a crash of the daemon', { timeout: 2_400_000 }, () =>
  onPage('deal', async (page) => {
    const bytes = randomBytes(2000);
    await choose(page, 'letter.bin', bytes);
    await pressStore(page);
    await dealPage(page);
    const accepted = await reach(page, 'accepted', SOON_MS);
    assert.ok(ORDER.indexOf(accepted) < ORDER.indexOf('complete'));
    await daemon.kill();
    await pause(1_000);
    await daemon.startAgain();

    const id = await hook(page, 'deal-id').getAttribute('data-id');
    await itIsToldWhyItIsNotDone(page, id);
    await paymentsAreShown(page, id);
    await aSecondDealIsRefused(page, bytes);
    await page.goto(`${daemon.page}#/deal/${id}`);

    await reach(page, 'complete', SEAL_MS);
    assert.match(await hook(page, 'deal-id').getAttribute('data-deal-cid'), /^bafy2bza/);
    await provenIsPendingAtFirst(page, id);
    await reach(page, 'proven', SEAL_MS);
    assert.ok(Number(await hook(page, 'proof-count').first().innerText()) >= 1);
    await hook(page, 'verify-button').click();
    await page.locator('[data-testid="verdict"][data-state="holds"]').waitFor();
    await theProofsAreCheckedInThePage(page);

    const [miner] = await daemon.ask('chain.miners');
    assert.ok(miner.posts >= 1 && miner.sectors[0].proofs >= 1);

    const arriving = page.waitForEvent('download');
    await hook(page, 'download-button').click();
    const download = await arriving;
    assert.equal(download.suggestedFilename(), 'letter.bin');
    assert.deepEqual(readFileSync(await download.path()), bytes);
    await hook(page, 'download-done').waitFor();
  }),
);

/** The seal's proof and those of spacetime, by the page itself. */
async function theProofsAreCheckedInThePage(page) {
  await hook(page, 'check-proofs-button').click();
  const proof = (kind) => page.locator(`[data-testid="proof"][data-proof="${kind}"][data-state="holds"]`);
  await proof('seal').waitFor();
  await proof('post').first().waitFor();
  await hook(page, 'check-proofs-button').getByText('Check again').waitFor();
  const states = await hook(page, 'proof').evaluateAll((rows) => rows.map(({ dataset }) => dataset.state));
  assert.ok(
    states.every((state) => state === 'holds'),
    states.join(),
  );
  assert.match(await proof('seal').innerText(), /checked by this tab in [\d.]+ ms/);
}

/** A deal under way has a reason, on the page and for programs. */
async function itIsToldWhyItIsNotDone(page, id) {
  await hook(page, 'why').waitFor();
  await page.getByText('Why is it not done yet?').click();
  await hook(page, 'cause').first().waitFor();
  const told = await withClient(page, daemon.chain, (client, id) => client.explain(id), id);
  assert.equal(told.subject.kind, 'deal');
  assert.ok(told.done || told.because.length > 0, JSON.stringify(told));
  assert.ok(told.next.length > 0 && told.steps.some((step) => step.phase === 'commit2'), JSON.stringify(told));
}

/** The channel and every voucher; as text they are read back, and an altered one is worth nothing. */
async function paymentsAreShown(page, id) {
  await page.locator('[data-testid="payments"][data-channel="open"]').waitFor();
  const { payments, read, altered } = await withClient(
    page,
    daemon.chain,
    async (client, id) => {
      const text = await client.exportVouchers(id);
      const altered = await client.importVouchers(text.slice(0, -3)).catch(({ code, message }) => ({ code, message }));
      return { payments: await client.payments(id), read: await client.importVouchers(text), altered };
    },
    id,
  );
  assert.equal(payments.channel.state, 'open');
  assert.equal(payments.channel.amount, payments.total);
  assert.equal(payments.vouchers.length, await hook(page, 'voucher').count());
  assert.deepEqual(read, payments.vouchers);
  const last = payments.vouchers.at(-1);
  assert.deepEqual([last.amount, last.state], [payments.total, 'ahead']);
  assert.ok(payments.vouchers.every((voucher) => voucher.conditional));
  assert.equal(altered.code, 'bad-argument');
  assert.match(altered.message, /voucher string could not be decoded into voucher/);
}

// spec §9.7: a second identical proposal is refused, unless it is meant.
async function aSecondDealIsRefused(page, bytes) {
  await page.goto(`${daemon.page}#/`);
  await choose(page, 'again.bin', bytes);
  await pressStore(page);
  await problem(page, 'duplicate').waitFor();
  assert.equal(await hook(page, 'deal-state').count(), 0, 'no deal was begun');
}

// spec §9.11: after a crash of the miner, a client that was opened anew still gets an answer.
/** Right after the commitment all but the first proof-of-spacetime is shown, and that one is pending, not failed. */
async function provenIsPendingAtFirst(page, id) {
  const deal = await withClient(page, daemon.chain, (client, id) => client.deal(id), id);
  // The sector's own: the miner may prove others already.
  const posts = async () => {
    const [{ sectors }] = await daemon.ask('chain.miners');
    return sectors.find(({ id }) => id === deal.proof.sectorId).proofs;
  };
  const before = await posts();
  const found = await withClient(page, daemon.chain, (client, id) => client.verify(id), id);
  const after = await posts();
  for (const part of ['inclusion', 'commitMessage', 'commitments'])
    assert.equal(found[part].state, 'holds', found[part].detail);
  // As the chain has it: 75 blocks pass until the first proof, and only one that came while that was asked may be either.
  if (after === 0) assert.equal(found.proven.state, 'pending', found.proven.detail);
  else if (before > 0) assert.equal(found.proven.state, 'holds', found.proven.detail);
  assert.equal(found.state, found.proven.state);
  const answer = await withClient(page, daemon.chain, (client, id) => client.query(id), id);
  assert.equal(answer.state, 'complete', JSON.stringify(answer));
}
