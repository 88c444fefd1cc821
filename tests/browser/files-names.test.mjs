// Hashing files of any size and number in real Chromium through the package's public API: pieces and roots, what it costs, and how
// it goes on after a reload. No daemon, no page of ours.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './page.mjs';
import { serve } from './site.mjs';

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
const MIB = 1 << 20;
const SECTOR = 8 * MIB;
/** What a sector of 8 MiB takes of a larger file. */
const STEP = 7 * MIB;
/** Holds every file here as one slice: hashing it is one pass. */
const ONE_SLICE = 30;
/** The root of no bytes, as `ipfs add` prints it. */
const EMPTY = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';
const LIMIT = { timeout: 180_000 };

let folder;
let site;
let browser;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealdrop-files-'));
  site = await serve();
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

function testData(size, seed = 131) {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i += 1) bytes[i] = i * seed + (i >> 8) * 7 + (i >> 16) * 13;
  return bytes;
}

function fileOf(name, bytes) {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

async function onPage(work) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${site.port}/`);
    await page.evaluate(() => {
      document.querySelector('input').multiple = true;
    });
    await work(page);
  } finally {
    await context.close();
  }
}

/** Runs `work` in the page with the package and the chosen files; gives what it gives, or its error. */
const withPackage = (page, work, input) =>
  page.evaluate(
    async ([work, input]) => {
      const api = await import('/client/piece.js');
      const files = [...document.querySelector('input').files].map((file) => ({ path: file.name, file }));
      try {
        return { outcome: await (0, eval)(`(${work})`)(api, files, input) };
      } catch ({ code, message, hint }) {
        return { error: { code, message, hint } };
      }
    },
    [work.toString(), input],
  );

const compute = async ({ computeFiles }, files, options) => {
  const [told, each] = [[], new Map()];
  const found = await computeFiles(files, {
    ...options,
    onProgress: ({ done, total }) => told.push([done, total]),
    onEach: ({ index, done, total }) => each.set(index, [done, total]),
  });
  const plain = ({ nodes, ...piece }) => ({ ...piece, nodes: nodes.map(({ cid }) => cid) });
  return { files: found.map((file) => ({ ...file, pieces: file.pieces.map(plain) })), told, each: [...each] };
};

/** The names of these bytes as one piece, in Node. */
async function onePass(bytes) {
  const { Commp } = await import(join(CLIENT, 'commp.js'));
  const commp = await Commp.load(new WebAssembly.Module(readFileSync(join(CLIENT, 'wasm/sealdrop_commp.wasm'))));
  commp.begin(bytes.length, ONE_SLICE, 0, true);
  commp.push(bytes);
  const piece = commp.assemble(bytes.length, [commp.finish()]);
  return { ...piece, nodes: piece.nodes.map(({ cid }) => cid) };
}

test('a file larger than a sector has the pieces of its parts and the root of the whole', LIMIT, () =>
  onPage(async (page) => {
    for (const size of [4 * STEP, 4 * STEP + 12_345]) {
      const bytes = testData(size);
      await page.setInputFiles('input', fileOf('large.bin', bytes));
      const parts = [];
      for (let offset = 0; offset < size; offset += STEP) {
        parts.push({ ...(await onePass(bytes.subarray(offset, offset + STEP))), offset });
      }
      const { dataCid } = await onePass(bytes);
      for (const workers of [1, 3, 8]) {
        const { outcome, error } = await withPackage(page, compute, { sectorSize: SECTOR, workers });
        assert.equal(error, undefined);
        const [file] = outcome.files;
        assert.deepEqual(file.pieces, parts, `${size} bytes by ${workers}`);
        assert.deepEqual([file.path, file.size, file.root], ['large.bin', size, dataCid]);
        assert.deepEqual(outcome.told.at(-1), [size, size]);
        assert.deepEqual(outcome.each, [[0, [size, size]]]);
      }
      // A sector that holds it has it whole, as one deal always had.
      const { outcome } = await withPackage(page, compute, { sectorSize: 64 * SECTOR });
      assert.deepEqual(outcome.files[0].pieces, [{ ...(await onePass(bytes)), offset: 0 }]);
      assert.equal(outcome.files[0].root, dataCid);
    }
  }),
);

test('many files are hashed in their order, those without bytes too, by one pool of workers', LIMIT, () =>
  onPage(async (page) => {
    const contents = Array.from({ length: 40 }, (_, i) => testData(i === 7 || i === 39 ? 0 : 1_000 + i * 977, i + 3));
    const paths = contents.map((bytes, i) => fileOf(`small-${String(i).padStart(2, '0')}.bin`, bytes));
    await page.setInputFiles('input', paths);
    let started = 0;
    page.on('worker', () => (started += 1));
    const { outcome, error } = await withPackage(page, compute, { sectorSize: SECTOR, workers: 3 });
    assert.equal(error, undefined);
    assert.equal(started, 3, 'a worker serves many files');
    for (const [i, { path, size, root, pieces }] of outcome.files.entries()) {
      assert.deepEqual([path, size], [`small-${String(i).padStart(2, '0')}.bin`, contents[i].length]);
      if (size === 0) {
        assert.deepEqual([root, pieces], [EMPTY, []]);
      } else {
        const whole = await onePass(contents[i]);
        assert.deepEqual([root, pieces], [whole.dataCid, [{ ...whole, offset: 0 }]]);
      }
    }
    const total = contents.reduce((sum, { length }) => sum + length, 0);
    assert.deepEqual(outcome.told.at(-1), [total, total]);
  }),
);

test('after a reload files go on where they were, also between two pieces, unless one has changed', LIMIT, () =>
  onPage(async (page) => {
    const names = ['a.bin', 'b.bin'];
    const contents = [testData(4 * STEP + 7), testData(2 * STEP, 7)];
    const write = () => names.map((name, i) => fileOf(name, contents[i]));
    const choose = async (paths) => {
      await page.evaluate(() => {
        document.querySelector('input').multiple = true;
      });
      await page.setInputFiles('input', paths);
    };
    /** Ends behind the file's third piece. */
    const stopEarly = async ({ computeFiles }, files, options) => {
      const stop = new AbortController();
      const onEach = ({ done }) => done >= 3 * 7 * 2 ** 20 && stop.abort();
      return computeFiles(files, { ...options, signal: stop.signal, onEach }).catch(({ code }) => code);
    };
    const options = { sectorSize: SECTOR, workers: 1 };
    const paths = write();
    await choose(paths);
    const expected = (await withPackage(page, compute, options)).outcome.files;
    assert.equal((await withPackage(page, stopEarly, options)).outcome, 'aborted');
    await page.reload();
    await choose(paths);
    const resumed = (await withPackage(page, compute, options)).outcome;
    assert.deepEqual(resumed.files, expected);
    assert.ok(resumed.told[0][0] >= 2 * STEP, `${resumed.told[0][0]} bytes at the first report`);

    const again = (await withPackage(page, compute, options)).outcome;
    assert.ok(again.told[0][0] < 2 * STEP, 'what was done is forgotten');
    await withPackage(page, stopEarly, options);
    await page.reload();
    contents[1] = testData(2 * STEP, 11);
    await choose(write());
    const changed = (await withPackage(page, compute, options)).outcome;
    assert.notDeepEqual(changed.files[1], expected[1]);
    assert.deepEqual(changed.files[0], expected[0]);
  }),
);

test('what is wrong with one of several files is told with its path, and no worker stays', LIMIT, () =>
  onPage(async (page) => {
    const paths = ['good.bin', 'gone.bin'].map((name) => fileOf(name, testData(3 * MIB)));
    await page.setInputFiles('input', paths);
    unlinkSync(paths[1]);
    const { error } = await withPackage(page, compute, { sectorSize: SECTOR, workers: 2 });
    assert.equal(error?.code, 'file-unreadable');
    assert.match(error.message, /^gone\.bin: the file cannot be read/);
    while (page.workers().length > 0) await page.workers()[0].waitForEvent('close');

    // Sectors below 1 MiB take no part of a file.
    await page.setInputFiles('input', paths[0]);
    const small = await withPackage(page, compute, { sectorSize: 2048 });
    assert.equal(small.error?.code, 'file-too-large');
    assert.match(small.error.message, /sectors below 1 MiB take no part of a file/);
  }),
);
