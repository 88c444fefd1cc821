// Drills through the npm package and on the page, in real Chromium with a real daemon: a copy is fetched from now and then, and one that gives
// something else three times in a row is lost. Proofs are fake.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { askClient, fund, hook, launch, onPage, SOON_MS } from './page.mjs';

const LIMIT = { timeout: 8 * SOON_MS };

let browser;
let daemon;

before(async () => {
  daemon = await Daemon.start(['--auto-seal', '200ms'], { sectorSize: '8MiB', program: FAKE });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await daemon?.end();
});

const ask = (page, work, input) => askClient(page, daemon.chain, work, input);

test('a copy that comes back is told so with its time, and one that gives other bytes three times is lost', LIMIT, () =>
  onPage(browser, daemon, 'drills', async (page) => {
    // On a page without the app, whose own client would carry the file on.
    await page
      .context()
      .route('**/blank', (route) => route.fulfill({ contentType: 'text/html', body: '<p>blank</p>' }));
    await page.goto(`${daemon.page}blank`);
    await fund(page, daemon.chain);
    const id = await ask(
      page,
      async (client, limit) => {
        const bytes = new Uint8Array(3_000_000).fill(7);
        const file = new File([bytes], 'film.bin');
        const prepared = await client.prepare(file);
        const { id } = await client.store(file, { prepared, until: 'ordered', duration: 3000 });
        for (const end = Date.now() + limit; ; ) {
          const whole = await client.file(id);
          if (whole.progress.state === 'kept') return id;
          if (Date.now() > end || whole.stopped) throw { code: 'late', message: JSON.stringify(whole) };
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      },
      4 * SOON_MS,
    );
    const drill = () =>
      ask(
        page,
        async (client, id) => {
          // Whoever opens the client leads a moment later.
          for (;;) {
            const drilled = await client.drill(id).catch((error) => {
              if (error.code !== 'busy') throw error;
            });
            const { parts, progress } = await client.file(id);
            if (drilled) return { ...drilled, copy: parts[0].copies[0], kept: progress.copiesKept };
            await new Promise((resolve) => setTimeout(resolve, 200));
          }
        },
        id,
      );
    const good = await drill();
    assert.deepEqual([good.verdict, good.strikes, good.reason, good.kept], ['kept', 0, undefined, 1]);
    assert.equal(good.copy.checked.passed, true);
    assert.ok(Math.abs(good.copy.checked.at - Date.now()) < SOON_MS);

    await page.context().route('**/piece/**', async (route) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(route.request().headers().range ?? '') ?? [];
      const headers = { 'access-control-allow-origin': '*', 'content-range': `bytes ${from}-${to}/3000000` };
      await route.fulfill({ status: 206, headers, body: Buffer.alloc(Number(to) - Number(from) + 1, 8) });
    });
    const bad = [await drill(), await drill(), await drill()];
    assert.deepEqual(
      bad.map(({ verdict, strikes }) => [verdict, strikes]),
      [
        ['doubtful', 1],
        ['doubtful', 2],
        ['lost', 3],
      ],
    );
    assert.match(bad[0].reason, /other bytes/);
    assert.deepEqual([bad[2].copy.state, bad[2].copy.checked.passed, bad[2].kept], ['lost', false, 0]);
    await page.context().unroute('**/piece/**');
    await page.goto(`${daemon.page}#/file/${id}`);
    await hook(page, 'copy-check').waitFor();
    assert.equal(await hook(page, 'copy-check').getAttribute('data-passed'), 'false');
  }),
);
