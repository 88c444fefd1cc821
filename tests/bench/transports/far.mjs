// The same between two hosts with a round trip between them, on the network of the tests (`tests/hosts`): plain connections, and one miner
// for each transport.

import { CHROMIUM, launch } from '../../browser/page.mjs';
import { serveOn, World } from '../../hosts/world.mjs';
import { measureDeal, measurePlain, Peer, within, withoutHttp } from './contenders.mjs';
import { plainWebSocket, plainWebTransport } from './page.mjs';

/** What a miner of each transport listens on. */
const LISTEN = {
  websocket: '/ip4/0.0.0.0/tcp/4402/ws',
  webtransport: '/ip4/0.0.0.0/udp/4402/quic-v1/webtransport',
  webrtc: '/ip4/0.0.0.0/udp/4404/webrtc-direct',
};

/** No meter: what the processor does is known from the measurement without a distance. */
const unmetered = (work) => work();

/** Measurements by contender, for each round trip in `roundTrips` (ms); or why there are none. */
export async function measureFar({ peerProgram, transports, roundTrips, bytes, rounds }) {
  const found = {};
  const failed = {};
  const names = Object.keys(LISTEN).filter((name) => transports.includes(name));
  if (names.length === 0) return { missing: 'the miner has no transport for browsers' };
  const world = await World.start(names.length, ['browser'], {
    listen: (_, i) => [LISTEN[names[i]]],
    options: ['--price', '0'],
  });
  let peer;
  let browser;
  try {
    if (!world.network.isReal) return { missing: `no network namespaces here: ${world.network.impossible}` };
    const server = world.miners[0].host;
    peer = await Peer.start(peerProgram, server.address, (program, args, options) =>
      server.spawn(program, args, options),
    );
    browser = await launch([], {
      executablePath: world.network.host('browser').wrapped(CHROMIUM, world.network.folder),
    });
    const page = async () => {
      const context = await browser.newContext();
      await withoutHttp(context);
      const page = await context.newPage();
      page.setDefaultTimeout(600_000);
      await page.goto(await serveOn(world.network.host('browser')));
      return page;
    };
    const [plain, product] = [await page(), await page()];
    const { websocket, webtransport, hash } = peer.urls;
    const contenders = {
      plain_websocket: () => measurePlain(plain, plainWebSocket, { url: websocket }, bytes, unmetered),
      raw_webtransport: () => measurePlain(plain, plainWebTransport, { url: webtransport, hash }, bytes, unmetered),
    };
    for (const [i, name] of names.entries()) {
      const miner = { chain: `${world.endpoint}/rpc`, address: world.miners[i].id };
      contenders[name] = () => measureDeal(product, miner, bytes, unmetered);
    }
    for (const roundTripMs of roundTrips) {
      await world.paths({ roundTripMs });
      for (let round = 0; round < rounds; round += 1) {
        for (const [name, measure] of Object.entries(contenders)) {
          const key = `${name}@${roundTripMs}`;
          const measured = failed[key] ? undefined : await within(measure()).catch(({ message }) => message);
          if (typeof measured === 'string') {
            failed[key] = measured.split('\n')[0];
            console.log(`${key}: ${failed[key]}`);
          }
          if (!measured?.up) continue;
          found[key] = [...(found[key] ?? []), measured];
          const [up, down] = [measured.up, measured.down].map(({ ms }) => (bytes / ms / 1e3).toFixed(1));
          console.log(`${roundTripMs} ms, ${round + 1}/${rounds} ${name}: → ${up}, ← ${down} MB/s`);
        }
      }
    }
    return { found, failed };
  } finally {
    await browser?.close();
    peer?.end();
    await world.end();
  }
}
