// What the tests do on the page: open it, choose a file, press Store, follow the deal.
//
// Nothing here relies on how fast the machine is: waits are generous, and end as soon as the page shows an outcome.

import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';

export const CHROMIUM = process.env.SEALDROP_CHROMIUM ?? '/usr/bin/chromium';
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
/** Longest wait for anything that takes a moment on an idle machine. */
export const SOON_MS = 90_000;

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
/** The steps of a deal in order. */
export const { STEPS: ORDER } = await import(join(CLIENT, 'types.js'));

export const launch = (more = [], { executablePath = CHROMIUM } = {}) =>
  chromium.launch({ executablePath, args: [...ARGS, ...more], timeout: 180_000 });

/** Runs a test on a page of its own; a failure leaves a picture and what the page said. */
export async function onPage(browser, daemon, name, work, chain) {
  // Without a graphics processor, moving pictures would take the time of the miner's proof.
  const context = await browser.newContext({
    acceptDownloads: true,
    viewport: { width: 1200, height: 1000 },
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(SOON_MS);
  const page = await context.newPage();
  const said = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => dialog.accept().catch(() => {}));
  try {
    if (chain) await leadTo(page, chain);
    await page.goto(daemon.page);
    await work(page);
  } catch (error) {
    const picture = join(mkdtempSync(join(tmpdir(), 'sealdrop-page-')), `${name}.png`);
    await page.screenshot({ path: picture, fullPage: true }).catch(() => {});
    console.error(
      `the page at the failure: ${picture}\n${said.slice(-30).join('\n')}\nthe daemon's log:\n${daemon.log.slice(-4000)}`,
    );
    throw error;
  } finally {
    await context.close();
  }
}

/** Has the page use another chain endpoint than the daemon's own. */
const leadTo = (page, chain) =>
  page.route('**/config.json', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ json: { ...(await answer.json()), chain } });
  });

export const hook = (page, name) => page.locator(`[data-testid="${name}"]`);

export const problem = (page, code) => page.locator(`[data-testid="problem"][data-code="${code}"]`).first();

export async function choose(page, name, bytes) {
  await hook(page, 'file-input').first().setInputFiles({ name, mimeType: 'application/octet-stream', buffer: bytes });
}

/** Presses Store as soon as the terms allow it, with money from the faucet when the account is empty. */
export async function pressStore(page) {
  await affordable(page);
  await hook(page, 'store-button').click();
}

/** Waits until Store can be pressed, with money from the faucet when the account is empty. */
export async function affordable(page) {
  const button = hook(page, 'store-button');
  await button.waitFor();
  const limit = Date.now() + SOON_MS;
  while (!(await button.isEnabled())) {
    assert.ok(Date.now() < limit, 'the terms do not become acceptable');
    const faucet = hook(page, 'faucet-button');
    // It goes away by itself when the money comes, perhaps just now.
    if ((await problem(page, 'insufficient-funds').count()) > 0) await faucet.click({ timeout: 2_000 }).catch(() => {});
    await pause(300);
  }
}

/** Waits for the page of the deal that was just ordered; a deal that was not made fails at once, with its reason. */
export async function dealPage(page) {
  const state = hook(page, 'deal-state');
  const trouble = hook(page, 'problem').first();
  await state.or(trouble).first().waitFor();
  // A deal may have failed by now, and its page says why.
  if ((await state.count()) > 0) return;
  assert.equal(await trouble.count(), 0, `the deal was not made: ${await hook(page, 'problem').allInnerTexts()}`);
}

/** Waits until the deal has come as far as `step`; fails at once when the deal does. */
export async function reach(page, step, timeout) {
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

/**
 * Runs `work` with a client of the npm package, beside the page's own, as a second tab would have it. It gets the
 * client and `input`; what it throws comes back as `{ code, message }`. Handed over as text, which the page's content
 * security policy does not concern.
 */
export const withClient = (page, chain, work, input) =>
  page.evaluate(`(async () => {
    const { computePiece, createClient } = await import('/client/index.js');
    // What is late is told with its amounts.
    BigInt.prototype.toJSON ??= function () {
      return String(this);
    };
    const client = createClient({ chain: ${JSON.stringify(chain)} });
    try {
      return await (${work})(client, ${JSON.stringify(input ?? null)});
    } catch ({ code, message }) {
      return { code, message };
    } finally {
      await client.close();
    }
  })()`);

/** The same; what `work` throws fails the test, with its code. */
export async function askClient(page, chain, work, input) {
  const outcome = await withClient(page, chain, work, input);
  assert.equal(outcome?.code, undefined, `${outcome?.code}: ${outcome?.message}`);
  return outcome;
}

/** Money for whatever a test does. The page asks the faucet by itself at a first visit, which gives to an account once in a while. */
export const fund = (page, chain) =>
  askClient(
    page,
    chain,
    `async (client) => {
      while ((await client.wallet.balance()) < 50n * 10n ** 18n) {
        await client.wallet.faucet().catch(() => new Promise((again) => setTimeout(again, 200)));
      }
    }`,
  );
