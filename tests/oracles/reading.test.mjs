// How the workers read a file, without a browser: what happens when bytes do not come, or too few. Time is virtual.

import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { mock, test } from 'node:test';

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
const { Reader, READ_LIMIT_MS } = await import(join(CLIENT, 'reading.js'));
const { Meter } = await import(join(CLIENT, 'meter.js'));

const BYTES = Uint8Array.from({ length: 1000 }, (_, at) => at % 251);

/** A file in a browser that gives its bytes only as a whole. */
const withoutStream = (bytes) => ({
  slice: (from, to) => withoutStream(bytes.subarray(from, to)),
  stream: () => new ReadableStream(),
  arrayBuffer: async () => bytes.slice().buffer,
});

/** A file whose bytes never come. */
const silent = {
  slice: () => silent,
  stream: () => new ReadableStream({ type: 'bytes', pull: () => new Promise(() => {}) }),
};

async function readAll(file, from, to, step) {
  const reader = new Reader(file, from, to);
  const all = [];
  for (let at = from; at < to; at += step) {
    const length = Math.min(step, to - at);
    all.push(...(await reader.take(length, Math.max(0, Math.min(step, to - at - length)))));
  }
  return all;
}

test('a part of a file comes whole and in order, with a byte stream and without', async () => {
  for (const file of [new Blob([BYTES]), withoutStream(BYTES)]) {
    for (const [from, to, step] of [
      [0, 1000, 100],
      [7, 993, 64],
      [500, 501, 10],
      [0, 1000, 1000],
    ]) {
      assert.deepEqual(
        await readAll(file, from, to, step),
        [...BYTES.subarray(from, to)],
        `${from} to ${to} by ${step}`,
      );
    }
  }
});

test('a file that has become shorter is unreadable, with the place where it ends', async () => {
  for (const file of [new Blob([BYTES.subarray(0, 300)]), withoutStream(BYTES.subarray(0, 300))]) {
    await assert.rejects(readAll(file, 100, 400, 300), { name: 'NotReadableError', message: /ended after 300 bytes/ });
  }
});

test("a stream that breaks tells why by the browser's own error", async () => {
  const broken = {
    slice: () => broken,
    stream: () =>
      new ReadableStream({ type: 'bytes', pull: (controller) => controller.error(new TypeError('network error')) }),
    arrayBuffer: () => Promise.reject(new DOMException('it was changed', 'NotReadableError')),
  };
  await assert.rejects(new Reader(broken, 0, 10).take(10, 0), { name: 'NotReadableError', message: 'it was changed' });
});

test('a read that stalls is given up after half a minute', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const reading = assert.rejects(new Reader(silent, 0, 10).take(10, 0), {
      name: 'NotReadableError',
      message: /nothing came for 30 seconds/,
    });
    mock.timers.tick(READ_LIMIT_MS);
    await reading;
  } finally {
    mock.timers.reset();
  }
});

test('progress tells speed and time left, not counting what was done before', () => {
  let now = 0;
  const clock = mock.method(performance, 'now', () => now);
  try {
    const told = [];
    const meter = new Meter((progress) => told.push(progress), 500);
    now = 1000;
    meter.report(600, 1000);
    now = 1010;
    meter.report(601, 1000);
    now = 2000;
    meter.report(700, 1000);
    now = 2001;
    meter.report(1000, 1000);
    assert.deepEqual(told[0], { done: 600, total: 1000, bytesPerSecond: 100, secondsLeft: 4 });
    assert.deepEqual(told[1], { done: 700, total: 1000, bytesPerSecond: 100, secondsLeft: 3 });
    assert.equal(told.length, 3, 'too many reports cannot be read, but the last one comes');
    assert.deepEqual([told[2].done, told[2].secondsLeft], [1000, 0]);
  } finally {
    clock.mock.restore();
  }
});
