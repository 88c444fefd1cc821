// The operator's page at a real daemon, whose proofs are fake: what a client stores is seen, explained and proven, orders and settings take hold.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { choose, dealPage, hook, launch, onPage, pressStore, SOON_MS } from './page.mjs';

const LIMIT = { timeout: 8 * SOON_MS };

let browser;
let daemon;

before(async () => {
  daemon = await Daemon.start(['--auto-seal', '200ms'], { sectorSize: '8MiB', program: FAKE });
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await daemon?.end();
});

/** A link to the operator's page with a token of the daemon's. */
const link = (scope) => {
  const tokens = JSON.parse(readFileSync(join(daemon.home, 'operator.token'), 'utf8'));
  return `${daemon.page}#/operator/token/${tokens[scope]}`;
};

/** Waits until the verdict is one that was heard. */
const heard = (page) =>
  page.waitForFunction(() => {
    const { verdict } = document.querySelector('[data-testid="verdict"]')?.dataset ?? {};
    return verdict !== undefined && verdict !== 'unknown';
  });

const go = (page, place) => page.evaluate((place) => (location.hash = `#/operator${place}`), place);

/** Nothing that the page asks the daemon for is missing or of another form. */
const readsAll = async (page) => assert.deepEqual(await hook(page, 'problem').allInnerTexts(), []);

test('what a client stores is seen by the operator, from the deal to the proof', LIMIT, () =>
  onPage(browser, daemon, 'operator', async (page) => {
    await choose(page, 'letter.txt', randomBytes(5_000));
    await pressStore(page);
    await dealPage(page);
    const operator = await page.context().newPage();
    const against = [];
    operator.on('pageerror', (error) => against.push(error.message));
    operator.on('console', (message) => {
      if (/Content.Security.Policy|Trusted(Script|HTML)/.test(message.text())) against.push(message.text());
    });
    await operator.goto(link('admin'));
    await heard(operator);
    assert.equal(new URL(operator.url()).hash, '#/operator', 'the token does not stay in the address');
    // The chain goes on, and the page with it.
    const height = async () =>
      Number((await hook(operator, 'line').innerText()).match(/block ([\d,]+)/)?.[1].replaceAll(',', ''));
    const first = await height();
    await operator.waitForFunction(
      (first) =>
        Number(
          /block ([\d,]+)/.exec(document.querySelector('[data-testid="line"]').textContent)?.[1].replaceAll(',', ''),
        ) >
        first + 3,
      first,
    );
    await go(operator, '/deals');
    await hook(operator, 'deal').first().getByRole('link').click();
    await hook(operator, 'why').waitFor();
    await go(operator, '/sectors');
    await operator.locator('[data-testid="sector"][data-phase="proving"]').first().waitFor();
    for (const [place, shows] of [
      ['/sectors/1', 'sector-detail'],
      ['/proofs', 'window'],
      ['/earnings', 'earnings'],
      ['/machine', 'machine'],
      ['/peers', 'address'],
      ['/log', 'log-line'],
      ['/settings', 'setting-price'],
    ]) {
      await go(operator, place);
      await hook(operator, shows).first().waitFor();
      await readsAll(operator);
    }
    assert.deepEqual(against, [], 'nothing fails, and nothing is against the policy');
  }),
);

test('orders and settings take hold, and what makes no sense is refused', LIMIT, () =>
  onPage(browser, daemon, 'orders', async (page) => {
    await page.goto('about:blank');
    await page.goto(link('admin'));
    await heard(page);
    await hook(page, 'mining-stop').click();
    await hook(page, 'mining-stop-yes').click();
    await page.locator('[data-testid="taking"][data-taking="false"]').waitFor();
    await hook(page, 'mining-start').click();
    await page.locator('[data-testid="taking"][data-taking="true"]').waitFor();
    await go(page, '/settings');
    await hook(page, 'setting-askBlocks').fill('5');
    await hook(page, 'settings-save').click();
    await page.getByText('An ask cannot stand for 5 blocks').waitFor();
    await hook(page, 'settings-discard').click();
    await hook(page, 'setting-price').fill('0.0000000002');
    await hook(page, 'settings-save').click();
    await page.getByText(/Saved\. The new ask is in block/).waitFor();
    await go(page, '/log');
    await hook(page, 'log-filter').fill('sealdrop=debug,warn');
    await hook(page, 'log-filter-set').click();
    await page.getByText('It holds from now on.').waitFor();
  }),
);

test('when the daemon ends the page says so, and goes on with the next', LIMIT, () =>
  onPage(browser, daemon, 'away', async (page) => {
    await page.goto('about:blank');
    await page.goto(link('read'));
    await heard(page);
    assert.equal(await hook(page, 'mining-stop').or(hook(page, 'mining-start')).isDisabled(), true);
    await daemon.kill();
    await page.locator('[data-testid="operator"][data-standing="away"]').waitFor();
    assert.equal(await hook(page, 'verdict').getAttribute('data-verdict'), 'unknown');
    await daemon.startAgain();
    await page.locator('[data-testid="operator"][data-standing="live"]').waitFor();
    await heard(page);
  }),
);
