// The page from a public https site, served from plain files at a path of their own: it stores a file at a miner of this machine
// that has no certificate of an authority, and explains what the browser refuses.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chainFor } from './away.mjs';
import { Daemon } from './daemon.mjs';
import { flags, overHttps, staticSite } from './https.mjs';
import * as ui from './page.mjs';
import { freePorts } from './ports.mjs';

const { choose, dealPage, hook, pressStore, problem, reach, SOON_MS } = ui;
/** Where pictures go, for people to look at. */
const PICTURES = process.env.SEALDROP_PICTURES;

let daemon;
let chain;
let closed;
let nowhere;
let site;
let bare;
let browser;

before(
  async () => {
    daemon = await Daemon.start();
    // A chain of a public site: over https, open to pages of all sites, but for the miners' addresses.
    chain = await overHttps(chainFor(daemon.chain, { isOpen: true }));
    closed = await overHttps(chainFor(daemon.chain, { isOpen: false }));
    site = await staticSite('app.example', { chain: 'https://chain.example/rpc' });
    bare = await staticSite('bare.example');
    [nowhere] = await freePorts(1);
    const names = {
      'app.example': site.port,
      'bare.example': bare.port,
      'chain.example': chain.port,
      'closed.example': closed.port,
      'nowhere.example': nowhere,
    };
    const spaces = Object.fromEntries(Object.values(names).map((port) => [port, 'public']));
    browser = await ui.launch(flags(names, spaces));
  },
  { timeout: 900_000 },
);

after(async () => {
  await browser?.close();
  for (const server of [chain, closed, site, bare]) await server?.close();
  await daemon?.end();
});

/** Runs `work` on a new visitor's page; `permission` is what the visitor says to the question for the local network. */
async function visit(name, { at = site.page, permission }, work) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 1000 },
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(SOON_MS);
  const page = await context.newPage();
  const said = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`error: ${error.message}`));
  try {
    if (permission) await answerQuestion(context, new URL(at).origin, permission);
    await page.goto(at);
    await work(page);
  } catch (error) {
    console.error(said.slice(-30).join('\n'), `\n${daemon.log.slice(-3000)}`);
    await picture(page, `failed-${name}`);
    throw error;
  } finally {
    await context.close();
  }
}

/** What a visitor has said to the question whether the site may reach the local network. To grant one refuses all others. */
const answerQuestion = (context, origin, setting) =>
  context.grantPermissions([setting === 'granted' ? 'local-network-access' : 'geolocation'], { origin });

/** Looked at by people: both widths, light and dark. */
async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  for (const [width, scheme] of [
    [1280, 'light'],
    [390, 'dark'],
  ]) {
    await page.setViewportSize({ width, height: width === 390 ? 844 : 1000 });
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: join(PICTURES, `${name}-${width}-${scheme}.png`), fullPage: true });
  }
}

const reached = (page) => hook(page, 'reach').first();

test(
  'a page of a public site stores a file at a miner that has no certificate of an authority',
  { timeout: 600_000 },
  () =>
    visit('granted', { permission: 'granted' }, async (page) => {
      await choose(page, 'letter.bin', randomBytes(1500));
      await pressStore(page);
      await dealPage(page);
      await reach(page, 'transferred', SOON_MS);
      await page.goto(site.page);
      await page.locator('[data-testid="reach"][data-connected="true"]').waitFor();
      assert.equal(await reached(page).getAttribute('data-transport'), 'web-transport');
      await page.getByText('Its addresses, and which is used').click();
      assert.ok((await hook(page, 'address').count()) > 1, 'the other addresses have their reasons');
      await picture(page, 'granted');
    }),
);

test(
  'a visitor who refuses the local network is told so, and what to do, and no deal is begun',
  { timeout: 300_000 },
  () =>
    visit('denied', { permission: 'denied' }, async (page) => {
      await page.locator('[data-testid="reach"][data-obstacle="permission-denied"]').waitFor();
      await choose(page, 'letter.bin', randomBytes(1500));
      await pressStore(page);
      const told = problem(page, 'miner-unreachable');
      await told.waitFor();
      assert.match(await told.innerText(), /not allowed to reach devices of the local network/);
      assert.match(await told.innerText(), /settings for this site/);
      assert.equal(await hook(page, 'deal-state').count(), 0, 'no deal was begun');
      await picture(page, 'denied');
    }),
);

test('a visitor who has not answered yet is told what to answer, and can be asked', { timeout: 300_000 }, () =>
  visit('unanswered', {}, async (page) => {
    await hook(page, 'connect-button').first().waitFor();
    assert.match(await reached(page).innerText(), /Choose “Allow” when the browser asks/);
    await picture(page, 'unanswered');
  }),
);

test(
  'a page that knows no chain asks for one, remembers it, and asks before it follows a link to another',
  {
    timeout: 300_000,
  },
  () =>
    visit('form', { at: bare.page, permission: 'granted' }, async (page) => {
      await hook(page, 'chain-form').waitFor();
      await picture(page, 'form');
      await hook(page, 'chain-input').fill('https://user@chain.example/rpc');
      await hook(page, 'chain-connect').click();
      await problem(page, 'bad-argument').waitFor();
      await hook(page, 'chain-input').fill('https://chain.example/rpc');
      await hook(page, 'chain-connect').click();
      await page.locator('.head-live').waitFor();
      await page.reload();
      await page.locator('.head-live').waitFor();

      await page.goto(`${bare.page}#/chain=https://closed.example/rpc`);
      await hook(page, 'chain-question').waitFor();
      await picture(page, 'question');
      await hook(page, 'chain-stay').click();
      await page.locator('.head-live').waitFor();
      assert.equal(await hook(page, 'chain-question').count(), 0);
    }),
);

test(
  'what keeps the page from its chain is told apart: another site, no encryption, nobody there',
  {
    timeout: 300_000,
  },
  () =>
    visit('chains', { at: bare.page, permission: 'granted' }, async (page) => {
      const to = async (url, words) => {
        await hook(page, 'chain-input').fill(url);
        await hook(page, 'chain-connect').click();
        const told = problem(page, 'chain-unreachable');
        await told.filter({ hasText: words }).waitFor();
        await hook(page, 'other-chain').click();
      };
      await hook(page, 'chain-form').waitFor();
      await to('https://closed.example/rpc', /does not let pages of this site read/);
      await to('http://chain.example/rpc', /over https may not talk to it without encryption/);
      await to('https://nowhere.example/rpc', /Start the chain/);
    }),
);
