// What happens to the page in a person's browser: two tabs, a tab that is closed while a file is sent, a private window, storage that is
// cleared, a miner that lies. Real Chromium and a real daemon; proofs are fake.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { choose, hook, launch, onPage, pressStore, SOON_MS } from './page.mjs';

const MIB = 1 << 20;
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

/** Waits until the file on this page has a state. */
const fileState = (page, state) =>
  page.waitForFunction(
    (state) => document.querySelector('[data-testid="file-state"]')?.dataset.state === state,
    state,
    { timeout: 4 * SOON_MS },
  );

/** Counts what is against the page's policy, by its header and its own. */
const hearPolicy = (page) => {
  const said = [];
  page.on('console', (message) => {
    if (/Content.Security.Policy|Trusted(Script|HTML)/.test(message.text())) said.push(message.text());
  });
  return said;
};

test('two tabs show one book, and when the one that sends is closed the other goes on', LIMIT, () =>
  onPage(browser, daemon, 'tabs', async (first) => {
    const against = hearPolicy(first);
    const second = await first.context().newPage();
    await second.goto(`${daemon.page}#/deals`);
    await second.getByText('No deals yet').waitFor();
    await choose(first, 'shared.bin', randomBytes(30 * MIB));
    await hook(first, 'files-id').waitFor();
    await pressStore(first);
    await hook(first, 'file-progress').waitFor();
    const { hash } = new URL(first.url());
    // The other tab hears of it without being loaded anew.
    await second.getByText('shared.bin').waitFor();
    await first.close();
    await second.getByText('shared.bin').click();
    await hook(second, 'file-state').waitFor();
    assert.equal(new URL(second.url()).hash, hash);
    await fileState(second, 'kept');
    assert.deepEqual(against, [], 'nothing is against the policy');
    const miners = await daemon.status();
    assert.ok(miners.sectors.length > 0);
  }),
);

test('a private window has an account and a book of its own, which another one does not see', LIMIT, () =>
  onPage(browser, daemon, 'private', async (page) => {
    await choose(page, 'secret.txt', randomBytes(2000));
    await hook(page, 'piece-commp').waitFor();
    await pressStore(page);
    await hook(page, 'deal-state').waitFor();
    const address = await page.evaluate(() => document.querySelector('[data-testid="deal-id"]')?.dataset.id);
    assert.ok(address);
    // Each context of the browser is a private window, as Chromium's own are: off the record, with storage of its own.
    await onPage(browser, daemon, 'another', async (other) => {
      await other.goto(`${daemon.page}#/deals`);
      await other.getByText('No deals yet').waitFor();
      await other.goto(`${daemon.page}#/deal/${address}`);
      await other.getByText('This deal is not in the book').waitFor();
    });
  }),
);

test('when the site’s storage is cleared the page begins anew, with an account and nothing in the book', LIMIT, () =>
  onPage(browser, daemon, 'cleared', async (page) => {
    await choose(page, 'letter.txt', randomBytes(2000));
    await pressStore(page);
    await hook(page, 'deal-state').waitFor();
    await page.goto('about:blank');
    const session = await page.context().newCDPSession(page);
    await session.send('Storage.clearDataForOrigin', { origin: new URL(daemon.page).origin, storageTypes: 'all' });
    await page.goto(`${daemon.page}#/deals`);
    await page.getByText('No deals yet').waitFor();
    await page.locator('nav a').first().click();
    await choose(page, 'again.txt', randomBytes(2000));
    await pressStore(page);
    await hook(page, 'deal-state').waitFor();
  }),
);

test('a miner that gives other bytes than it took is found out, and the page says what to do', LIMIT, () =>
  onPage(browser, daemon, 'lying', async (page) => {
    const name = 'precious.bin';
    await choose(page, name, randomBytes(9 * MIB));
    await hook(page, 'files-id').waitFor();
    await pressStore(page);
    await hook(page, 'file-progress').waitFor();
    await fileState(page, 'kept');
    // Whatever is asked of the miner over HTTP comes with a bit turned.
    let given = 0;
    await page.context().route('**/piece/**', async (route) => {
      const answer = await route.fetch();
      const body = await answer.body();
      given = body.length;
      if (body.length > 0) body[Math.floor(body.length / 2)] ^= 1;
      await route.fulfill({ response: answer, body });
    });
    // A drill may choose the list of the pieces, which comes as a whole and therefore over libp2p when HTTP does not give it.
    while (given < MIB) {
      await hook(page, 'drill-now').click();
      await page.waitForFunction(() => !document.querySelector('[data-testid="drill-now"]').disabled);
    }
    await hook(page, 'drill-done').waitFor();
    assert.equal(await hook(page, 'drill-done').getAttribute('data-verdict'), 'doubtful');
    assert.match(await hook(page, 'drill-done').innerText(), /did not give it, once/);
    await hook(page, 'copy-check').first().waitFor();
  }),
);
