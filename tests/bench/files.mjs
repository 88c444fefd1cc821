// `cargo xtask bench files`: files of any size from a page to a miner over HTTP and back, against plain `fetch` of the same bytes in the same
// run, and what the page's memory does meanwhile. The last line is JSON.
//
//   files.mjs [--mib N] [--rounds N] [--large MIB] [--video MB]
//
// A file goes up as the pieces of a file do, each a deal: the client sends it, and the miner checks each leaf and writes it to its disk. It comes
// back by a retrieval, of which the client checks each leaf. What is not measured is null, with the reason.

import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch } from '../browser/page.mjs';
import { measureCuts } from './files/cuts.mjs';
import { fetchBlob, largeFile, postBlob } from './files/page.mjs';
import { PlainServer } from './files/plain-server.mjs';
import { firstFrames } from './files/video.mjs';
import { cpuOf, machineLine, median, Processes } from './machine.mjs';
import { Product, within } from './transports/contenders.mjs';

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '3' },
    large: { type: 'string', default: '4096' },
    video: { type: 'string', default: '500' },
  },
});
const [mib, rounds, large, film] = [values.mib, values.rounds, values.large, values.video].map(Number);
const BYTES = mib << 20;
/** Times that an upload's connections are cut. */
const CUTS = 20;
/** Bytes of that upload, at least: between two cuts goes more than a chunk. */
const CUT_BYTES = 256 << 20;
/** Pages at once, and bytes of the file of each. */
const CLIENTS = 32;
const CLIENT_BYTES = 8 << 20;
/** Longest that storing a video and playing it may take. */
const VIDEO_MS = 600_000;
/** Milliseconds between two looks at the page's memory. */
const LOOK_MS = 500;
/** A file that is smaller is sent before the page has looked twice. */
const LEAST_MIB = 512;

const found = { post: [], http_up: [], fetch: [], http_down: [] };
const missing = {};
const rate = (name) => (found[name].length === 0 ? null : BYTES / median(found[name]) / 1e3);
const ratio = (one, other) => (rate(one) === null || rate(other) === null ? null : rate(one) / rate(other));

/** Adds the daemon's CPU seconds. */
const meter = async (work, child) => {
  const before = cpuOf(child.pid);
  const measured = await work();
  return { ...measured, miner: cpuOf(child.pid) - before };
};

/** The same bytes up and down, plain and by the product, in turns. */
async function race(product, plain) {
  for (let round = 0; round < rounds; round += 1) {
    const { up, down, piece } = await within(product.measure(BYTES, meter));
    const url = `${product.daemon.http}/piece/${piece}`;
    const miner = up.miner;
    found.http_up.push(up.ms);
    found.http_down.push(down.ms);
    // In pages of their own: the browser lets go of a page's Blobs with the page.
    const plainly = async (work, input) => {
      const page = await product.newPage();
      return within(page.evaluate(work, input)).finally(() => page.context().close());
    };
    found.post.push(await plainly(postBlob, { url: plain.url, bytes: BYTES }));
    found.fetch.push(await plainly(fetchBlob, { url, bytes: BYTES }));
    const shown = Object.entries(found).map(([name, all]) => `${name} ${(BYTES / all.at(-1) / 1e3).toFixed(0)}`);
    console.log(
      `${round + 1}/${rounds}, MB/s: ${shown.join(', ')}; miner ${((miner / BYTES) * 2 ** 30).toFixed(1)} CPU s a GiB`,
    );
    found.miner = [...(found.miner ?? []), (miner / BYTES) * 2 ** 30];
  }
}

/** What encryption takes from the rates of hashing and of sending: the same file as it is and encrypted, in turns. */
async function encryption(product) {
  const ms = { hash: [[], []], send: [[], []] };
  const bytes = Math.max(mib, LEAST_MIB) << 20;
  for (let round = 0; round < rounds; round += 1) {
    for (const encrypt of [false, true]) {
      const { hashMs, sendMs } = await withLarge(product, bytes, (page) => page.evaluate(largeFile.store, { encrypt }));
      ms.hash[Number(encrypt)].push(hashMs);
      ms.send[Number(encrypt)].push(sendMs);
      const rates = [hashMs, sendMs].map((ms) => (bytes / ms / 1e3).toFixed(0));
      console.log(`${encrypt ? 'encrypted' : 'as it is '}: hashed ${rates[0]}, sent ${rates[1]} MB/s`);
    }
  }
  const cost = ([plain, encrypted]) => 1 - median(plain) / median(encrypted);
  return {
    encryption_cost: cost(ms.send),
    encryption_hash_cost: cost(ms.hash),
    encrypted_mb_s: bytes / median(ms.send[1]) / 1e3,
  };
}

