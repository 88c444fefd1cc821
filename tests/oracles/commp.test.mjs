// The browser's hashing module against packages by other people that compute the same names: CommP against two, the data
// root against the reference importer of IPFS. `cargo xtask test` builds the module first.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import * as segment from '@web3-storage/data-segment/multihash';
import * as fr32 from 'fr32-sha2-256-trunc254-padded-binary-tree-multihash';
import { importer } from 'ipfs-unixfs-importer';
import { fixedSize } from 'ipfs-unixfs-importer/chunker';
import { balanced } from 'ipfs-unixfs-importer/layout';

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
const { Commp } = await import(join(CLIENT, 'commp.js'));
const module = new WebAssembly.Module(readFileSync(join(CLIENT, 'wasm/sealdrop_commp.wasm')));
const commp = await Commp.load(module);

const MIB = 1 << 20;
/** The lowest slice of this module's: 127 bytes. The highest holds everything that is hashed here. */
const [QUAD, WHOLE] = [2, 30];
/** Payloads below this many bytes are not what the packages promise to take. */
const SMALLEST = 65;

/** Numbers that look random, the same in every run. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
}

const DATA = new Uint8Array(12 * MIB);
const next = random(1);
for (let at = 0; at < DATA.length; at += 1) DATA[at] = next() >>> 24;

const hex = (bytes) => Buffer.from(bytes).toString('hex');

/** The names of the first `size` bytes by our module, in slices of `height`, pushed in parts of `step` bytes. */
function ours(size, { height = WHOLE, step = 3 * MIB, leaves = true } = {}) {
  const { slices } = commp.divide(size, 1, height);
  const names = [];
  for (let index = 0; index < slices; index += 1) {
    const slice = commp.slice(size, height, index);
    const to = Math.max(slice.bytes[1], slice.leaves[1]);
    commp.begin(size, height, index, leaves);
    for (let at = slice.bytes[0]; at < to; at += step) commp.push(DATA.subarray(at, Math.min(to, at + step)));
    names.push(commp.finish());
  }
  return commp.assemble(size, names);
}

/** CommP by npm fr32-sha2-256-trunc254-padded-binary-tree-multihash, which is written in Rust. */
function byFr32(size) {
  const hasher = fr32.create();
  hasher.write(DATA.subarray(0, size));
  const bytes = new Uint8Array(hasher.multihashByteLength());
  hasher.digestInto(bytes, 0, true);
  hasher.free();
  return hex(bytes.slice(-32));
}

/** CommP by npm @web3-storage/data-segment, which is written in JavaScript. */
const bySegment = (size) => hex(segment.create().write(DATA.subarray(0, size)).digest().digest.slice(-32));

/** The root that kubo's importer gives a file with the profile `unixfs-v1-2025`. */
async function byImporter(size) {
  async function* content() {
    for (let at = 0; at < size; at += MIB) yield DATA.subarray(at, Math.min(size, at + MIB));
  }
  const options = {
    cidVersion: 1,
    rawLeaves: true,
    reduceSingleLeafToSelf: true,
    wrapWithDirectory: false,
    chunker: fixedSize({ chunkSize: MIB }),
    layout: balanced({ maxChildrenPerNode: 1024 }),
  };
  const kept = { put: async (cid) => cid };
  for await (const { cid } of importer([{ content: content() }], kept, options)) return cid.toString();
  throw new Error('the importer gives no root');
}

test('CommP is that of both packages for every remainder of 127 and around every power of two', () => {
  const sizes = new Set();
  for (let rest = 0; rest < 127; rest += 1) sizes.add(127 * (1 + (next() % 40)) + rest);
  for (let power = 7; power <= 17; power += 1) {
    for (const about of [1 << power, (127 << power) >> 7]) for (const by of [-1, 0, 1]) sizes.add(about + by);
  }
  for (const size of sizes) {
    if (size < SMALLEST) continue;
    const { commP } = ours(size);
    assert.equal(commP, byFr32(size), `${size} bytes`);
    assert.equal(commP, bySegment(size), `${size} bytes`);
  }
});

