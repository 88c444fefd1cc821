// Rules of the package's parts that need neither a miner nor a browser.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PACKAGE, pack } from './packed.mjs';

let part;
const folders = [];

before(async () => {
  await pack();
  part = (name) => import(join(PACKAGE, 'dist', `${name}.js`));
});

after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const folder = () => {
  folders.push(mkdtempSync(join(tmpdir(), 'sealdrop-parts-')));
  return folders.at(-1);
};

test('amounts are exact in both directions', async () => {
  const { formatFil, parseFil } = await part('index');
  const known = [
    ['0', 0n],
    ['1', 10n ** 18n],
    ['0.00025', 250_000_000_000_000n],
    [`0.${'0'.repeat(17)}1`, 1n],
    ['2000000000', 2n * 10n ** 27n],
  ];
  for (const [text, amount] of known) {
    assert.equal(parseFil(text), amount);
    assert.equal(formatFil(amount), text);
  }
  for (let run = 0; run < 1000; run += 1) {
    const amount = BigInt(`0x${randomBytes(1 + (run % 15)).toString('hex')}`);
    assert.equal(parseFil(formatFil(amount)), amount);
  }
  assert.deepEqual(['.5', '5.', '007'].map(parseFil), [5n * 10n ** 17n, 5n * 10n ** 18n, 7n * 10n ** 18n]);
  assert.equal(formatFil(-5n), '-0.000000000000000005');
});

test('what is no amount is refused', async () => {
  const { parseFil, SealdropError } = await part('index');
  for (const text of ['', '.', '-1', '+1', '1e3', '1,5', ' 1', '0x1', '1.1.1', `0.${'0'.repeat(18)}1`]) {
    assert.throws(
      () => parseFil(text),
      (error) => error instanceof SealdropError && error.code === 'bad-argument' && error.hint !== '',
      text,
    );
  }
});

test('amounts of the engine become attoFIL, and nothing else does', async () => {
  const { withAmounts } = await part('amounts');
  const bytes = new Uint8Array(3);
  const value = {
    total: '1.5',
    name: '2',
    done: { total: 7 },
    list: [{ amount: '0' }],
    bytes,
    most: undefined,
    none: null,
  };
  assert.deepEqual(withAmounts(value), {
    total: 15n * 10n ** 17n,
    name: '2',
    done: { total: 7 },
    list: [{ amount: 0n }],
    bytes,
    most: undefined,
    none: null,
  });
});

test('an error keeps its code, its rule and its cause', async () => {
  const { SealdropError } = await part('index');
  const cause = new Error('the disk');
  const error = SealdropError.from({ code: 'rejected', message: 'no', hint: 'ask', rejection: 12 }, cause);
  assert.deepEqual([error.code, error.hint, error.rejection, error.cause], ['rejected', 'ask', 12, cause]);
  assert.ok(!('cause' in new SealdropError('busy', 'wait')));
});

test('of events about the same thing only the newest waits', async () => {
  const { Told } = await part('told');
  const told = new Told();
  for (let at = 0; at < 1000; at += 1) told.tell(`deal ${at % 2}`, at);
  told.tell('head', 'new');
  told.end();
  const read = [];
  for await (const event of told.read()) read.push(event);
  assert.deepEqual(read, [998, 999, 'new']);
  const failed = new Told();
  failed.tell('one', 1);
  failed.end(new Error('over'));
  const reader = failed.read();
  assert.deepEqual(await reader.next(), { value: 1, done: false });
  await assert.rejects(reader.next(), /over/);
});

test('a stream is read to its end, and its file goes when it is let go of', async () => {
  const { spool } = await part('spooling');
  const told = [];
  const stream = new ReadableStream({
    start(controller) {
      for (let at = 0; at < 5; at += 1) controller.enqueue(new Uint8Array(1000).fill(at));
      controller.close();
    },
  });
  const { files, release } = await spool(stream, { name: 'a.bin', onBytes: (done) => told.push(done) });
  assert.deepEqual(told, [1000, 2000, 3000, 4000, 5000]);
  assert.deepEqual([files.length, files[0].path, files[0].file.size], [1, 'a.bin', 5000]);
  assert.equal(new Uint8Array(await files[0].file.slice(4500).arrayBuffer())[0], 4);
  await release();
  await assert.rejects(files[0].file.arrayBuffer());
});

