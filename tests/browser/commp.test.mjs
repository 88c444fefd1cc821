// Hashing a file in real Chromium through the package's public API: the names, what is left behind when it ends early, and
// how it goes on after a reload. No daemon, no page of ours.

import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './page.mjs';
import { serve } from './site.mjs';

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
/** When a file that was spoilt is said to have changed. */
const LATER = new Date('2040-01-01');
const MIB = 1 << 20;
/** Holds every file here as one slice: hashing it is one pass. */
const ONE_SLICE = 30;
/** A name that leads to this machine, and that browsers do not take for a secure place. */
const INSECURE = 'plain.test';
const LIMIT = { timeout: 120_000 };

let folder;
let site;
let browser;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealdrop-commp-'));
  site = await serve();
  browser = await launch([`--host-resolver-rules=MAP ${INSECURE} 127.0.0.1`]);
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The bytes that the vectors of the Rust tests were made from. */
function testData(size) {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 1) bytes[i] = i * 131 + (i >> 8) * 7 + (i >> 16) * 13;
  return bytes;
}

/** A file on disk. */
function fileOf(name, size) {
  const path = join(folder, name);
  writeFileSync(path, testData(size));
  return path;
}

async function onPage(work, host = '127.0.0.1') {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`http://${host}:${site.port}/`);
    await work(page);
  } finally {
    await context.close();
  }
}

/**
 * Runs `work` in the page with the package, the chosen file and an AbortController; gives what it gives, or its error.
 * Beside the outcome: the progress that was told.
 */
const withPackage = (page, work, input) =>
  page.evaluate(
    async ([work, input]) => {
      const api = await import('/client/piece.js');
      const file = document.querySelector('input').files[0];
      const told = [];
      const stop = new AbortController();
      const tools = { file, stop, onProgress: (progress) => told.push(progress) };
      try {
        const outcome = await (0, eval)(`(${work})`)(api, tools, input);
        return { outcome, told };
      } catch ({ code, message, hint }) {
        return { error: { code, message, hint }, told };
      }
    },
    [work.toString(), input],
  );

/** Waits until the page has no worker: `terminate` returns before the thread is gone. */
async function noWorkers(page) {
  while (page.workers().length > 0) await page.workers()[0].waitForEvent('close');
}

/** The names that one pass gives, in Node. */
async function onePass(path) {
  const { Commp } = await import(join(CLIENT, 'commp.js'));
  const commp = await Commp.load(new WebAssembly.Module(readFileSync(join(CLIENT, 'wasm/sealdrop_commp.wasm'))));
  const bytes = readFileSync(path);
  commp.begin(bytes.length, ONE_SLICE, 0, true);
  commp.push(bytes);
  const piece = commp.assemble(bytes.length, [commp.finish()]);
  return { ...piece, nodes: piece.nodes.map(({ cid }) => cid) };
}

const compute = async ({ computePiece }, { file, onProgress }, workers) => {
  const piece = await computePiece(file, { workers, onProgress });
  return { ...piece, nodes: piece.nodes.map(({ cid }) => cid) };
};

for (const host of ['127.0.0.1', INSECURE]) {
  test(`a pool of workers finds the names that one pass finds, on a page of ${host}`, LIMIT, () =>
    onPage(async (page) => {
      // The values that the Rust tests hold natively too.
      const path = fileOf('known.bin', MIB);
      await page.setInputFiles('input', path);
      const known = await withPackage(page, compute, 2);
      assert.equal(known.outcome.commP, 'e1f85558f71d0fb7f3edc5dc0cda97f4be4337a955f56257e5c55bc13926a30a');
      assert.equal(known.outcome.dataCid, 'bafkreihm57xszz27f3jvmvaztrabpk62uktvtltl3xshj34k5fbrzvbd4i');

      for (const size of [1, 3 * 127 * (1 << 16) + 1, 17 * MIB + 77]) {
        const path = fileOf('file.bin', size);
        const expected = await onePass(path);
        await page.setInputFiles('input', path);
        for (const workers of [1, 3]) {
          const { outcome, told, error } = await withPackage(page, compute, workers);
          assert.equal(error, undefined);
          assert.deepEqual(outcome, expected, `${size} bytes by ${workers}`);
          const last = told.at(-1);
          assert.deepEqual([last.done, last.total, last.secondsLeft], [size, size, 0]);
          for (const [index, { done }] of told.entries())
            assert.ok(index === 0 || done > told[index - 1].done, 'progress goes forward');
        }
      }
      await noWorkers(page);
    }, host),
  );
}

