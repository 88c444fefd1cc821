// js-libp2p in a page, bundled by esbuild: the same deals over what a browser has. WebTransport is only there.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { launch } from '../browser/page.mjs';
import { serve } from '../browser/site.mjs';
import { start } from './daemon.mjs';
import { announced } from './directory.mjs';
import { STATE } from './wire.mjs';

/** What the page's node can dial, and how such an address looks. */
const KINDS = { ws: /\/ws$/, webtransport: /\/ip4\/.*\/webtransport(\/certhash\/[^/]+)+$/ };

let folder;
let site;
let browser;
let daemon;
let miner;
let page;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealdrop-interop-'));
  const entryPoints = [join(import.meta.dirname, 'page.mjs')];
  await build({ entryPoints, outdir: folder, bundle: true, format: 'esm', target: 'es2022', logLevel: 'error' });
  daemon = await start();
  [miner] = await daemon.ask('chain.miners');
  miner.addresses = await announced(daemon, miner.peerId);
  site = await serve({ interop: folder });
  browser = await launch();
  page = await browser.newPage();
  page.setDefaultTimeout(120_000);
  await page.goto(`http://127.0.0.1:${site.port}/`);
});
after(async () => {
  await browser?.close();
  await site?.close();
  await daemon?.end();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

for (const [kind, form] of Object.entries(KINDS)) {
  test(`js-libp2p in a page pings, identifies, makes a deal and takes its file back over ${kind}`, async (context) => {
    const address = miner.addresses.find((text) => form.test(text));
    if (!address) return context.skip(`this miner announces no address of ${kind}: ${miner.addresses}`);
    const input = { kind, address: `${address}/p2p/${miner.peerId}`, chain: daemon.chain };
    const seen = await page.evaluate(
      ([script, input]) => import(script).then(({ run }) => run(input)),
      ['/interop/page.js', input],
    );
    assert.equal(seen.peer, miner.peerId);
    assert.match(seen.agent, /^sealdrop\//);
    assert.ok(seen.ping >= 0);
    assert.equal(seen.seen.at(-1), STATE.complete);
    assert.equal(seen.pulled, 1000);
  });
}
