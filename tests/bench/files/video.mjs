// The first frame of a large video on the page: from the click to a frame that is decoded, each byte of it checked.

import { recordFilm } from '../../browser/film.mjs';
import { withClient } from '../../browser/page.mjs';

/** In the page: a video of so many bytes, which is the film and then padding, stored as a file; its id. */
const storeVideo = async (client, { bytes, limit }) => {
  const { film } = globalThis;
  // EBML's element for what is to be passed over (`Void`), with a length of eight bytes.
  const head = new DataView(new ArrayBuffer(9));
  head.setUint8(0, 0xec);
  head.setBigUint64(1, (1n << 56n) | BigInt(bytes - film.size - 9));
  const part = new Blob([crypto.getRandomValues(new Uint8Array(1 << 16))]);
  const padding = Array.from({ length: Math.ceil(bytes / part.size) }, () => part);
  const file = new File([new Blob([film, head, ...padding]).slice(0, bytes)], 'film.webm');
  const prepared = await client.prepare(file);
  const { id } = await client.store(file, {
    prepared,
    until: 'ordered',
    duration: 5000,
    keep: 'reference',
    most: 1000n * 10n ** 18n,
  });
  const end = Date.now() + limit;
  for (;;) {
    const { progress, problem } = await client.file(id);
    if (progress.state === 'kept') return id;
    if (Date.now() > end) throw new Error(problem?.message ?? `the file is ${progress.state}`);
    await new Promise((done) => setTimeout(done, 200));
  }
};

/** In the page: milliseconds from the click to the first frame. */
const play = () =>
  new Promise((done) => {
    const start = performance.now();
    const look = () => {
      if (document.querySelector('[data-testid="preview"]').dataset.state !== 'shown') return;
      watcher.disconnect();
      done(performance.now() - start);
    };
    const watcher = new MutationObserver(look);
    watcher.observe(document.body, { subtree: true, attributes: true, attributeFilter: ['data-state'] });
    document.querySelector('[data-testid="preview-button"]').click();
  });

/** Stores such a video by the page's own account, and plays it `rounds` times, the page loaded anew each time; milliseconds of each. */
export async function firstFrames(browser, daemon, { bytes, rounds, limit }) {
  const context = await browser.newContext();
  context.setDefaultTimeout(limit);
  try {
    const page = await context.newPage();
    await page.goto(daemon.page);
    await page.evaluate(recordFilm);
    const id = await withClient(page, daemon.chain, storeVideo, { bytes, limit });
    if (typeof id !== 'string') throw new Error(`the video is not stored: ${id.message}`);
    await page.goto(`${daemon.page}#/file/${id}`);
    const found = [];
    for (let round = 0; round < rounds; round += 1) {
      await page.reload();
      await page.locator('[data-testid="preview-button"]:enabled').waitFor();
      found.push(await page.evaluate(play));
    }
    return found;
  } finally {
    await context.close();
  }
}
