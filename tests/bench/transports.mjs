// `cargo xtask bench transports`: files between browser and miner, over each transport of the product and over plain connections, in
// turns, so that whatever else the machine does hits all alike. The last line is JSON.
//
//   transports.mjs PEER-PROGRAM [--mib N] [--rounds N] [--pages N] [--round-trips MS,MS] [--before FOLDER]
//
// A file goes from the browser to the miner as in any deal: the miner pulls it, checks each leaf and writes it to its disk. It comes back
// by a retrieval, which the client checks. A transport that the miner has not is null, with the reason.

import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { launch } from '../browser/page.mjs';
import { cpuOf, machineLine, median, Processes } from './machine.mjs';
import { Peer, Plain, Product, within } from './transports/contenders.mjs';
import { measureFar } from './transports/far.mjs';
import { plainWebSocket, plainWebTransport } from './transports/page.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mib: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '3' },
    pages: { type: 'string', default: '32' },
    'round-trips': { type: 'string', default: '20,40' },
    before: { type: 'string' },
  },
});
const [mib, rounds, pages] = [values.mib, values.rounds, values.pages].map(Number);
const BYTES = mib << 20;

/** Each contender's measurements, and why there are none. */
const found = new Map();
const missing = {};

const mbps = (ms) => BYTES / ms / 1e3;
const middle = (name, way, what) => {
  const all = found
    .get(name)
    ?.map((measured) => measured[way][what])
    .filter((value) => value !== undefined);
  return all?.length ? median(all) : null;
};
const rate = (name, way) => {
  const ms = middle(name, way, 'ms');
  return ms === null ? null : mbps(ms);
};
const ratio = (one, other, way) => {
  const [a, b] = [rate(one, way), rate(other, way)];
  return a === null || b === null ? null : a / b;
};

/** How many times less of the processor the other one's browser takes: hardly moved by what else the machine does. */
const cpuRatio = (one, other, way) => {
  const [a, b] = [middle(one, way, 'browser'), middle(other, way, 'browser')];
  return a === null || b === null ? null : a / b;
};

/** Runs a measurement and adds the CPU seconds that it took: the browser's, and those of the daemon in `child`. */
const meter = (processes) => async (work, child) => {
  const seconds = async () => [await processes.cpu(), child ? cpuOf(child.pid) : 0];
  const before = await seconds();
  const measured = await work();
  const after = await seconds();
  return { ...measured, browser: after[0] - before[0], miner: child ? after[1] - before[1] : undefined };
};

/** Measures all that there are, in turns; one that fails is left out from there on. */
async function measure(contenders, meter) {
  const there = [];
  const fails = (contender, error) => {
    // Of a daemon that ended, the last line says why.
    const said = error.message.split('\n').filter(Boolean);
    missing[contender.name] = [...new Set([said.at(0), said.at(-1)])].join(' ');
    console.log(`${contender.name}: ${missing[contender.name]}`);
  };
  for (const contender of contenders) {
    try {
      await contender.open();
      there.push(contender);
      found.set(contender.name, []);
    } catch (error) {
      fails(contender, error);
    }
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const contender of there.filter(({ name }) => !missing[name])) {
      const measured = await within(contender.measure(BYTES, meter)).catch((error) => fails(contender, error));
      if (!measured) continue;
      found.get(contender.name).push(measured);
      const [up, down] = [measured.up, measured.down].map(({ ms }) => mbps(ms).toFixed(1));
      console.log(`${round + 1}/${rounds} ${contender.name}: → ${up}, ← ${down} MB/s`);
    }
  }
  return there.filter(({ name }) => !missing[name]);
}

/** The most important transport that there is, with many browsers at once. */
async function crowd(there) {
  const product = ['webtransport', 'websocket'].map((name) => there.find((one) => one.name === name)).find(Boolean);
  if (!product || pages === 0) return {};
  const { ms, bytes } = await product.crowd(pages, Math.ceil(BYTES / pages));
  console.log(`${pages} browsers at once over ${product.name}: ${(bytes / ms / 1e3).toFixed(1)} MB/s`);
  return { crowd_pages: pages, crowd_transport: product.name, crowd_mb_s: bytes / ms / 1e3 };
}

/** The same at a distance, with what the client's own connection there gives of a plain one. */
async function far(there) {
  const roundTrips = values['round-trips'].split(',').filter(Boolean).map(Number);
  const transports = there.map(({ name }) => name);
  if (roundTrips.length === 0) return {};
  const asked = { peerProgram: positionals[0], transports, roundTrips, bytes: BYTES, rounds };
  const measured = await measureFar(asked).catch(({ message }) => ({ missing: message }));
  if (measured.missing) {
    missing.round_trips = measured.missing;
    return {};
  }
  Object.assign(missing, measured.failed);
  for (const [name, all] of Object.entries(measured.found)) found.set(name, all);
  const figures = {};
  for (const ms of roundTrips) {
    for (const [name, plain] of [
      ['websocket', 'plain_websocket'],
      ['webtransport', 'raw_webtransport'],
    ]) {
      figures[`${name}_mb_s_${ms}_ms`] = rate(`${name}@${ms}`, 'up');
      figures[`${name}_vs_plain_${ms}_ms`] = ratio(`${name}@${ms}`, `${plain}@${ms}`, 'up');
      figures[`${name}_vs_plain_${ms}_ms_back`] = ratio(`${name}@${ms}`, `${plain}@${ms}`, 'down');
    }
  }
  return figures;
}

