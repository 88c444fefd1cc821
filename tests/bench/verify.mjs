// `cargo xtask bench verify`, the part in Node and in headless Chromium: milliseconds to check a proof by the package's module, in a worker. The
// last line is JSON, with the native figures that SEALDROP_NATIVE holds.

import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { serve } from '../browser/site.mjs';
import { machineLine, median } from './machine.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const CLIENT = process.env.SEALDROP_CLIENT ?? join(ROOT, 'client-wasm/dist');
const CHROMIUM = process.env.SEALDROP_CHROMIUM ?? '/usr/bin/chromium';
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
/** Turns of each proof; the figures are medians over them. */
const ROUNDS = 41;
/** Kept proofs; the names are those of the native part. */
const PROOFS = {
  seal_8mib: ['seal-8388608-1', 'seal 8 MiB'],
  seal_512mib: ['forged-seal-512MiB', 'seal 512 MiB'],
  window_2: ['window-8388608-2', 'window, 2 sectors (1 partition)'],
  window_5: ['window-8388608-5', 'window, 5 sectors (3 partitions)'],
};

const kept = JSON.parse(readFileSync(join(ROOT, 'shared/verify/tests/proofs.json'), 'utf8'));
const claims = Object.fromEntries(
  Object.entries(PROOFS).map(([key, [name]]) => [key, kept.find((claim) => claim.name === name)]),
);

/** Milliseconds of each check in the page, in turns; the first one of all takes the module and a key along. */
async function times(checker, claims, rounds) {
  const begun = performance.now();
  const found = Object.fromEntries(Object.keys(claims).map((key) => [key, []]));
  let first;
  for (let round = 0; round < rounds; round += 1) {
    for (const [key, claim] of Object.entries(claims)) {
      const { state, milliseconds } = await (claim.kind === 'seal' ? checker.seal(claim) : checker.window(claim));
      if (state !== 'holds') throw new Error(`${key}: ${state}`);
      first ??= performance.now() - begun;
      found[key].push(milliseconds);
    }
  }
  return { found, first };
}

/** The same in Node, in CPU time, which other work on the machine does not stretch. */
async function inNode() {
  const { VerifyModule } = await import(join(CLIENT, 'verify-module.js'));
  const read = async (file) => readFileSync(join(CLIENT, 'wasm', file));
  const module = await VerifyModule.load(await read('sealdrop_verify_module.wasm'), read);
  const found = {};
  for (const [key, claim] of Object.entries(claims)) {
    found[key] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = process.cpuUsage();
      const { state } = await (claim.kind === 'seal' ? module.seal(claim) : module.window(claim));
      const { user, system } = process.cpuUsage(before);
      if (state !== 'holds') throw new Error(`${key}: ${state}`);
      found[key].push((user + system) / 1000);
    }
  }
  return found;
}

async function inBrowser() {
  const site = await serve();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS, timeout: 180_000 });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${site.port}/`);
    const measured = await page.evaluate(
      async ([times, claims, rounds]) => {
        const { ProofChecker } = await import('/client/verify.js');
        const checker = new ProofChecker();
        const measured = await (0, eval)(`(${times})`)(checker, claims, rounds);
        checker.close();
        return measured;
      },
      [times.toString(), claims, ROUNDS],
    );
    return { ...measured, version: browser.version() };
  } finally {
    await browser.close();
    await site.close();
  }
}

const gz = (file) => gzipSync(readFileSync(join(CLIENT, file)), { level: 9 }).length / 1000;
const module_gz_kb = gz('wasm/sealdrop_verify_module.wasm');
const scripts = ['verify.js', 'verify-worker.js', 'verify-module.js', 'errors.js'];
const script_gz_kb = scripts.reduce((sum, file) => sum + gz(file), 0);
const key_gz_kb = gz('wasm/keys/porep-8MiB.vk');

console.log(`\n${machineLine()}, load ${loadavg()[0].toFixed(1)}`);
console.log(
  `gzipped: module ${module_gz_kb.toFixed(1)} kB, its scripts ${script_gz_kb.toFixed(1)} kB, a key ${key_gz_kb.toFixed(1)} kB`,
);
const native = JSON.parse(process.env.SEALDROP_NATIVE ?? '{}');
const node = await inNode();
const page = await inBrowser();
console.log(
  `\nms, median of ${ROUNDS} (least)`.padEnd(36),
  'Node, CPU'.padStart(16),
  `Chromium ${page.version.split('.')[0]}`.padStart(16),
);
const figures = { module_gz_kb, script_gz_kb, key_gz_kb, chromium_first_ms: page.first };
for (const [key, [, label]] of Object.entries(PROOFS)) {
  const both = [node[key], page.found[key]].map((all) => [median(all), Math.min(...all)]);
  const cells = both.map(([middle, least]) => `${middle.toFixed(1)} (${least.toFixed(1)})`.padStart(16));
  console.log(label.padEnd(35), ...cells);
  const [[inNode], [inPage, least]] = both;
  Object.assign(figures, {
    [`node_${key}_ms`]: inNode,
    [`chromium_${key}_ms`]: inPage,
    [`chromium_${key}_least_ms`]: least,
  });
  const ours = native[`native_${key}_ms`];
  if (ours > 0) figures[`node_vs_native_${key}`] = inNode / ours;
}
console.log(`the first check with loading of module and key: ${page.first.toFixed(0)} ms`);
const rounded = Object.entries({ ...native, ...figures }).map(([name, value]) => [name, Number(value.toPrecision(4))]);
console.log(JSON.stringify(Object.fromEntries(rounded)));