test('a stream of which nothing comes is ended by the signal', async () => {
  const { spool } = await part('spooling');
  const stop = new AbortController();
  let ended = false;
  const stream = new ReadableStream({
    cancel() {
      ended = true;
    },
  });
  const reading = spool(stream, { signal: stop.signal });
  stop.abort();
  await assert.rejects(reading, { code: 'aborted' });
  assert.ok(ended);
});

test('a stream of something else than bytes is refused', async () => {
  const { spool } = await part('spooling');
  async function* words() {
    yield 'words';
  }
  await assert.rejects(spool(words(), {}), { code: 'bad-argument' });
});

const deal = (id, more = {}) => ({
  id,
  state: `state of ${id}`,
  view: { id, dataCid: 'bafy', partOf: 'file', ...more },
});
const contents = { id: 'file', manifest: new Uint8Array([1, 2]), data: ['bafy'], nodes: [new Map([[0, []]])] };

/** What a store has to do, wherever it keeps things. `reopen` gives what another process would find. */
async function contract(store, reopen) {
  const blob = new Blob(['the bytes']);
  await store.create(deal('a'), { id: 'a', blob, nodes: [{ cid: 'c', bytes: new Uint8Array([7]) }] });
  await store.create(deal('b', { partOf: undefined, dataCid: 'other' }), {
    id: 'b',
    blob: { file: 'file', at: 0, offset: 0, size: 1 },
    nodes: [],
  });
  await assert.rejects(store.update(deal('gone')), /removed/);
  await store.update({ ...deal('a'), state: 'changed' });
  await store.createFolder({ id: 'file', state: 's' }, contents, [blob, undefined, new Blob(['two'])]);
  await store.updateFolder({ id: 'file', state: 't' });
  await store.updateFolder({ id: 'gone', state: 't' });
  await store.saveMessage('a/channel', '00ff');
  for (let at = 0; at < 10; at += 1) await store.keepKeys({ id: `k${at}`, about: `about ${at}`, at, files: [] });

  const same = await reopen();
  assert.deepEqual((await same.deals()).map(({ id }) => id).sort(), ['a', 'b']);
  assert.equal((await same.deal('a')).state, 'changed');
  assert.deepEqual(
    (await same.dealsAbout('bafy')).map(({ id }) => id),
    ['a'],
  );
  assert.deepEqual(
    (await same.dealsOf('file')).map(({ id }) => id),
    ['a'],
  );
  assert.equal(await (await same.file('a')).blob.text(), 'the bytes');
  assert.deepEqual((await same.file('a')).nodes[0].bytes[0], 7);
  assert.deepEqual((await same.file('b')).blob, { file: 'file', at: 0, offset: 0, size: 1 });
  assert.deepEqual(await same.folders(), [{ id: 'file', state: 't' }]);
  assert.deepEqual(await same.contents('file'), contents);
  assert.equal(await (await same.source('file', 2)).text(), 'two');
  assert.equal(await same.source('file', 1), undefined);
  assert.deepEqual([await same.message('a/channel'), await same.messages()], ['00ff', ['00ff']]);
  assert.equal(await same.keysAbout('about 1'), undefined, 'the oldest keys go');
  assert.equal((await same.keysAbout('about 9')).id, 'k9');
  // Keys are a file's own once it is kept, and of nothing else.
  await same.createFolder({ id: 'sealed', state: 's' }, { ...contents, id: 'sealed' }, [], 'k9');
  await assert.rejects(same.createFolder({ id: 'twice', state: 's' }, { ...contents, id: 'twice' }, [], 'k9'), {
    code: 'file-lost',
  });
  assert.equal(await same.folder('twice'), undefined);

  await same.dropSources('file');
  await same.dropFile('b');
  await same.dropMessage('a/channel');
  await same.removeFolder('sealed', []);
  await same.removeFolder('file', ['a']);
  await same.remove('b');
  const empty = await reopen();
  assert.deepEqual([await empty.deals(), await empty.folders(), await empty.messages()], [[], [], []]);
  assert.deepEqual(
    [await empty.file('a'), await empty.contents('file'), await empty.source('file', 0)],
    [undefined, undefined, undefined],
  );
}

test('the store in memory does what a store has to do', async () => {
  const { KeptDeals } = await part('kept');
  const store = new KeptDeals();
  await contract(store, async () => store);
});

