// The page in real Chromium against a real daemon, with real proofs: a file from the page to a proven sector and back,
// over a crash of the daemon, and what bad input shows.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { chainOfSilentMiners } from './away.mjs';
import { Daemon } from './daemon.mjs';

const CHROMIUM = process.env.SEALDROP_CHROMIUM ?? '/usr/bin/chromium';
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Sealing a sector of 2 KiB once, on a busy machine, and the first proof-of-spacetime after it. */
const SEAL_MS = 420_000;
const ORDER = ['drafted', 'channel', 'signed', 'accepted', 'transferred', 'staged', 'sealing', 'complete', 'proven'];

let daemon;
let browser;

before(
  async () => {
    // Short periods: the first proof-of-spacetime is due soon after the commitment.
    const periods = ['--proving-period', '120', '--challenge-window', '80', '--grace', '240'];
    daemon = await Daemon.start(['--auto-seal', '1s', ...periods]);
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
  },
  { timeout: 660_000 },
);

after(async () => {
  await browser?.close();
  await daemon?.end();
});

/** Runs a test on a page of its own; a failure leaves a picture and what the page said. */
async function onPage(name, work, configure = async () => {}) {
  const context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1200, height: 1000 } });
  const page = await context.newPage();
  const said = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`error: ${error.message}`));
  try {
    await configure(page);
    await page.goto(daemon.page);
    await work(page);
  } catch (error) {
    const picture = join(mkdtempSync(join(tmpdir(), 'sealdrop-page-')), `${name}.png`);
    await page.screenshot({ path: picture, fullPage: true }).catch(() => {});
    console.error(`the page at the failure: ${picture}\n${said.slice(-30).join('\n')}\nthe daemon's log:\n${daemon.log.slice(-4000)}`);
    throw error;
  } finally {
    await context.close();
  }
}

const hook = (page, name) => page.locator(`[data-testid="${name}"]`);

async function choose(page, name, bytes) {
  await hook(page, 'file-input').first().setInputFiles({ name, mimeType: 'application/octet-stream', buffer: bytes });
}

/** Presses Store as soon as the terms allow it, with money from the faucet when the account is empty. */
async function pressStore(page) {
  const button = hook(page, 'store-button');
  const limit = Date.now() + 90_000;
  await button.waitFor({ timeout: 60_000 });
  while (!(await button.isEnabled())) {
    assert.ok(Date.now() < limit, 'the terms do not become acceptable');
    const poor = page.locator('[data-testid="problem"][data-code="insufficient-funds"]');
    const faucet = hook(page, 'faucet-button');
    if ((await poor.count()) > 0 && (await faucet.count()) > 0 && (await faucet.isEnabled())) await faucet.click();
    await pause(300);
  }
  await button.click();
}

/** Waits for the page of the deal that was just ordered; a deal that was not made fails at once, with its reason. */
async function dealPage(page) {
  const state = hook(page, 'deal-state');
  const problem = hook(page, 'problem').first();
  await state.or(problem).first().waitFor({ timeout: 60_000 });
  assert.equal(await problem.count(), 0, `the deal was not made: ${await hook(page, 'problem').allInnerTexts()}`);
}

/** Waits until the deal has come as far as `step`; fails at once when the deal does. */
async function reach(page, step, timeout) {
  const state = hook(page, 'deal-state');
  const limit = Date.now() + timeout;
  for (;;) {
    const [now, whole] = [await state.getAttribute('data-step'), await state.getAttribute('data-state')];
    assert.notEqual(whole, 'failed', `the deal failed: ${await hook(page, 'problem').allInnerTexts()}`);
    if (ORDER.indexOf(now) >= ORDER.indexOf(step)) return now;
    assert.ok(Date.now() < limit, `the deal is ${now}, not ${step}, after ${timeout / 1000} s`);
    await pause(200);
  }
}

test('a file larger than a sector is refused with both sizes', { timeout: 120_000 }, () =>
  onPage('oversize', async (page) => {
    await hook(page, 'file-input').first().waitFor({ state: 'attached', timeout: 60_000 });
    // The limit is known as soon as the miners are.
    await page.getByText(/any kind of file, up to/i).waitFor({ timeout: 60_000 });
    await choose(page, 'large.bin', randomBytes(5000));
    const problem = page.locator('[data-testid="problem"][data-code="file-too-large"]');
    await problem.waitFor({ timeout: 30_000 });
    const text = await problem.innerText();
    assert.match(text, /5[,.]?000 bytes/);
    assert.match(text, /2[,.]?032 bytes/);
    assert.equal(await hook(page, 'store-button').count(), 0);
  }),
);

test('an empty file is refused', { timeout: 120_000 }, () =>
  onPage('empty', async (page) => {
    await hook(page, 'file-input').first().waitFor({ state: 'attached', timeout: 60_000 });
    await choose(page, 'empty.bin', Buffer.alloc(0));
    await page.locator('[data-testid="problem"][data-code="empty-file"]').waitFor({ timeout: 30_000 });
  }),
);

test('a miner that does not answer is named within 15 seconds', { timeout: 240_000 }, async () => {
  const chain = await chainOfSilentMiners(daemon.chain);
  try {
    await onPage(
      'away',
      async (page) => {
        await choose(page, 'file.bin', randomBytes(100));
        await pressStore(page);
        const pressed = Date.now();
        const problem = page.locator('[data-testid="problem"][data-code="miner-unreachable"]');
        await problem.first().waitFor({ timeout: 60_000 });
        // A second or two for the page itself, on a busy machine.
        assert.ok(Date.now() - pressed < 17_000, `it took ${Date.now() - pressed} ms`);
        assert.equal(await hook(page, 'deal-state').count(), 0, 'no deal was begun');
      },
      (page) =>
        page.route('**/config.json', async (route) => {
          const answer = await route.fetch();
          await route.fulfill({ json: { ...(await answer.json()), chain: chain.url } });
        }),
    );
  } finally {
    chain.close();
  }
});

test('a file goes from the page to a proven sector and back, over a crash of the daemon', { timeout: 480_000 }, () =>
  onPage('deal', async (page) => {
    const bytes = randomBytes(2000);
    await choose(page, 'letter.bin', bytes);
    await pressStore(page);
    await dealPage(page);
    const accepted = await reach(page, 'accepted', 90_000);
    assert.ok(ORDER.indexOf(accepted) < ORDER.indexOf('complete'));
    await daemon.kill();
    await pause(1_000);
    await daemon.startAgain();
    await reach(page, 'complete', SEAL_MS);
    assert.match(await hook(page, 'deal-id').getAttribute('data-deal-cid'), /^bafy2bza/);
    await reach(page, 'proven', SEAL_MS);
    assert.ok(Number(await hook(page, 'proof-count').first().innerText()) >= 1);

    const [miner] = await daemon.ask('chain.miners');
    assert.ok(miner.posts >= 1 && miner.sectors[0].proofs >= 1);

    const arriving = page.waitForEvent('download', { timeout: 60_000 });
    await hook(page, 'download-button').click();
    const download = await arriving;
    assert.equal(download.suggestedFilename(), 'letter.bin');
    assert.deepEqual(readFileSync(await download.path()), bytes);
    await hook(page, 'download-done').waitFor({ timeout: 30_000 });
  }),
);
