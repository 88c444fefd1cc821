// Ours and the packages that people use today, each as a function from bytes to a root. Runs in Node, and bundled in a
// worker of the browser.

import { calculate } from '@filoz/synapse-core/piece';
import * as segment from '@web3-storage/data-segment/multihash';
import * as fr32 from 'fr32-sha2-256-trunc254-padded-binary-tree-multihash';

/** Bytes of a turn of the fast ones, and of the slow ones: some milliseconds each. */
const [FAST, SLOW] = [127 << 12, 127 << 10];
/** Turns before the measured ones, so that every compiler has done its best. */
const WARM = 12;
/** Holds every turn as one slice. */
const ONE_SLICE = 30;

const hex = (bytes) => Array.from(bytes.slice(-32), (byte) => byte.toString(16).padStart(2, '0')).join('');

function byFr32(data) {
  const hasher = fr32.create();
  hasher.write(data);
  const bytes = new Uint8Array(hasher.multihashByteLength());
  hasher.digestInto(bytes, 0, true);
  hasher.free();
  return hex(bytes);
}

/** Measures all in turns, so that whatever else the machine does hits all alike; nanoseconds a byte, the median of each. */
export async function race(Commp, module, rounds) {
  const commp = await Commp.load(module);
  const ours = (data) => {
    commp.begin(data.length, ONE_SLICE, 0, false);
    commp.push(data);
    return hex(commp.finish());
  };
  const data = Uint8Array.from({ length: FAST }, (_, i) => i * 131 + (i >> 8) * 7 + (i >> 16) * 13);
  const small = data.subarray(0, SLOW);
  const all = [
    { name: 'sealdrop', bytes: data, run: ours, times: [] },
    { name: 'fr32', bytes: data, run: byFr32, times: [] },
    { name: 'data-segment', bytes: small, run: (data) => hex(segment.create().write(data).digest().digest), times: [] },
    { name: 'synapse', bytes: small, run: (data) => hex(calculate(data).multihash.digest), times: [] },
  ];
  for (const { name, bytes, run } of all) {
    if (run(bytes) !== ours(bytes)) throw new Error(`${name} gives another root`);
    for (let turn = 0; turn < WARM; turn += 1) run(bytes);
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const { bytes, run, times } of all) {
      const start = performance.now();
      run(bytes);
      times.push(((performance.now() - start) * 1e6) / bytes.length);
    }
  }
  return Object.fromEntries(all.map(({ name, times }) => [name, times.sort((a, b) => a - b)[times.length >> 1]]));
}
