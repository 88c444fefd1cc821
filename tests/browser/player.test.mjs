// The page shows what is stored: a recording that seeks through the Service Worker over verified ranges, images, text and PDF. Proofs are fake.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { recordFilm } from './film.mjs';
import { hook, launch, onPage, pressStore, SOON_MS } from './page.mjs';

const PICTURES = process.env.SEALDROP_PICTURES;
const MIB = 1 << 20;
const LIMIT = { timeout: 8 * SOON_MS };

let browser;
let daemon;
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealdrop-player-'));
  daemon = await Daemon.start(['--auto-seal', '200ms', '--price', '0'], { sectorSize: '8MiB', program: FAKE });
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

/** A recording of so many bytes: 8 bits, 8000 times a second, a tone that everybody can hear. */
function wav(size) {
  const bytes = Buffer.alloc(size, 128);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(size - 8, 4);
  bytes.write('WAVEfmt ', 8);
  for (const [at, value, wide] of [
    [16, 16, true],
    [20, 1],
    [22, 1],
    [24, 8000, true],
    [28, 8000, true],
    [32, 1],
    [34, 8],
    [40, size - 44, true],
  ]) {
    bytes[wide ? 'writeUInt32LE' : 'writeUInt16LE'](value, at);
  }
  bytes.write('data', 36);
  for (let at = 44; at < size; at += 1) bytes[at] = 128 + 40 * Math.sin(at / 4);
  return bytes;
}

async function store(page, path, input = 'file-input') {
  await hook(page, input).first().setInputFiles(path);
  await hook(page, 'files-id').waitFor();
  await pressStore(page);
  await page.locator('[data-testid="file-state"][data-state="kept"]').waitFor({ timeout: 4 * SOON_MS });
}

const shown = (page) => page.locator('[data-testid="preview"][data-state="shown"]').waitFor();

/** What the player does, in its frame. */
const inPlayer = (page, work, input) =>
  page.evaluate(
    `(${work})(document.querySelector('.preview-player').contentDocument.querySelector('audio, video'), ${JSON.stringify(input ?? null)})`,
  );

test('a recording plays from the middle without what lies before it, and again after a reload', LIMIT, () =>
  onPage(browser, daemon, 'player', async (page) => {
    const path = join(folder, 'lecture.wav');
    writeFileSync(path, wav(31 * MIB));
    await store(page, path);
    const asked = [];
    page.on('request', (request) => {
      const { pathname, searchParams } = new URL(request.url());
      if (/^[/](ipfs|piece)[/]/.test(pathname)) asked.push({ pathname, range: searchParams.get('entity-bytes') });
    });
    await hook(page, 'preview-button').focus();
    await page.keyboard.press('Enter');
    await shown(page);
    await inPlayer(page, async (media) => {
      media.pause();
      media.currentTime = 0.75 * media.duration;
      await new Promise((resolve) => media.addEventListener('seeked', resolve, { once: true }));
      await media.play();
    });
    await inPlayer(page, async (media) => {
      const from = media.currentTime;
      if (Math.abs(from / media.duration - 0.75) > 0.01) throw new Error(`it is at ${from} of ${media.duration} s`);
      while (media.currentTime < from + 1)
        await new Promise((resolve) => media.addEventListener('timeupdate', resolve, { once: true }));
      media.pause();
    });
    const pieces = new Set(asked.map(({ pathname }) => pathname));
    assert.ok(
      asked.every(({ range }) => range !== null),
      'only ranges were asked for',
    );
    assert.ok(pieces.size < 5, `of five pieces, ${pieces.size} were asked for`);
    const bytes = asked.reduce((sum, { range }) => {
      const [from, last] = range.split(':').map(Number);
      return sum + last - from + 1;
    }, 0);
    assert.ok(bytes <= 20 * MIB, `${bytes} bytes were asked for`);
    await picture(page, 'player');

    // What a stored file says that it is, no address shows it as a document.
    const media = await inPlayer(page, (media) => media.src);
    assert.equal(
      await page.evaluate(async (url) => (await fetch(url)).status, media),
      404,
      'the page itself goes past the worker',
    );

    await page.reload();
    await hook(page, 'preview-button').click();
    await shown(page);
    await hook(page, 'preview-close').click();
    assert.equal(await page.evaluate(() => document.activeElement.dataset.testid), 'preview-button');
  }),
);

