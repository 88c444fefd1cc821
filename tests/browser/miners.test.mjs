// The page on a network with several miners: the list, the choice by rule, and what is said of those that are passed over.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { chainOfThreeMiners } from './away.mjs';
import { Daemon } from './daemon.mjs';
import { affordable, choose, dealPage, hook, launch, onPage, SOON_MS } from './page.mjs';

let browser;
let daemon;
let three;

before(async () => {
  daemon = await Daemon.start(['--auto-seal', '24h']);
  three = await chainOfThreeMiners(daemon.chain);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  three?.close();
  await daemon?.end();
});

/** What the page says of each miner: its address, and `yes`, `no`, `silent` … */
const said = (page) =>
  hook(page, 'miner-card').evaluateAll((cards) =>
    cards.map((card) => [card.dataset.miner, card.querySelector('[data-testid="miner-answer"]')?.dataset.says]),
  );

test(
  'the list says what each miner answers, and a rule passes over those that do not take the file',
  {
    timeout: 6 * SOON_MS,
  },
  () =>
    onPage(
      browser,
      daemon,
      'miners',
      async (page) => {
        await choose(page, 'letter.bin', randomBytes(1500));
        await page.locator('[data-testid="miner-answer"][data-says="silent"]').waitFor();
        const [{ address: real }] = await daemon.ask('chain.miners');
        assert.deepEqual(Object.fromEntries(await said(page)), { t0900001: 'silent', t0900002: 'no', [real]: 'yes' });
        await hook(page, 'passed-over').waitFor();
        const chosen = () => page.locator('.miner.chosen').getAttribute('data-miner');
        assert.equal(await chosen(), real);
        // One that is named by hand is meant, whatever it says.
        await page.locator('[data-miner="t0900002"]').click();
        assert.equal(await chosen(), 't0900002');
        await page.locator('[data-testid="miner-rule"][value="nearest"]').check({ force: true });
        await page.waitForFunction((real) => document.querySelector('.miner.chosen')?.dataset.miner === real, real);
        await affordable(page);
        await hook(page, 'store-button').click();
        await dealPage(page);
        assert.match(await hook(page, 'chosen').innerText(), /as the nearest/);
      },
      three.url,
    ),
);