/** What the page grows by while it hashes and sends a file that is larger than a sector. */
async function memory(product, processes) {
  if (large === 0) {
    missing.renderer_growth_mib = 'left out by --large 0';
    return {};
  }
  return withLarge(product, large * 2 ** 20, async (page) => {
    const idle = await processes.renderer();
    let most = 0;
    const curve = [];
    const looking = setInterval(async () => {
      const { rss } = await processes.renderer();
      most = Math.max(most, rss - idle.rss);
      curve.push(Math.round(rss - idle.rss));
    }, LOOK_MS);
    const { hashMs, sendMs } = await page.evaluate(largeFile.store, {}).finally(() => clearInterval(looking));
    const growth = (most * 1e6) / 2 ** 20;
    console.log(
      `${large} MiB over ${(hashMs / 1e3).toFixed(1)} s of hashing and ${(sendMs / 1e3).toFixed(1)} s of sending: the page grew by ${growth.toFixed(0)} MiB at most`,
    );
    console.log(`  MB every ${LOOK_MS} ms: ${curve.join(' ')}`);
    return { renderer_growth_mib: growth, large_mib: large, hash_mb_s: (large * 2 ** 20) / hashMs / 1e3 };
  });
}

/** A page with the client and a file of the disk that no other has. */
async function withLarge(product, bytes, work) {
  const page = await product.newPage();
  const folder = await mkdtemp(join(tmpdir(), 'sealdrop-bench-'));
  try {
    const path = join(folder, 'large.bin');
    await writeLarge(path, bytes);
    await page.evaluate(largeFile.open, { chain: product.daemon.chain });
    await page.setInputFiles('input', path);
    return await within(work(page));
  } finally {
    await page.context().close();
    await rm(folder, { recursive: true });
  }
}

/** A file of holes with random numbers in each MiB, so that no two leaves are alike and it takes no room. */
async function writeLarge(path, bytes) {
  const file = await open(path, 'w');
  for (let at = 0; at < bytes; at += 2 ** 20) await file.write(randomBytes(16), 0, 16, at);
  await file.truncate(bytes);
  await file.close();
}

/** What many pages send at once, each a file of its own. */
async function crowd(product) {
  const { ms, bytes } = await within(product.crowd(CLIENTS, CLIENT_BYTES));
  console.log(`${CLIENTS} pages at once: ${(bytes / ms / 1e3).toFixed(0)} MB/s together`);
  return { clients32_mb_s: bytes / ms / 1e3 };
}

/** What comes of a measurement; where it fails, why, under the name of its figure. */
const tried = (name, measure) =>
  measure().catch(({ message }) => {
    missing[name] = message.split('\n')[0];
    return {};
  });
/** How soon a large video plays that is stored. */
async function video(product) {
  if (film === 0) {
    missing.video_first_frame_ms = 'left out by --video 0';
    return {};
  }
  const found = await firstFrames(browser, product.daemon, { bytes: film * 1e6, rounds, limit: VIDEO_MS });
  console.log(`first frame of a video of ${film} MB, ms: ${found.map((ms) => ms.toFixed(0)).join(', ')}`);
  return { video_first_frame_ms: median(found) };
}

const browser = await launch();
const plain = await PlainServer.start();
const product = new Product(browser, 'http', { transport: 'webtransport', http: true });
try {
  console.log(`${machineLine()}, load ${loadavg()[0].toFixed(1)}, Chromium ${browser.version()}`);
  await product.open();
  await race(product, plain);
  const further = {
    ...(await tried('resend_windows_max', () => measureCuts(product, Math.max(BYTES, CUT_BYTES), CUTS))),
    ...(await tried('clients32_mb_s', () => crowd(product))),
    ...(await tried('renderer_growth_mib', async () => memory(product, await Processes.of(browser)))),
    ...(await tried('video_first_frame_ms', () => video(product))),
    ...(await tried('encryption_cost', () => encryption(product))),
  };
  const all = {
    mib,
    http_mb_s: rate('http_up'),
    fetch_post_mb_s: rate('post'),
    http_vs_fetch: ratio('http_up', 'post'),
    retrieve_mb_s: rate('http_down'),
    fetch_mb_s: rate('fetch'),
    retrieve_vs_fetch: ratio('http_down', 'fetch'),
    miner_cpu_s_gib: median(found.miner),
    renderer_growth_mib: null,
    encryption_cost: null,
    video_first_frame_ms: null,
    resend_windows_max: null,
    clients32_mb_s: null,
    ...further,
    missing,
  };
  console.log(`\n${mib} MiB, medians of ${rounds}      MB/s   of plain fetch`);
  console.log(
    'to the miner, each block checked ',
    rate('http_up').toFixed(0).padStart(5),
    (all.http_vs_fetch ?? 0).toFixed(2).padStart(8),
  );
  console.log(
    'back, each block checked         ',
    rate('http_down').toFixed(0).padStart(5),
    (all.retrieve_vs_fetch ?? 0).toFixed(2).padStart(8),
  );
  const rounded = Object.entries(all).map(([name, value]) => [
    name,
    typeof value === 'number' ? Number(value.toPrecision(4)) : value,
  ]);
  console.log(JSON.stringify(Object.fromEntries(rounded)));
} finally {
  await product.end();
  await browser.close();
  plain.end();
}