test('a video on the page of its deal shows its frames, and goes to any place in it', LIMIT, () =>
  onPage(browser, daemon, 'video', async (page) => {
    const path = join(folder, 'film.webm');
    writeFileSync(path, Buffer.from(await page.evaluate(recordFilm), 'hex'));
    await hook(page, 'file-input').first().setInputFiles(path);
    await pressStore(page);
    await hook(page, 'preview-button').waitFor({ timeout: 4 * SOON_MS });
    await picture(page, 'video-waits');
    await hook(page, 'preview-button').click();
    await shown(page);
    const colours = await inPlayer(page, async (media) => {
      media.pause();
      const found = [];
      for (const at of [2.5, 0.5, 1.5]) {
        media.currentTime = at;
        await new Promise((resolve) => media.addEventListener('seeked', resolve, { once: true }));
        const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
        const pen = canvas.getContext('2d');
        pen.drawImage(media, 0, 0, 20, 20, 0, 0, 1, 1);
        found.push([...pen.getImageData(0, 0, 1, 1).data.subarray(0, 3)].join());
      }
      return [media.videoWidth, new Set(found).size];
    });
    assert.deepEqual(colours, [320, 3], 'three places, three colours');
    await picture(page, 'video');
  }),
);

test('without a Service Worker the page says so where it matters, and plays what fits into memory', LIMIT, () =>
  onPage(browser, daemon, 'no-worker', async (page) => {
    await page.addInitScript(() => {
      delete Navigator.prototype.serviceWorker;
    });
    await page.reload();
    const path = join(folder, 'short.wav');
    writeFileSync(path, wav(2 * MIB));
    await hook(page, 'file-input').first().setInputFiles(path);
    await pressStore(page);
    await page.locator('[data-testid="preview-button"]:enabled').waitFor({ timeout: 4 * SOON_MS });
    await hook(page, 'preview-button').click();
    await page.locator('audio.preview-media').waitFor();
    // A larger one is not held in memory. All within one call: the deal's page gives its own file again whenever it draws.
    const larger = await page.evaluate(async () => {
      const preview = document.querySelector('sd-preview');
      preview.file = { ...preview.file, key: 'other', size: 2 ** 31 };
      await preview.updateComplete;
      const part = (name) => preview.querySelector(`[data-testid="${name}"]`);
      return { why: part('preview-cannot')?.innerText, refused: part('preview-button')?.disabled };
    });
    assert.match(larger.why ?? '', /no Service Worker.*download it instead/s);
    assert.equal(larger.refused, true);
  }),
);

const PDF =
  '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n' +
  '3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n' +
  '4 0 obj<</Length 44>>stream\nBT /F1 24 Tf 50 100 Td (Hello Sealdrop) Tj ET\nendstream endobj\ntrailer<</Root 1 0 R>>';
const FILES = {
  'drawing.svg':
    '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="360"><rect width="640" height="360" fill="#a61b29"/><circle cx="320" cy="180" r="90" fill="#fbe9e6"/><script>parent.ran = top.ran = 1</script></svg>',
  'page.html': '<h1>A page</h1><script>top.ran = 1</script>\n',
  'notes.txt': 'The first line\nand the second one: ä, 漢, 🦭\n',
  'paper.pdf': PDF,
  'raw.bin': '\0\0',
};

test('images, text and PDF of a folder are shown, and nothing in them runs', LIMIT, () =>
  onPage(browser, daemon, 'previews', async (page) => {
    mkdirSync(join(folder, 'mixed'));
    for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, 'mixed', name), text);
    await store(page, join(folder, 'mixed'), 'folder-input');
    const row = (name) => page.locator(`[data-testid="file-row"][data-path="${name}"] [data-testid="show-file"]`);
    assert.equal(await hook(page, 'show-file').count(), 4, 'what is no such file is not offered');
    for (const name of ['notes.txt', 'page.html']) {
      await row(name).click();
      await shown(page);
      assert.equal(await page.locator('.preview-text').innerText(), FILES[name]);
      if (name === 'notes.txt') await picture(page, 'preview-text');
    }
    await row('drawing.svg').click();
    await shown(page);
    await page.waitForFunction(() => document.querySelector('.preview-image')?.naturalWidth === 640);
    assert.match(
      await page.locator('.preview-image').getAttribute('src'),
      /^data:/,
      'in a tab of its own it is no page of this site',
    );
    await picture(page, 'preview-image');
    await row('paper.pdf').click();
    await shown(page);
    assert.match(await page.locator('.preview-pdf').getAttribute('src'), /^blob:/);
    await page.waitForTimeout(1_000);
    await picture(page, 'preview-pdf');
    assert.equal(await page.evaluate(() => globalThis.ran), undefined);
  }),
);

test('a large file is downloaded through the Service Worker where a page may not write to the disk', LIMIT, () =>
  onPage(browser, daemon, 'download', async (page) => {
    await page.evaluate(() => {
      globalThis.showSaveFilePicker = undefined;
    });
    const bytes = wav(65 * MIB);
    const path = join(folder, 'long (1) ä.wav');
    writeFileSync(path, bytes);
    await store(page, path);
    const arriving = page.waitForEvent('download');
    await hook(page, 'download-all').click();
    const download = await arriving;
    assert.equal(download.suggestedFilename(), 'long (1) ä.wav');
    assert.ok(readFileSync(await download.path()).equals(bytes));
    await hook(page, 'file-download-done').waitFor();
  }),
);
