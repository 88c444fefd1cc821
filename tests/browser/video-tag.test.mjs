// A plain <video> of anybody's page reads from a miner's public HTTP: no client, no Service Worker, no program of ours. Real Chromium, a real
// daemon; proofs are fake.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { recordFilm } from './film.mjs';
import { askClient, fund, launch, onPage, SOON_MS } from './page.mjs';

const LIMIT = { timeout: 8 * SOON_MS };

let browser;
let daemon;
let site;
/** The film's URLs at the miner. */
let urls;

before(async () => {
  daemon = await Daemon.start(['--auto-seal', '200ms'], { sectorSize: '8MiB', program: FAKE });
  browser = await launch();
  site = createServer((request, response) => {
    const { searchParams } = new URL(request.url, 'http://site');
    const crossOrigin = searchParams.has('cors') ? 'crossorigin' : '';
    response.setHeader('content-type', 'text/html');
    response.end(
      `<!doctype html><video ${crossOrigin} muted preload="metadata" src="${searchParams.get('src') ?? ''}"></video>`,
    );
  });
  await new Promise((done) => site.listen(0, '127.0.0.1', done));
  await onPage(browser, daemon, 'film', async (page) => {
    await fund(page, daemon.chain);
    await page.evaluate(recordFilm);
    const { pieceCid, dataCid } = await askClient(page, daemon.chain, STORE);
    urls = { piece: `${daemon.http}/piece/${pieceCid}`, block: `${daemon.http}/ipfs/${dataCid}?format=raw` };
  });
}, LIMIT);

after(async () => {
  site?.close();
  await browser?.close();
  await daemon?.end();
});

/** In the page: stores the film that was recorded there. */
const STORE = `async (client) => {
  const { deals } = await client.store(globalThis.film, { name: 'film.webm', duration: 3000 });
  return deals[0];
}`;

/** Shows a film of the miner on the site's page; `work` gets the element. What was answered comes with what `work` found. */
async function watch(src, { cors, work }) {
  const page = await browser.newPage();
  try {
    const answers = [];
    page.on('response', (response) => {
      if (response.url() === src) {
        answers.push({ status: response.status(), asked: response.request().headers().range });
      }
    });
    const { port } = site.address();
    await page.goto(`http://127.0.0.1:${port}/?${new URLSearchParams({ src, ...(cors && { cors }) })}`);
    const found = await page.evaluate(`(${work})(document.querySelector('video'))`);
    return { found, answers };
  } finally {
    await page.close();
  }
}

/** In the page: goes to three places of the film, and plays from the last one. */
const WATCH = async (media) => {
  const event = (name) =>
    new Promise((resolve, reject) => {
      media.addEventListener(name, resolve, { once: true });
      media.addEventListener('error', () => reject(new Error(media.error.message)), { once: true });
    });
  if (media.error) throw new Error(media.error.message);
  if (media.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
    media.preload = 'auto';
    await event('loadeddata');
  }
  const colours = new Set();
  for (const at of [2.5, 0.5, 1.5]) {
    media.currentTime = at;
    await event('seeked');
    const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
    const pen = canvas.getContext('2d');
    pen.drawImage(media, 0, 0, 20, 20, 0, 0, 1, 1);
    try {
      colours.add([...pen.getImageData(0, 0, 1, 1).data.subarray(0, 3)].join());
    } catch {
      // The site did not ask by CORS: it may show the film and not read it.
      colours.add('not to be read');
    }
  }
  const from = media.currentTime;
  await media.play();
  while (media.currentTime < from + 0.5) await event('timeupdate');
  return { width: media.videoWidth, colours: colours.size };
};

for (const kind of ['piece', 'block']) {
  test(`a <video> of another site plays and seeks in a ${kind} by ranges`, LIMIT, async () => {
    for (const cors of [undefined, 'yes']) {
      const { found, answers } = await watch(urls[kind], { cors, work: WATCH });
      assert.deepEqual(found, { width: 320, colours: cors ? 3 : 1 });
      assert.ok(
        answers.length > 0 && answers.every(({ status, asked }) => status === 206 && asked),
        JSON.stringify(answers),
      );
    }
  });
}

test(
  'a gateway that gives only what can be checked says to a <video> of a bare CID which forms there are',
  LIMIT,
  async () => {
    const bare = urls.block.replace('?format=raw', '');
    const work = (media) =>
      new Promise((resolve) => {
        if (media.error) resolve(media.error.code);
        media.addEventListener('error', () => resolve(media.error.code));
      });
    const { found } = await watch(bare, { work });
    assert.equal(found, 4, 'MEDIA_ERR_SRC_NOT_SUPPORTED');
    const answer = await fetch(bare, { headers: { accept: '*/*' } });
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /format=raw/);
  },
);
