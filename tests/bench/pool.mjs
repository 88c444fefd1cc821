// The pool over a file on disk: one worker against all, CommP alone against both names; then a file of 4 GiB.

import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { median, Processes } from './machine.mjs';

/** Bytes of the file that is hashed in turns, and turns of each kind. */
const FILE_BYTES = 256 << 20;
const ROUNDS = 5;
/** The large file: sparse, so it takes no room on the disk. */
const LARGE_BYTES = 2 ** 32;
/** Height of the tree over it. */
const LARGE_HEIGHT = 28;
const SAMPLE_MS = 200;
/** Longest that anything here may take. */
const LIMIT_MS = 240_000;

/** A file of bytes that differ, written in parts. */
function fileOf(folder) {
  const path = join(folder, 'file.bin');
  const part = new Uint8Array(1 << 20);
  const file = openSync(path, 'w');
  for (let at = 0; at < FILE_BYTES; at += part.length) {
    for (let i = 0; i < part.length; i += 1) part[i] = i * 131 + (i >> 8) * 7 + (at >> 20);
    writeSync(file, part);
  }
  closeSync(file);
  return path;
}

/** Hashes the chosen file by the pool itself, in the page. */
async function hash({ workers, names }) {
  const [{ Commp }, { hashSlices }] = await Promise.all([import('/client/commp.js'), import('/client/pool.js')]);
  const file = document.querySelector('input').files[0];
  globalThis.compiled ??= Commp.compile();
  const module = await globalThis.compiled;
  const commp = await Commp.load(module);
  const { height, slices } = commp.divide(file.size, workers);
  const { size } = file;
  const all = [...Array(slices).keys()].map((index) => ({ file, offset: 0, size, height, index }));
  const start = performance.now();
  await hashSlices({ module, slices: all, workers, names, onBytes() {}, onSlice() {} });
  return performance.now() - start;
}

/** One worker and as many as there are cores, CommP alone and with the data root, in turns. */
export async function measurePool(browser, page, folder, cores) {
  await page.setInputFiles('input', fileOf(folder));
  const processes = await Processes.of(browser);
  const kinds = [...new Set([1, cores])].flatMap((workers) =>
    ['commp', 'both'].map((names) => ({ workers, names, wall: [], cpu: [] })),
  );
  for (const { workers, names } of kinds) await page.evaluate(hash, { workers, names });
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { workers, names, wall, cpu } of kinds) {
      const before = await processes.cpu();
      wall.push(await page.evaluate(hash, { workers, names }));
      cpu.push((await processes.cpu()) - before);
    }
  }
  const rows = kinds.map(({ workers, names, wall, cpu }) => ({
    workers,
    names,
    wall: FILE_BYTES / median(wall) / 1e3,
    cpu: FILE_BYTES / median(cpu) / 1e6,
  }));
  for (const { workers, names, wall, cpu } of rows) {
    const what = `${workers} worker${workers === 1 ? '' : 's'}, ${names === 'both' ? 'CommP and data root' : 'CommP'}`;
    console.log(
      `${what.padEnd(36)} ${wall.toFixed(0).padStart(5)} MB/s  ${cpu.toFixed(0).padStart(5)} MB/s per CPU-second`,
    );
  }
  const row = (workers, names) => rows.find((row) => row.workers === workers && row.names === names);
  const [one, all, both] = [row(1, 'commp'), row(cores, 'commp'), row(cores, 'both')];
  return {
    pool_mb_s: both.wall,
    // Per CPU-second, with reading and everything: one worker's reading is done by another core, which all workers share.
    pool_efficiency: both.cpu / row(1, 'both').cpu,
    pool_speedup_wall: all.wall / one.wall,
    one_pass_ratio: all.cpu / both.cpu,
    one_pass_ratio_wall: all.wall / both.wall,
  };
}

/** CommP of zeros. */
function zeros(height) {
  let node = Buffer.alloc(32);
  for (let level = 0; level < height; level += 1) {
    node = createHash('sha256').update(node).update(node).digest();
    node[31] &= 0x3f;
  }
  return node.toString('hex');
}

