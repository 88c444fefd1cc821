// How ranges become a stream, without a browser: what is read when, what a cancelled stream leaves alone, and what ends it.

import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
const { rangeStream } = await import(join(CLIENT, 'ranges-stream.js'));
const { SealdropError } = await import(join(CLIENT, 'errors.js'));

/** A file of so many bytes in reads of four, planned three at a time. */
function source(size, fail = () => {}) {
  const log = { plans: [], reads: [], signals: [] };
  return {
    log,
    windows: async ([from, to = size]) => {
      log.plans.push([from, to]);
      const spans = [];
      for (let at = from; at < to && spans.length < 3; at += 4) {
        spans.push({ dataCid: 'piece', size, from: at, to: Math.min(at + 4, to) });
      }
      return { at: 0, path: 'a', size, spans };
    },
    read: async ({ from, to }, { signal }) => {
      log.reads.push(from);
      log.signals.push(signal);
      fail(from);
      return new Uint8Array(to - from).map((_, i) => from + i);
    },
  };
}

async function all(stream) {
  const out = [];
  for await (const bytes of stream) out.push(...bytes);
  return out;
}

const bytes = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

test('a range comes in order, planned bit by bit, to its end or to that of the file', async () => {
  const ranged = source(100);
  assert.deepEqual(await all(rangeStream(ranged, { range: [5, 35] })), bytes(5, 35));
  assert.deepEqual(ranged.log.plans, [
    [5, 35],
    [17, 35],
    [29, 35],
  ]);
  assert.deepEqual(await all(rangeStream(source(21), {})), bytes(0, 21));
  const told = [];
  assert.deepEqual(await all(rangeStream(source(9), { range: [4, 4], onProgress: (now) => told.push(now) })), []);
});

test('nothing is fetched before it is read, and then one read ahead alone', async () => {
  const { log, ...edges } = source(100);
  const reader = rangeStream(edges, {}).getReader();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(log.reads, []);
  await reader.read();
  assert.deepEqual(log.reads, [0, 4]);
  await reader.read();
  assert.deepEqual(log.reads, [0, 4, 8]);
  await reader.cancel();
  assert.ok(
    log.signals.every((signal) => signal.aborted),
    'what is under way is stopped',
  );
});

test('what comes before a failed read is handed out, and the stream ends with its error', async () => {
  const failing = source(100, (from) => {
    if (from === 8) throw new SealdropError('retrieval-failed', 'gone');
  });
  const reader = rangeStream(failing, {}).getReader();
  const got = [...(await reader.read()).value, ...(await reader.read()).value];
  assert.deepEqual(got, bytes(0, 8));
  await assert.rejects(reader.read(), { code: 'retrieval-failed' });
  const stop = new AbortController();
  stop.abort();
  await assert.rejects(all(rangeStream(source(9), { signal: stop.signal })), { code: 'aborted' });
});
