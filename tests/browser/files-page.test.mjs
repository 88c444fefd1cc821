// Files of any size on the page in real Chromium: a folder is chosen, stored with one consent, followed and taken back. Proofs are fake.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { hook, launch, onPage, pressStore, SOON_MS } from './page.mjs';

/** Where pictures of what is tested are put, if anywhere. */
const PICTURES = process.env.SEALDROP_PICTURES;
const MIB = 1 << 20;
const LIMIT = { timeout: 8 * SOON_MS };

let browser;
let daemon;
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealdrop-files-page-'));
  daemon = await Daemon.start(['--auto-seal', '200ms'], { sectorSize: '8MiB', program: FAKE });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await daemon?.end();
  rmSync(folder, { recursive: true, force: true });
});

async function picture(page, name) {
  if (!PICTURES) return;
  for (const [width, height] of [
    [1280, 900],
    [390, 844],
  ]) {
    await page.setViewportSize({ width, height });
    await page.screenshot({ path: join(PICTURES, `${name}-${width}.png`), fullPage: true });
  }
  await page.setViewportSize({ width: 1200, height: 1000 });
}

/** Waits until the file on this page has one of these states. */
async function fileState(page, states) {
  const state = hook(page, 'file-state');
  await state.waitFor();
  await page.waitForFunction(
    (states) => states.includes(document.querySelector('[data-testid="file-state"]')?.dataset.state),
    states,
    { timeout: 4 * SOON_MS },
  );
  return state.getAttribute('data-state');
}

test('a folder of forty files is stored with one consent, followed and taken back', LIMIT, () =>
  onPage(browser, daemon, 'folder', async (page) => {
    const contents = new Map();
    for (let i = 0; i < 40; i += 1) {
      const path = `${i < 20 ? 'letters' : 'photos/summer'}/${String(i).padStart(2, '0')} note.bin`;
      contents.set(path, i === 5 ? Buffer.alloc(0) : randomBytes(2_000 + i * 4_000));
      mkdirSync(join(folder, 'holiday', dirname(path)), { recursive: true });
      writeFileSync(join(folder, 'holiday', path), contents.get(path));
    }
    await picture(page, 'store-empty');
    await hook(page, 'folder-input').setInputFiles(join(folder, 'holiday'));
    await hook(page, 'files-id').waitFor();
    assert.equal(await hook(page, 'chosen-name').innerText(), 'holiday');
    assert.match(await hook(page, 'chosen-facts').innerText(), /^40 files · .* · 39 pieces$/);
    await hook(page, 'store-button').waitFor();
    await picture(page, 'store-folder');
    await pressStore(page);
    await hook(page, 'file-progress').waitFor();
    await page.waitForTimeout(1_500);
    await picture(page, 'folder-under-way');
    assert.equal(await hook(page, 'file-row').count(), 40);
    assert.equal(await fileState(page, ['kept', 'incomplete', 'failed']), 'kept');
    await picture(page, 'folder-kept');

    for (const path of ['letters/07 note.bin', 'photos/summer/39 note.bin', 'letters/05 note.bin']) {
      const row = page.locator(`[data-testid="file-row"][data-path="${path}"]`);
      const arriving = page.waitForEvent('download');
      await row.locator('[data-testid="download-file"]').click();
      assert.deepEqual(readFileSync(await (await arriving).path()), contents.get(path), path);
      await hook(page, 'file-download-done').waitFor();
    }

    // The whole folder, written where the person says: here the browser's own store stands for the disk.
    await page.evaluate(() => {
      globalThis.showDirectoryPicker = () => navigator.storage.getDirectory();
    });
    await hook(page, 'download-all').click();
    const written = async () =>
      page.evaluate(async () => {
        const found = {};
        const walk = async (folder, above) => {
          for await (const [name, handle] of folder.entries()) {
            if (handle.kind === 'directory') await walk(handle, `${above}${name}/`);
            else {
              const bytes = await (await handle.getFile()).arrayBuffer();
              const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
              found[above + name] = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
            }
          }
        };
        await walk(await navigator.storage.getDirectory(), '');
        return found;
      });
    await page.waitForFunction(() =>
      document.querySelector('[data-testid="file-download-done"]')?.innerText.includes('holiday'),
    );
    const expected = [...contents].map(([path, bytes]) => [
      `holiday/${path}`,
      createHash('sha256').update(bytes).digest('hex'),
    ]);
    assert.deepEqual(Object.entries(await written()).sort(), expected.sort());
    // Nothing is written over.
    await hook(page, 'download-all').click();
    await page.locator('[data-testid="problem"][data-code="bad-argument"]').waitFor();

    await page.goto(`${daemon.page}#/deals`);
    await hook(page, 'file-item').waitFor();
    assert.equal(await hook(page, 'deal-item').count(), 0, 'its deals stand on its own page');
    await picture(page, 'deal-book');
  }),
);