test('stopping ends the call and its workers', LIMIT, () =>
  onPage(async (page) => {
    await page.setInputFiles('input', fileOf('stopped.bin', 40 * MIB));
    const stopped = await withPackage(page, ({ computePiece }, { file, stop }) =>
      computePiece(file, { workers: 3, signal: stop.signal, onProgress: () => stop.abort() }),
    );
    assert.equal(stopped.error?.code, 'aborted');
    await noWorkers(page);
    const early = await withPackage(page, ({ computePiece }, { file }) =>
      computePiece(file, { signal: AbortSignal.abort() }),
    );
    assert.equal(early.error?.code, 'aborted');
    assert.equal(page.workers().length, 0);
  }),
);

test('a file that changes or goes away is unreadable, and no worker stays', LIMIT, () =>
  onPage(async (page) => {
    for (const spoil of [(path) => appendFileSync(path, 'more'), (path) => writeFileSync(path, 'less'), unlinkSync]) {
      const path = fileOf('spoilt.bin', 20 * MIB);
      await page.setInputFiles('input', path);
      // A browser notes what the file is when it is looked at first, not when it is chosen.
      await page.evaluate(() => document.querySelector('input').files[0].slice(0, 1).arrayBuffer());
      spoil(path);
      // Browsers tell a changed file by its time, in whole seconds.
      if (spoil !== unlinkSync) utimesSync(path, LATER, LATER);
      const { error } = await withPackage(page, compute, 2);
      assert.equal(error?.code, 'file-unreadable');
      assert.match(error.message, /^the file cannot be read: /);
      assert.match(error.hint, /choose it again/);
      await noWorkers(page);
    }
  }),
);

test('an empty file is refused before anything is loaded', LIMIT, () =>
  onPage(async (page) => {
    await page.setInputFiles('input', fileOf('empty.bin', 0));
    const { error } = await withPackage(page, compute);
    assert.equal(error?.code, 'empty-file');
  }),
);

/** Stops as soon as a slice is done; gives how many bytes of the file that slice has. */
const untilFirstSlice = async ({ resumePiece }, { file, stop }) => {
  const slices = [];
  const onSlice = (slice) => {
    slices.push(slice);
    stop.abort();
  };
  const end = await resumePiece(file, { workers: 2, signal: stop.signal, onSlice }).catch(({ code }) => code);
  return { end, done: slices.length * 127 * 2 ** (slices[0].height - 2) };
};
const resume = async ({ resumePiece }, { file, onProgress }) => {
  const piece = await resumePiece(file, { workers: 1, onProgress });
  return { ...piece, nodes: piece.nodes.map(({ cid }) => cid) };
};

test('after a reload a file goes on where it was, unless it has changed', LIMIT, () =>
  onPage(async (page) => {
    const path = fileOf('resumed.bin', 40 * MIB);
    const expected = await onePass(path);
    await page.setInputFiles('input', path);
    const { outcome: stopped } = await withPackage(page, untilFirstSlice);
    assert.equal(stopped.end, 'aborted');

    await page.reload();
    await page.setInputFiles('input', path);
    const resumed = await withPackage(page, resume);
    assert.deepEqual(resumed.outcome, expected);
    assert.ok(resumed.told[0].done > stopped.done, `${resumed.told[0].done} bytes at the first report`);

    // It is forgotten once it is done; and what was saved for another time of change is not taken.
    const again = await withPackage(page, resume);
    assert.ok(again.told[0].done < stopped.done, 'a file that was done begins anew');
    await withPackage(page, untilFirstSlice);
    await page.reload();
    const changed = testData(40 * MIB).reverse();
    writeFileSync(path, changed);
    await page.setInputFiles('input', path);
    const anew = await withPackage(page, resume);
    assert.ok(anew.told[0].done < stopped.done, 'a changed file begins anew');
    assert.deepEqual(anew.outcome, await onePass(path));
  }),
);

test('saved slices that do not belong to the file are left out', LIMIT, () =>
  onPage(async (page) => {
    const path = fileOf('saved.bin', 20 * MIB);
    await page.setInputFiles('input', path);
    const { outcome } = await withPackage(page, async ({ computePiece }, { file }) => {
      const names = new Uint8Array(33);
      const saved = [18, 18, 18, 99].map((height, at) => ({ height, index: [-1, 7, 0, 0][at], names }));
      const all = await Promise.all([[], saved, saved.slice(3)].map((saved) => computePiece(file, { saved })));
      return all.map(({ commP, dataCid }) => `${commP} ${dataCid}`);
    });
    const { commP, dataCid } = await onePass(path);
    assert.deepEqual([...new Set(outcome)], [`${commP} ${dataCid}`]);
  }),
);