test('the store in a folder does what a store has to do, over a restart', async () => {
  const { KeptDeals } = await part('kept');
  const { openFolder } = await part('node-folder');
  const place = folder();
  const open = async () => {
    const { held, behind } = await openFolder(place);
    return new KeptDeals(held, behind);
  };
  await contract(await open(), open);
  const left = readdirSync(place).flatMap((table) => (table === 'secrets' ? [] : readdirSync(join(place, table))));
  assert.deepEqual(left, [], 'nothing is left of what was removed');
});

test('what a crash left half done in a folder is let go of', async () => {
  const { KeptDeals } = await part('kept');
  const { openFolder } = await part('node-folder');
  const place = folder();
  const { held, behind } = await openFolder(place);
  const store = new KeptDeals(held, behind);
  await store.createFolder({ id: 'file', state: 's' }, contents, [new Blob(['bytes'])]);
  await store.create(deal('a'), { id: 'a', blob: new Blob(['bytes']), nodes: [] });
  // As if the power had gone between a record and the one that it belongs to.
  await behind.remove('folders', 'file');
  await behind.remove('deals', 'a');
  writeFileSync(join(place, 'deals', 'half.record.new'), 'half');
  await openFolder(place);
  for (const table of ['sources', 'contents', 'files', 'deals'])
    assert.deepEqual(readdirSync(join(place, table)), [], table);
});

test('a folder is used by one client at a time, and a lock of a process that is gone is none', async () => {
  const { lockFolder } = await part('node-folder');
  const place = folder();
  const unlock = await lockFolder(place);
  await assert.rejects(lockFolder(place), { code: 'busy' });
  unlock();
  writeFileSync(join(place, 'lock'), '4194305');
  (await lockFolder(place))();
  writeFileSync(join(place, 'lock'), String(process.ppid));
  await assert.rejects(lockFolder(place), { code: 'busy' });
});

test('several verifications are as the worst of each part', async () => {
  const { worstOf } = await part('worst');
  const check = (state) => ({ ok: state === 'holds', state, detail: state });
  const all = (state, proven = state) => ({
    state: proven,
    inclusion: check(state),
    commitMessage: check(state),
    commitments: check(state),
    actor: check(state),
    proven: check(proven),
  });
  const worst = worstOf(all('holds', 'pending'), all('holds', 'fails'));
  assert.deepEqual([worst.state, worst.proven.state, worst.inclusion.state], ['fails', 'fails', 'holds']);
  assert.equal(worstOf(all('holds'), all('over')).state, 'over');
});

/** A miner's answer that says nothing of its length; `taken` is how many parts were taken of it, `ended` whether its reader had it ended. */
function answer(parts) {
  const seen = { taken: 0, ended: false };
  const body = new ReadableStream(
    {
      pull(controller) {
        if (seen.taken === parts) return controller.close();
        seen.taken += 1;
        controller.enqueue(new Uint8Array(1000).fill(seen.taken));
      },
      cancel() {
        seen.ended = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { response: new Response(body, { status: 206 }), seen };
}

test('of a miner’s answer no more is taken in than was asked for, also where it says no length', async () => {
  const { exactly } = await part('miner-http');
  const right = answer(3);
  const bytes = new Uint8Array(await (await exactly(right.response, 3000)).arrayBuffer());
  assert.deepEqual([bytes.length, bytes[0], bytes[2999], right.seen.ended], [3000, 1, 3, false]);

  const endless = answer(Number.POSITIVE_INFINITY);
  await assert.rejects(exactly(endless.response, 3000), /more bytes came for 3000/);
  assert.deepEqual(endless.seen, { taken: 4, ended: true });

  await assert.rejects(exactly(answer(2).response, 3000), /2000 bytes came for 3000/);
  await assert.rejects(exactly(new Response(null, { status: 206 }), 1), /0 bytes came for 1/);
});

test('an answer that says another length than was asked for is ended before it is read', async () => {
  const { exactly } = await part('miner-http');
  for (const length of ['2999', '3001', 'many']) {
    const { response, seen } = answer(3);
    response.headers.set('content-length', length);
    await assert.rejects(exactly(response, 3000), new RegExp(`${length} bytes for 3000`));
    assert.deepEqual(seen, { taken: 0, ended: true });
  }
});
