// Parts of the npm package that need no browser: which copy is asked next, what files are called, how pieces become a stream.

import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
const { fetchFromAny } = await import(join(CLIENT, 'copies.js'));
const { Meter } = await import(join(CLIENT, 'meter.js'));
const { named, orderOf, storeRequest } = await import(join(CLIENT, 'preparing.js'));
const { fileStream } = await import(join(CLIENT, 'retrieving.js'));
const { filesKey } = await import(join(CLIENT, 'saved.js'));
const { SealdropError } = await import(join(CLIENT, 'errors.js'));

/** Deals about one piece, by their steps; a failed one is written `-step`. */
const deals = (...steps) =>
  steps.map((step, index) => ({
    state: `${index}`,
    view: { step: step.replace('-', ''), state: step.startsWith('-') ? 'failed' : 'working' },
  }));

test('the copy that is furthest is asked first, and the next one when it fails', async () => {
  const asked = [];
  const again = [];
  const found = await fetchFromAny(
    deals('signed', 'staged', 'proven', '-complete', 'complete'),
    async (state) => {
      asked.push(state);
      if (asked.length < 3) throw new SealdropError('retrieval-failed', `miner ${state}`);
      return new Blob(['piece']);
    },
    (done) => again.push(done),
  );
  assert.deepEqual([await found.text(), asked, again], ['piece', ['2', '4', '1'], [0, 0]]);
});

test('when all copies fail all reasons are told, and nobody else is asked after a stop', async () => {
  const failing = (code) => (state) => Promise.reject(new SealdropError(code, `miner ${state}`));
  await assert.rejects(
    fetchFromAny(deals('proven', 'complete'), failing('retrieval-corrupt'), () => {}),
    {
      code: 'retrieval-corrupt',
      message: 'miner 0; miner 1',
    },
  );
  await assert.rejects(
    fetchFromAny(deals('proven', 'complete'), failing('aborted'), () => {}),
    { message: 'miner 0' },
  );
  await assert.rejects(
    fetchFromAny(deals('accepted', '-proven'), failing('internal'), () => {}),
    {
      code: 'not-stored-yet',
    },
  );
});

test('files are called by the folder that all their paths begin with, unless they were named', () => {
  const file = (path) => ({ path, file: new File(['x'], 'any') });
  const paths = ({ folder, files }) => [folder, ...files.map(({ path }) => path)];
  assert.deepEqual(paths(named(new File(['x'], 'one.txt'))), [undefined, 'one.txt']);
  assert.deepEqual(paths(named([new File(['x'], 'one.txt')])), [undefined, 'one.txt']);
  assert.deepEqual(paths(named([file('a/b'), file('a/c/d')])), ['a', 'b', 'c/d']);
  assert.deepEqual(paths(named([file('a/b')])), ['a', 'b']);
  assert.deepEqual(paths(named([file('a/b'), file('ab/c')])), ['files', 'a/b', 'ab/c']);
  assert.deepEqual(paths(named([file('b'), file('a/c')])), ['files', 'b', 'a/c']);
  assert.deepEqual(paths(named([file('a/b'), file('a/c')], 'top')), ['top', 'a/b', 'a/c']);
  assert.deepEqual(paths(named(new File(['x'], 'one.txt'), 'top')), ['top', 'one.txt']);
  assert.throws(() => named([]), { code: 'bad-argument' });
});

