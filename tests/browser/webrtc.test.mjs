// WebRTC-direct, the last resort of browsers: a miner that listens for nothing else of theirs stores a file and gives it back, over data
// channels that the window hands over to the network worker. Proofs are fake, so that a file of many messages takes no time to seal.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { chainFor, chainThatRemembers } from './away.mjs';
import { Daemon, FAKE } from './daemon.mjs';
import { flags, overHttps, staticSite } from './https.mjs';
import { choose, dealPage, hook, launch, onPage, pressStore, reach, SOON_MS, withClient } from './page.mjs';
import { freePorts } from './ports.mjs';

/** Of another certificate than any miner's. */
const WRONG_HASH = 'uEiDikp5KVUgkLta1EjUN-IKbHk-dUBg8VzKgf5nXxLK46w';
/** More than a message, more than a frame, and no multiple of either. */
const SIZE = 3_000_001;

let browser;
let daemon;

before(async () => {
  const [tcp, udp] = await freePorts(2);
  const listen = [`/ip4/127.0.0.1/tcp/${tcp}`, `/ip4/127.0.0.1/udp/${udp}/webrtc-direct`];
  daemon = await Daemon.start(['--auto-seal', '200ms', ...listen.flatMap((address) => ['--p2p-listen', address])], {
    sectorSize: '8MiB',
    program: FAKE,
  });
  daemon.udp = udp;
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await daemon?.end();
});

/** How a new client of the package, in the page, reaches the miner: it dials first. */
const route = (page) =>
  withClient(page, daemon.chain, async (client) => {
    const [miner] = await client.miners();
    return client.route(miner, { connect: true }).catch(() => client.route(miner));
  });

test('a page stores a file over WebRTC and gets it back byte for byte', { timeout: 6 * SOON_MS }, () =>
  onPage(browser, daemon, 'webrtc', async (page) => {
    const bytes = randomBytes(SIZE);
    await choose(page, 'film.bin', bytes);
    await pressStore(page);
    await dealPage(page);
    await reach(page, 'complete', 2 * SOON_MS);
    const arriving = page.waitForEvent('download');
    await hook(page, 'download-button').click();
    assert.deepEqual(readFileSync(await (await arriving).path()), bytes);

    await page.goBack();
    const reached = page.locator('[data-testid="reach"][data-connected="true"]').first();
    await reached.waitFor();
    assert.equal(await reached.getAttribute('data-transport'), 'web-rtc-direct');
    assert.match(await reached.innerText(), /Reached over WebRTC/);
    const others = page.locator('[data-testid="address"]:not([data-standing="used"])');
    assert.deepEqual(await others.evaluateAll((all) => all.map(({ dataset }) => dataset.transport)), ['tcp']);
  }),
);

test('a page of a public site reaches a miner of this machine without a permission', {
  timeout: 4 * SOON_MS,
}, async () => {
  const chain = await overHttps(chainFor(daemon.chain));
  const site = await staticSite('app.example', { chain: 'https://chain.example/rpc' });
  const ports = { 'app.example': site.port, 'chain.example': chain.port };
  const spaces = Object.fromEntries(Object.values(ports).map((port) => [port, 'public']));
  const visitor = await launch(flags(ports, spaces));
  try {
    const context = await visitor.newContext({ ignoreHTTPSErrors: true });
    context.setDefaultTimeout(SOON_MS);
    // To grant one permission refuses all others.
    await context.grantPermissions(['geolocation'], { origin: new URL(site.page).origin });
    const page = await context.newPage();
    await page.goto(site.page);
    await choose(page, 'letter.bin', randomBytes(1500));
    await pressStore(page);
    await dealPage(page);
    await reach(page, 'transferred', SOON_MS);
    await page.goBack();
    await page.locator('[data-testid="reach"][data-transport="web-rtc-direct"][data-connected="true"]').waitFor();
  } finally {
    await visitor.close();
    await site.close();
    await chain.close();
  }
});

test('where the browser cannot hand data channels over, the page says that it lacks WebRTC', { timeout: SOON_MS }, () =>
  onPage(browser, daemon, 'no-webrtc', async (page) => {
    await page.evaluate('delete globalThis.RTCPeerConnection');
    const { connected, addresses } = await route(page);
    assert.equal(connected, false);
    const { standing, obstacle } = addresses.find(({ transport }) => transport === 'web-rtc-direct');
    assert.deepEqual({ standing, obstacle }, { standing: 'left-out', obstacle: 'missing-api' });
  }),
);

test('a miner that is gone is noticed', { timeout: 4 * SOON_MS }, async () => {
  const chain = await chainThatRemembers(daemon.chain);
  const isReached = async (connect) => {
    const [miner] = await globalThis.client.miners();
    return (await globalThis.client.route(miner, { connect })).connected;
  };
  try {
    await onPage(browser, daemon, 'gone', async (page) => {
      await page.evaluate(`(async () => {
        const { createClient } = await import('/client/index.js');
        globalThis.client = createClient({ chain: ${JSON.stringify(chain.url)} });
      })()`);
      assert.equal(await page.evaluate(isReached, true), true);
      await daemon.kill();
      const limit = Date.now() + SOON_MS;
      while (await page.evaluate(isReached, false)) assert.ok(Date.now() < limit, 'it still counts as reached');
    });
  } finally {
    chain.close();
    await daemon.startAgain();
  }
});

test('a miner whose certificate is not the one of its address is refused', { timeout: 2 * SOON_MS }, async () => {
  await daemon.kill();
  // What the operator writes out is announced as it is.
  const address = `/ip4/127.0.0.1/udp/${daemon.udp}/webrtc-direct/certhash/${WRONG_HASH}`;
  daemon.options.push('--p2p-announce', address);
  await daemon.startAgain();
  await onPage(browser, daemon, 'wrong-certificate', async (page) => {
    const { connected, addresses } = await route(page);
    assert.equal(connected, false);
    const [{ standing, message }] = addresses;
    assert.equal(standing, 'failed');
    assert.match(message, /does not have the certificate of this address/);
  });
});