test('a folder that is dropped is taken with all that is in it', LIMIT, () =>
  onPage(browser, daemon, 'dropped', async (page) => {
    for (const [path, text] of [
      ['top.txt', 'one'],
      ['deep/er/inner.txt', 'four'],
      ['deep/empty.txt', ''],
    ]) {
      mkdirSync(join(folder, 'dropped', dirname(path)), { recursive: true });
      writeFileSync(join(folder, 'dropped', path), text);
    }
    await page.locator('.drop-label').waitFor();
    const session = await page.context().newCDPSession(page);
    const { x, y } = await page.locator('.drop-label').boundingBox();
    const data = { items: [], files: [join(folder, 'dropped')], dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop']) {
      await session.send('Input.dispatchDragEvent', { type, x: x + 50, y: y + 50, data });
    }
    await hook(page, 'files-id').waitFor();
    assert.equal(await hook(page, 'chosen-name').innerText(), 'dropped');
    assert.deepEqual(await hook(page, 'chosen-files').locator('.file-path').allInnerTexts(), [
      'deep/empty.txt',
      'deep/er/inner.txt',
      'top.txt',
    ]);
    assert.match(await hook(page, 'chosen-facts').innerText(), /3 files · 7 bytes · 2 pieces/);
  }),
);

test('where there is no room for a copy it goes without, and after a reload the same file is asked for', LIMIT, () =>
  onPage(browser, daemon, 'again', async (page) => {
    const session = await page.context().newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(daemon.page).origin, quotaSize: 16 * MIB });
    const path = join(folder, 'roomless.bin');
    writeFileSync(path, randomBytes(23 * MIB));
    await hook(page, 'file-input').first().setInputFiles(path);
    await hook(page, 'files-id').waitFor();
    await pressStore(page);
    const room = page.locator('[data-testid="problem"][data-code="storage"]');
    await room.waitFor();
    await picture(page, 'no-room');
    await room.getByRole('button').click();
    await hook(page, 'file-progress').waitFor();
    await page.reload();
    await hook(page, 'files-again').waitFor();
    await picture(page, 'files-again');
    const other = join(folder, 'other', 'roomless.bin');
    mkdirSync(dirname(other), { recursive: true });
    writeFileSync(other, randomBytes(23 * MIB));
    await hook(page, 'again-files').setInputFiles(other);
    await page.locator('[data-testid="problem"][data-code="file-lost"]').waitFor();
    await hook(page, 'again-files').setInputFiles(path);
    assert.equal(await fileState(page, ['kept', 'incomplete', 'failed']), 'kept');
  }),
);

test('a file larger than a sector is dropped, seen piece by piece, and written to the disk as a stream', LIMIT, () =>
  onPage(browser, daemon, 'large', async (page) => {
    const bytes = randomBytes(16 * MIB + 321);
    const path = join(folder, 'film.bin');
    writeFileSync(path, bytes);
    await hook(page, 'file-input').first().setInputFiles(path);
    await hook(page, 'files-id').waitFor();
    assert.match(await hook(page, 'chosen-facts').innerText(), /3 pieces/);
    await pressStore(page);
    await hook(page, 'file-progress').waitFor();
    await hook(page, 'piece-row').first().waitFor();
    await picture(page, 'file-under-way');
    await page.reload();
    assert.equal(await fileState(page, ['kept', 'incomplete', 'failed']), 'kept');
    // Three parts, and the manifest.
    assert.equal(await hook(page, 'piece-row').count(), 4);
    await picture(page, 'file-kept');
    const arriving = page.waitForEvent('download');
    await hook(page, 'download-all').click();
    assert.ok(readFileSync(await (await arriving).path()).equals(bytes));

    // From a piece's deal the way leads back.
    await hook(page, 'piece-row').first().locator('a').click();
    await hook(page, 'deal-state').waitFor();
    await page.locator('.back a').click();
    await hook(page, 'file-state').waitFor();
  }),
);