test('what is stored is what was prepared, in its order, however the files are handed in', () => {
  const file = (path, text) => ({ path, file: new Blob([text]) });
  const prepared = (name, ...paths) => ({
    id: 'id',
    name,
    folder: true,
    manifest: new Uint8Array(),
    files: paths.map((path) => ({ path, size: 1, root: 'r', pieces: [{ offset: 0, nodes: ['n'] }] })),
  });
  const order = { duration: 5 };
  const stored = storeRequest(prepared('a', 'b', 'c'), [file('a/c', '12'), file('a/b', '1')], order);
  assert.deepEqual(
    stored.blobs.map(({ size }) => size),
    [1, 2],
  );
  assert.deepEqual([stored.keep, stored.nodes[0].get(0)], ['copy', ['n']]);
  // The folder has the name of the one that all paths begin with, and they were prepared with it.
  const again = storeRequest(prepared('a', 'a/b'), [file('a/b', '1')], { ...order, keep: 'reference' });
  assert.deepEqual([again.keep, again.blobs.length], ['reference', 1]);
  assert.throws(() => storeRequest(prepared('a', 'other'), [file('a/b', '1')], order), { code: 'bad-argument' });
  assert.deepEqual(orderOf({ duration: 5, miner: { address: 't2x' } }), {
    copies: 1,
    miner: 't2x',
    duration: 5,
    most: undefined,
    repair: false,
    withManifest: false,
    allowDuplicates: false,
  });
});

test('what is remembered of hashing is of these files in this cut only', () => {
  const files = (path, text, lastModified) => [{ path, file: new File([text], 'any', { lastModified }) }];
  const keys = [
    filesKey(files('a', '1', 1), 1),
    filesKey(files('b', '1', 1), 1),
    filesKey(files('a', '12', 1), 1),
    filesKey(files('a', '1', 2), 1),
    filesKey(files('a', '1', 1), 2),
    filesKey([...files('a', '1', 1), ...files('b', '', 1)], 1),
  ];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(filesKey(files('a', '1', 1), 1), keys[0]);
});

test('what was done before does not count as speed', () => {
  const told = [];
  const meter = new Meter((progress) => told.push(progress));
  meter.skip(1000);
  meter.report(1000, 2000);
  assert.deepEqual(told, [{ done: 1000, total: 2000, bytesPerSecond: 0 }]);
});

/** A stream of pieces `abc`, `def`, `ghi`, and what happened on the way. */
function streamOf(options = {}, fail = () => false) {
  const seen = [];
  const spans = ['abc', 'def', 'ghi'].map((dataCid) => ({ dataCid, size: 3, from: 1, to: 3 }));
  const stream = fileStream(
    {
      spans: async () => ({ at: 0, path: 'a', size: 9, spans }),
      piece: async ({ dataCid }, { signal, onProgress }) => {
        seen.push(dataCid);
        if (fail(dataCid)) throw new SealdropError('retrieval-corrupt', dataCid);
        if (signal.aborted) throw new SealdropError('aborted', 'stopped');
        onProgress({ done: 3, total: 3 });
        return new Blob([dataCid]);
      },
    },
    options,
  );
  return { seen, reader: stream.getReader() };
}

async function text(reader) {
  let all = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return all;
    all += new TextDecoder().decode(value);
  }
}

test('pieces become a stream in their order, one ahead of what is read', async () => {
  const told = [];
  const { seen, reader } = streamOf({ onProgress: ({ done, total }) => told.push([done, total]) });
  assert.deepEqual(seen, [], 'nothing is fetched before somebody reads');
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value), 'bc');
  assert.deepEqual(seen, ['abc', 'def']);
  assert.equal(await text(reader), 'efhi');
  assert.deepEqual(told.at(-1), [6, 6]);
});

test('a piece that does not come ends the stream with its reason, behind what was checked', async () => {
  const { reader } = streamOf({}, (piece) => piece === 'def');
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value), 'bc');
  await assert.rejects(text(reader), { code: 'retrieval-corrupt', message: 'def' });
});

test('a stream that is stopped or let go of fetches no more', async () => {
  const stop = new AbortController();
  const { seen, reader } = streamOf({ signal: stop.signal });
  await reader.read();
  stop.abort();
  await assert.rejects(text(reader), { code: 'aborted' });
  assert.deepEqual(seen, ['abc', 'def']);

  const late = streamOf({ signal: AbortSignal.abort() });
  await assert.rejects(text(late.reader), { code: 'aborted' });
  assert.deepEqual(late.seen, []);

  const other = streamOf();
  await other.reader.read();
  await other.reader.cancel();
  assert.deepEqual(other.seen, ['abc', 'def']);
});
