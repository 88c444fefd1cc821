// Copies in the origin's private file system, in real Chromium with a real daemon: a tab that is closed in the middle goes on when it is opened
// again, without the file being chosen again, and nothing of the copy is left in the end. Proofs are fake.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { askClient, fund, launch, onPage, SOON_MS, withClient } from './page.mjs';

const LIMIT = { timeout: 8 * SOON_MS };
const MIB = 2 ** 20;

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

/** In the page: stores a file that only this page has, with a copy; what was told of the copy, and whether the file is under way. */
const STORE = `async (client, [name, mib, order]) => {
  const bytes = new Uint8Array(mib * 2 ** 20);
  for (let at = 0; at < bytes.length; at += 2 ** 20) bytes.fill(at / 2 ** 20 + 1, at, at + 2 ** 20);
  const told = [];
  const storing = client.store(new File([bytes], name), { duration: 3000, until: 'ordered', keep: 'opfs', ...order });
  for await (const event of storing) if (event.type === 'copying') told.push(event.progress.done);
  const { id } = await storing;
  return { id, told };
}`;

/** In the page: waits until the miner has some of a file, and not all of it. */
const MIDDLE = `async (client, [id, limit]) => {
  for (const end = Date.now() + limit; ; ) {
    const { transferred, bytes } = (await client.file(id)).progress;
    if (transferred > 0) return { transferred, bytes };
    if (Date.now() > end) throw { code: 'late', message: 'nothing was sent' };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}`;

/** In the page: waits until a file is kept, or its bytes are missing. */
const END = `async (client, [id, limit]) => {
  for (const end = Date.now() + limit; ; ) {
    const { progress, problem } = await client.file(id);
    const lost = [problem, ...(await client.deals()).map(({ error }) => error)].find((error) => error?.code === 'file-lost');
    if (progress.state === 'kept' || lost) return lost ? 'file-lost' : progress.state;
    if (Date.now() > end) throw { code: 'late', message: JSON.stringify(progress) };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}`;

/** The files that are copied, whatever network they are of. */
const copied = (page) =>
  page.evaluate(async () => {
    const found = [];
    const root = await navigator.storage.getDirectory();
    const all = await root.getDirectoryHandle('sealdrop-copies').catch(() => undefined);
    for await (const network of all?.values() ?? []) {
      for await (const file of network.keys()) found.push(file);
    }
    return found;
  });

async function until(holds, what) {
  for (const end = Date.now() + SOON_MS; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((again) => setTimeout(again, 100));
  }
  throw new Error(what);
}

test('a tab that is closed in the middle of a transfer goes on when it is opened again, from its copy', LIMIT, () =>
  onPage(browser, daemon, 'opfs', async (page) => {
    await fund(page, daemon.chain);
    const { id, told } = await ask(page, STORE, ['film.bin', 60]);
    assert.equal(told.at(-1), 60 * MIB, 'the whole copy is told of before it is ordered');
    assert.deepEqual(await copied(page), [id]);
    const { transferred, bytes } = await ask(page, MIDDLE, [id, SOON_MS]);
    assert.ok(transferred < bytes, `all ${bytes} bytes were sent already`);
    const context = page.context();
    await page.close();
    const again = await context.newPage();
    await again.goto(daemon.page);
    assert.equal(await ask(again, END, [id, 4 * SOON_MS]), 'kept');
    await until(async () => (await copied(again)).length === 0, 'the copy is removed once all of the file is kept');
  }),
);

test('a copy that is stopped, has no room, or was left by a closed tab leaves nothing behind', LIMIT, () =>
  onPage(browser, daemon, 'opfs-nothing', async (page) => {
    await fund(page, daemon.chain);
    const outcome = await ask(
      page,
      `async (client) => {
        const stopping = new AbortController();
        const options = { duration: 3000, keep: 'opfs', signal: stopping.signal };
        try {
          const storing = client.store(new File([new Uint8Array(200 * 2 ** 20)], 'stopped.bin'), options);
          for await (const { type } of storing) if (type === 'copying') stopping.abort();
        } catch ({ code }) {
          // What copies is this client's, and ends with it.
          const empty = async () => {
            const root = await navigator.storage.getDirectory();
            for await (const network of (await root.getDirectoryHandle('sealdrop-copies')).values()) {
              for await (const name of network.keys()) return name === undefined;
            }
            return true;
          };
          while (!(await empty())) await new Promise((again) => setTimeout(again, 50));
          return { stopped: code };
        }
      }`,
    );
    assert.deepEqual(outcome, { stopped: 'aborted' });
    assert.deepEqual(await copied(page), []);
    assert.deepEqual(await ask(page, 'async (client) => (await client.files()).length'), 0);

    // Whatever the browser says of its room: it keeps that to itself, and refuses when it is full.
    const tools = await page.context().newCDPSession(page);
    const { origin } = new URL(daemon.page);
    await tools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 30 * MIB });
    const refused = await withClient(page, daemon.chain, STORE, ['large.bin', 60]);
    assert.equal(refused.code, 'storage');
    assert.match(refused.message, /no room for a copy of 60 MiB/);
    assert.deepEqual(await copied(page), []);
    assert.deepEqual(await ask(page, 'async (client) => (await client.files()).length'), 0);
    await tools.send('Storage.overrideQuotaForOrigin', { origin });

    // As a tab leaves it that is closed while it copies.
    await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const all = await root.getDirectoryHandle('sealdrop-copies');
      for await (const network of all.values()) await network.getDirectoryHandle('left', { create: true });
    });
    assert.deepEqual(await copied(page), ['left']);
    await page.reload();
    await until(async () => (await copied(page)).length === 0, 'what no file needs is removed by the tab that leads');
  }),
);
