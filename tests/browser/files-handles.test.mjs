// Files that the browser knows by where they are on the disk, in real Chromium with a real daemon: stored by reference, they go on after a
// reload without being chosen again. Proofs are fake.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { askClient, fund, launch, onPage, SOON_MS } from './page.mjs';

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

/** In the page: stores a file of the page's own file system by reference, with what it is called there. */
const STORE = `async (client, name) => {
  const root = await navigator.storage.getDirectory();
  const handle = await root.getFileHandle(name, { create: true });
  const to = await handle.createWritable();
  for (let i = 0; i < 20; i += 1) await to.write(new Uint8Array(2 ** 20).fill(i));
  await to.close();
  const files = [{ path: name, file: await handle.getFile(), handle }];
  const prepared = await client.prepare(files);
  const { id: file } = await client.store(files, { prepared, until: 'ordered', duration: 3000, keep: 'reference' });
  return file;
}`;

/** In the page: waits until the file is kept, or its bytes are missing. */
const END = `async (client, [id, limit]) => {
  for (const end = Date.now() + limit; ; ) {
    const { progress, problem } = await client.file(id);
    const lost = [problem, ...(await client.deals()).map(({ error }) => error)].find((error) => error?.code === 'file-lost');
    if (progress.state === 'kept' || lost) return lost ? 'file-lost' : progress.state;
    if (Date.now() > end) throw { code: 'late', message: JSON.stringify(progress) };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}`;

test('a file that is known by where it is on the disk goes on after a reload', LIMIT, () =>
  onPage(browser, daemon, 'handles', async (page) => {
    await fund(page, daemon.chain);
    const id = await ask(page, STORE, 'film.bin');
    await page.reload();
    assert.equal(await ask(page, END, [id, 4 * SOON_MS]), 'kept');
  }),
);