/** Starts to compute the chosen file's names; `progress` and `outcome` of the page tell how it goes. */
async function begin(stopAt) {
  const { computePiece } = await import('/client/piece.js');
  const file = document.querySelector('input').files[0];
  const stop = new AbortController();
  Object.assign(globalThis, { progress: 0, outcome: undefined });
  let stopped = 0;
  const onProgress = ({ done, total }) => {
    globalThis.progress = done / total;
    if (stopAt && stopped === 0 && done / total >= stopAt) {
      stopped = performance.now();
      stop.abort();
    }
  };
  const end = (found) => (globalThis.outcome = { ...found, stopMs: performance.now() - stopped });
  computePiece(file, { signal: stop.signal, onProgress }).then(
    ({ commP }) => end({ commP }),
    ({ code, message }) => end({ code, message }),
  );
}

/** Memory while a file of 4 GiB is hashed, and how soon it stops in the middle. */
export async function measureLarge(browser, page, folder) {
  const path = join(folder, 'large.bin');
  const file = openSync(path, 'w');
  ftruncateSync(file, LARGE_BYTES);
  closeSync(file);
  await page.setInputFiles('input', path);
  const processes = await Processes.of(browser);
  const base = await processes.renderer();
  const [start, curve] = [performance.now(), []];
  await page.evaluate(begin);
  const look = () => page.evaluate(() => ({ progress: globalThis.progress, outcome: globalThis.outcome }));
  let now = await look();
  while (!now.outcome) {
    curve.push({ share: now.progress, at: performance.now() - start, ...(await processes.renderer()) });
    if (performance.now() - start > LIMIT_MS) throw new Error('the large file takes too long');
    await pause(SAMPLE_MS);
    now = await look();
  }
  const seconds = (performance.now() - start) / 1000;
  if (now.outcome.commP !== zeros(LARGE_HEIGHT))
    throw new Error(`the large file's CommP is wrong: ${JSON.stringify(now.outcome)}`);
  show(base, curve, seconds);

  await page.evaluate(begin, 0.5);
  now = await look();
  while (!now.outcome) {
    await pause(5);
    now = await look();
  }
  if (now.outcome.code !== 'aborted') throw new Error(`not stopped: ${JSON.stringify(now.outcome)}`);
  const ended = performance.now();
  while (page.workers().length > 0) await pause(1);
  const goneMs = performance.now() - ended;
  console.log(
    `stopped at 50 %: settled after ${now.outcome.stopMs.toFixed(1)} ms, workers gone at most ${goneMs.toFixed(0)} ms later`,
  );
  const within = (from, to) => median(curve.filter(({ share }) => share >= from && share < to).map(({ rss }) => rss));
  return {
    large_file_s: seconds,
    large_file_peak_mb: Math.max(...curve.map(({ rss }) => rss)),
    large_file_base_mb: base.rss,
    // Between the second quarter, when everything is under way, and the last.
    large_file_growth_mb: within(0.75, 1.01) - within(0.25, 0.5),
    cancel_ms: now.outcome.stopMs + goneMs,
  };
}

function show(base, curve, seconds) {
  console.log(
    `\na file of 4 GiB: ${seconds.toFixed(1)} s, ${(LARGE_BYTES / seconds / 1e6).toFixed(0)} MB/s; the renderer's memory, MB\n  done  seconds    RSS    PSS`,
  );
  const line = (share, at, { rss, pss }) =>
    console.log(
      `${share.padStart(6)} ${(at / 1000).toFixed(1).padStart(8)} ${rss.toFixed(0).padStart(6)} ${pss.toFixed(0).padStart(6)}`,
    );
  line('before', 0, base);
  for (let tenth = 0; tenth <= 10; tenth += 1) {
    const sample = curve.find(({ share }) => share >= tenth / 10) ?? curve.at(-1);
    line(`${Math.round(sample.share * 100)} %`, sample.at, sample);
  }
}