test('CommP of pieces of some MiB is that of the package, whatever the slices and the parts', () => {
  for (let round = 0; round < 12; round += 1) {
    const size = SMALLEST + (next() % (3 * MIB));
    const [height, step] = [10 + (next() % 8), 1 + (next() % (2 * MIB))];
    assert.equal(ours(size, { height, step }).commP, byFr32(size), `${size} bytes at ${height} by ${step}`);
  }
});

test('CommP is that of the package on both sides of every border of slices', () => {
  for (const height of [QUAD, 5, 12, 13, 14]) {
    const slice = 127 << (height - 2);
    for (const slices of [1, 2, 3, 5]) {
      for (const by of [-1, 0, 1]) {
        const size = slices * slice + by;
        if (size < SMALLEST) continue;
        const [sliced, whole] = [ours(size, { height }), ours(size)];
        assert.deepEqual(sliced, whole, `${size} bytes at ${height}`);
        assert.equal(whole.commP, byFr32(size), `${size} bytes`);
      }
    }
  }
});

test('the data root is that of the reference importer, around leaves, slices and wherever else', async () => {
  const sizes = [1, 2, 127, 128];
  for (const leaves of [1, 2, 3, 4, 5, 8, 9]) for (const by of [-1, 0, 1]) sizes.push(leaves * MIB + by);
  for (const slices of [1, 2]) for (const by of [-1, 0, 1]) sizes.push(slices * (127 << 14) + by);
  for (let round = 0; round < 4; round += 1) sizes.push(1 + (next() % DATA.length));
  for (const size of sizes) {
    const { dataCid, size: counted } = ours(size, { height: 16 });
    assert.equal(dataCid, await byImporter(size), `${size} bytes`);
    assert.equal(counted, size);
  }
});

test('leaves that were hashed elsewhere join a slice as its own do', async () => {
  const size = 3 * MIB + 5;
  const names = [];
  for (let index = 0; index < commp.divide(size, 1, 14).slices; index += 1) {
    const { bytes, leaves } = commp.slice(size, 14, index);
    commp.begin(size, 14, index, false);
    commp.push(DATA.subarray(...bytes));
    const parts = [Buffer.from(commp.finish())];
    for (let at = leaves[0]; at < leaves[1]; at += MIB) {
      parts.push(Buffer.from(await crypto.subtle.digest('SHA-256', DATA.slice(at, Math.min(leaves[1], at + MIB)))));
    }
    names.push(new Uint8Array(Buffer.concat(parts)));
  }
  assert.deepEqual(commp.assemble(size, names), ours(size));
});

test('zeros of every padded size have the CommP that Filecoin publishes for empty sectors', () => {
  // go-fil-commcid's and lotus' names of empty pieces; the sizes that can be hashed here in a moment.
  const published = new Map([
    [2032, 'baga6ea4seaqpy7usqklokfx2vxuynmupslkeutzexe2uqurdg5vhtebhxqmpqmy'],
    [8_323_072, undefined],
  ]);
  for (const [size, name] of published) {
    const { slices } = commp.divide(size, 1, WHOLE);
    assert.equal(slices, 1);
    commp.begin(size, WHOLE, 0, true);
    for (let left = size; left > 0; left -= MIB) commp.push(new Uint8Array(Math.min(left, MIB)));
    const piece = commp.assemble(size, [commp.finish()]);
    if (name) assert.equal(piece.pieceCid, name);
    const hasher = fr32.create();
    for (let left = size; left > 0; left -= MIB) hasher.write(new Uint8Array(Math.min(left, MIB)));
    const bytes = new Uint8Array(hasher.multihashByteLength());
    hasher.digestInto(bytes, 0, true);
    assert.equal(piece.commP, hex(bytes.slice(-32)));
  }
});

test('what does not fit together is refused in words', () => {
  assert.throws(() => commp.divide(0, 1), /the piece is empty/);
  assert.throws(() => commp.slice(1000, WHOLE, 1), /the file has 1 slices, so there is no slice 1/);
  assert.throws(() => commp.divide(1000, 1, 99), /no slice has height 99/);
  assert.throws(() => commp.finish(), /no slice was begun/);
  assert.throws(() => commp.assemble(1000, [new Uint8Array(5)]), /5 bytes are no slice's names/);
  assert.throws(() => commp.assemble(2 * MIB, []), { code: 'bad-argument' });
});
