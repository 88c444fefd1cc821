// Copies of a file at several miners, through the npm package in real Chromium: they are at different ones, and when one miner is gone
// the file comes back from the other. Proofs are fake.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { affordable, choose, fund, hook, launch, onPage, SOON_MS, withClient } from './page.mjs';

const LIMIT = { timeout: 10 * SOON_MS };

let browser;
let first;
let second;

before(async () => {
  const options = { sectorSize: '8MiB', program: FAKE };
  first = await Daemon.start(['--auto-seal', '200ms'], options);
  second = await Daemon.start(['--auto-seal', '200ms'], { ...options, joins: first });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await second?.end();
  await first?.end();
});

test('the page has a small file kept by two miners when it is asked to', LIMIT, () =>
  onPage(browser, first, 'two', async (page) => {
    await choose(page, 'letter.txt', Buffer.from('a letter that must not be lost'));
    await affordable(page);
    await page.locator('[data-testid="copies-choice"][value="2"]').check({ force: true });
    await page.getByText('For all 4 deals together: 2 pieces, 2 copies each').waitFor();
    if (process.env.SEALDROP_PICTURES) {
      await page.screenshot({ path: join(process.env.SEALDROP_PICTURES, 'copies.png'), fullPage: true });
    }
    await affordable(page);
    await hook(page, 'store-button').click();
    await hook(page, 'file-state').waitFor();
    await page.locator('[data-testid="file-state"][data-state="kept"]').waitFor({ timeout: 6 * SOON_MS });
    // The letter and the list of files, each at both.
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="piece-row"] a').length === 4);
    // By a miner that was named there is one copy.
    await page.goto(`${first.page}#/`);
    await choose(page, 'other.txt', Buffer.from('another letter'));
    await page.locator('[data-testid="miner-rule"][value="own"]').check({ force: true });
    await page.locator('[data-testid="copies-choice"][value="2"]:disabled').waitFor({ state: 'attached' });
  }),
);

test('copies are at different miners, and one that is gone is not missed', LIMIT, () =>
  onPage(browser, first, 'copies', async (page) => {
    await fund(page, first.chain);
    const stored = await withClient(
      page,
      first.chain,
      async (client, limit) => {
        const bytes = crypto.getRandomValues(new Uint8Array(50_000));
        const large = new Uint8Array(9 * 2 ** 20).map((_, i) => bytes[i % bytes.length] ^ (i >> 16));
        const file = new File([large], 'twice.bin');
        const order = { duration: 3000, copies: 2 };
        const prepared = await client.prepare(file, order);
        const quote = await client.quote(prepared, order);
        const { id } = await client.store(file, { prepared, until: 'ordered', ...order, most: quote.most });
        const end = Date.now() + limit;
        for (;;) {
          const found = await client.file(id);
          if (found.progress.state !== 'under-way') {
            const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', large)).join();
            return { id, quote, found, digest };
          }
          if (Date.now() > end) throw { code: 'late', message: JSON.stringify(found) };
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
      },
      6 * SOON_MS,
    );
    assert.equal(stored.code, undefined, stored.message);
    const { found, quote } = stored;
    assert.deepEqual([found.progress.state, found.progress.copiesKept], ['kept', 4]);
    assert.deepEqual([quote.pieces, quote.deals], [2, 4]);
    for (const { copies } of found.parts) {
      const miners = copies.filter(({ state }) => state === 'kept').map(({ miner }) => miner);
      assert.equal(new Set(miners).size, 2, 'each copy is at another miner');
    }

    // Its page is served by the other one, and is there already.
    await second.kill();
    const back = await withClient(
      page,
      first.chain,
      async (client, id) => {
        const parts = [];
        const reader = client.retrieve(id).getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          parts.push(value);
        }
        const whole = await new Blob(parts).arrayBuffer();
        return new Uint8Array(await crypto.subtle.digest('SHA-256', whole)).join();
      },
      stored.id,
    );
    assert.equal(back, stored.digest);
  }),
);