function table() {
  const number = (value, digits) => (value === null ? '' : value.toFixed(digits)).padStart(9);
  const heads = ['→ MB/s', '← MB/s', '→ first', '← first', '→ browser', '← browser', '→ miner', '← miner'];
  console.log(`\n${mib} MiB, medians of ${rounds}; first byte in ms, CPU seconds for 100 MB`);
  console.log(''.padEnd(19), ...heads.map((head) => head.padStart(9)));
  for (const name of found.keys()) {
    const columns = (what, of) => ['up', 'down'].map((way) => of(middle(name, way, what)));
    const per100 = (seconds) => number(seconds === null ? null : (seconds / BYTES) * 1e8, 2);
    const rates = ['up', 'down'].map((way) => number(rate(name, way), 1));
    const firsts = columns('first', (ms) => number(ms, 0));
    console.log(name.padEnd(19), ...rates, ...firsts, ...columns('browser', per100), ...columns('miner', per100));
  }
}

/** What was measured between two programs before; the worse direction. */
function native(kind) {
  const text = process.env[`SEALDROP_NATIVE_${kind.toUpperCase()}`];
  if (!text) {
    missing[kind] = 'not measured: `cargo xtask bench transports` does';
    return { [`${kind}_mb_s_core`]: null };
  }
  const { up_mb_s, down_mb_s, up_mb_s_core, down_mb_s_core } = JSON.parse(text);
  console.log(
    `libp2p over ${kind.toUpperCase()} between two programs: → ${up_mb_s.toFixed(0)}, ← ${down_mb_s.toFixed(0)} MB/s;`,
    `for a core → ${up_mb_s_core.toFixed(0)}, ← ${down_mb_s_core.toFixed(0)}`,
  );
  return {
    [`${kind}_mb_s`]: Math.min(up_mb_s, down_mb_s),
    [`${kind}_mb_s_core`]: Math.min(up_mb_s_core, down_mb_s_core),
  };
}

const peer = await Peer.start(positionals[0]);
const browser = await launch();
const contenders = [
  new Plain(browser, 'plain_websocket', plainWebSocket, { url: peer.urls.websocket }),
  new Plain(browser, 'raw_webtransport', plainWebTransport, { url: peer.urls.webtransport, hash: peer.urls.hash }),
  new Product(browser, 'websocket', { transport: 'websocket' }),
  new Product(browser, 'webtransport', { transport: 'webtransport' }),
  new Product(browser, 'webrtc', { transport: 'webrtc' }),
];
if (values.before)
  contenders.push(new Product(browser, 'websocket_before', { transport: 'websocket', folder: values.before }));
else missing.websocket_before = 'no --before FOLDER: an earlier version, built';
try {
  console.log(`${machineLine()}, load ${loadavg()[0].toFixed(1)}, Chromium ${browser.version()}`);
  const there = await measure(contenders, meter(await Processes.of(browser)));
  const crowded = await within(crowd(there)).catch(({ message }) => {
    missing.crowd = message;
    return {};
  });
  const distant = await far(there);
  table();
  const all = {
    mib,
    websocket_mb_s: rate('websocket', 'up'),
    websocket_vs_plain: ratio('websocket', 'plain_websocket', 'up'),
    websocket_vs_plain_back: ratio('websocket', 'plain_websocket', 'down'),
    websocket_vs_plain_cpu: cpuRatio('plain_websocket', 'websocket', 'up'),
    websocket_vs_websocket_before: ratio('websocket', 'websocket_before', 'up'),
    webtransport_mb_s: rate('webtransport', 'up'),
    webtransport_vs_websocket_before: ratio('webtransport', 'websocket_before', 'up'),
    webtransport_vs_websocket_before_back: ratio('webtransport', 'websocket_before', 'down'),
    webtransport_vs_websocket_before_cpu: cpuRatio('websocket_before', 'webtransport', 'up'),
    webtransport_vs_raw: ratio('webtransport', 'raw_webtransport', 'up'),
    webtransport_vs_raw_cpu: cpuRatio('raw_webtransport', 'webtransport', 'up'),
    webtransport_vs_raw_back: ratio('webtransport', 'raw_webtransport', 'down'),
    webrtc_mb_s: rate('webrtc', 'up'),
    ...native('tcp'),
    ...native('quic'),
    ...crowded,
    ...distant,
    missing,
  };
  const rounded = Object.entries(all).map(([name, value]) => [
    name,
    typeof value === 'number' ? Number(value.toPrecision(4)) : value,
  ]);
  console.log(JSON.stringify(Object.fromEntries(rounded)));
} finally {
  for (const contender of contenders) await contender.end();
  await browser.close();
  peer.end();
}
