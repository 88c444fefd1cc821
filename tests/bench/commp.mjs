// `cargo xtask bench commp`, the part in Node and in headless Chromium. The last line is JSON, with the native figures that
// SEALDROP_NATIVE holds.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { serve } from '../browser/site.mjs';
import { race } from './contenders.mjs';
import { machineLine } from './machine.mjs';
import { measureLarge, measurePool } from './pool.mjs';

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
const CHROMIUM = process.env.SEALDROP_CHROMIUM ?? '/usr/bin/chromium';
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Turns of each contender; the figures are medians over them. */
const ROUNDS = 41;
const LABELS = {
  sealdrop: 'sealdrop',
  fr32: 'fr32-sha2-256-trunc254-… 3.3.0',
  'data-segment': '@web3-storage/data-segment 5.3.0',
  synapse: '@filoz/synapse-core 0.5.2',
};

/** Prints a race; gives the others' costs in ours. */
function show(where, costs) {
  console.log(`\n${where}, one thread`.padEnd(37), '  MB/s   ours is');
  for (const [name, cost] of Object.entries(costs)) {
    console.log(
      LABELS[name].padEnd(36),
      (1e3 / cost).toFixed(0).padStart(5),
      name === 'sealdrop' ? '' : `${(cost / costs.sealdrop).toFixed(1)} ×`.padStart(9),
    );
  }
  const ratio = (name) => costs[name] / costs.sealdrop;
  return {
    mb_s: 1e3 / costs.sealdrop,
    vs_fr32: ratio('fr32'),
    vs_data_segment: ratio('data-segment'),
    vs_synapse: ratio('synapse'),
  };
}

const prefixed = (prefix, found) =>
  Object.fromEntries(Object.entries(found).map(([name, value]) => [`${prefix}_${name}`, value]));

/** The race in a worker of the page. */
const raceInPage = (page) =>
  page.evaluate(async (rounds) => {
    const { Commp } = await import('/client/commp.js');
    const worker = new Worker('/bench/race-worker.js', { type: 'module' });
    try {
      const module = await Commp.compile();
      return await new Promise((done, failed) => {
        worker.onerror = (event) => failed(new Error(event.message));
        worker.onmessage = ({ data }) => (data.error ? failed(new Error(data.error)) : done(data.costs));
        worker.postMessage({ client: '/client/commp.js', module, rounds });
      });
    } finally {
      worker.terminate();
    }
  }, ROUNDS);

async function inBrowser(folder) {
  await build({
    entryPoints: [join(import.meta.dirname, 'race-worker.mjs')],
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
  });
  const site = await serve({ bench: folder });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS, timeout: 180_000 });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(120_000);
    await page.goto(`http://127.0.0.1:${site.port}/`);
    const alone = show(`Chromium ${browser.version()}`, await raceInPage(page));
    console.log('\nthe pool, from a file');
    const cores = Math.min(availableParallelism(), 8);
    const pool = await measurePool(browser, page, folder, cores);
    const large = await measureLarge(browser, page, folder);
    return { ...prefixed('chromium', alone), pool_workers: cores, ...pool, ...large };
  } finally {
    await browser.close();
    await site.close();
  }
}

const folder = mkdtempSync(join(tmpdir(), 'sealdrop-bench-'));
try {
  const file = readFileSync(join(CLIENT, 'wasm/sealdrop_commp.wasm'));
  const size = gzipSync(file, { level: 9 }).length / 1000;
  console.log(`\n${machineLine()}, load ${loadavg()[0].toFixed(1)}`);
  console.log(`the hashing module: ${(file.length / 1000).toFixed(1)} kB, ${size.toFixed(1)} kB gzipped`);
  const { Commp } = await import(join(CLIENT, 'commp.js'));
  const node = show(`Node ${process.version}`, await race(Commp, new WebAssembly.Module(file), ROUNDS));
  const browser = await inBrowser(folder);
  const native = JSON.parse(process.env.SEALDROP_NATIVE ?? '{}');
  const of_limit = browser.chromium_mb_s / native.simd128_limit_mb_s;
  if (of_limit > 0) {
    console.log(`Chromium on one thread: ${of_limit.toFixed(2)} of what this processor's vector instructions allow`);
    browser.chromium_of_limit = of_limit;
  }
  const all = { ...native, ...prefixed('node', node), ...browser, commp_wasm_gz_kb: size };
  const rounded = Object.entries(all).map(([name, value]) => [
    name,
    typeof value === 'number' ? Number(value.toPrecision(4)) : value,
  ]);
  console.log(JSON.stringify(Object.fromEntries(rounded)));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
