// Filecoin's proofs checked by the browser itself: kept true ones, changed ones, and what the page of a deal says of proofs that are none.
// That the page shows true ones of a deal as checked is tested with real proofs, in `deal.test.mjs`.

import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { chainUnderKeys } from './away.mjs';
import { Daemon, FAKE } from './daemon.mjs';
import { choose, dealPage, hook, launch, onPage, pressStore, reach, SOON_MS } from './page.mjs';
import { serve } from './site.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const CLIENT = process.env.SEALDROP_CLIENT ?? join(ROOT, 'client-wasm/dist');
const WEB = process.env.SEALDROP_WEB ?? join(ROOT, 'www/dist');
/** Where a picture of the page is put, if anywhere. */
const PICTURES = process.env.SEALDROP_PICTURES;
const LIMIT = { timeout: 8 * SOON_MS };
/** Bytes of the module that a page loads for this, compressed (design §9). */
const MODULE_BYTES = 45_000;
/** What a network says whose proofs are made under the keys that clients have (`DEVELOPMENT_KEYS` in `shared`). */
const DEVELOPMENT_KEYS = 'a12379550f2e40a12b0a36945268910c2a3401f606f50a53ad086ffbf8092180';

/** Proofs that were made, and what they claim; `shared/verify/tests/claims` says from where. */
const kept = JSON.parse(readFileSync(join(ROOT, 'shared/verify/tests/proofs.json'), 'utf8'));

/** Hexadecimal with one digit changed. */
const flipped = (text, at = 0) => text.slice(0, at) + (text[at] === '1' ? '2' : '1') + text.slice(at + 1);

let site;
let folder;
let browser;

before(async () => {
  folder = pageWithoutChain();
  site = await serve({ page: folder });
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The page with everything that checks proofs, and a stub that has kept proofs for its deals instead of a chain. */
function pageWithoutChain() {
  const folder = mkdtempSync(join(tmpdir(), 'sealdrop-proofs-'));
  cpSync(WEB, folder, { recursive: true });
  const assets = join(folder, 'assets');
  const client = readdirSync(assets).find((name) => name.startsWith('client-'));
  copyFileSync(join(import.meta.dirname, 'stub/client.mjs'), join(assets, client, 'index.js'));
  const claim = (name) => kept.find((claim) => claim.name === name);
  const seal = claim('seal-8388608-1');
  const posts = [claim('window-8388608-5'), claim('window-8388608-1')].map((claim, index) => ({
    message: `bafy2bza${index}`,
    height: 900 - 300 * index,
    claim,
  }));
  const [newest, first] = posts;
  const [[number, commR], ...others] = newest.claim.sectors;
  const changed = { ...newest.claim, sectors: [[number, flipped(commR)], ...others] };
  const { claim: _, ...forgotten } = first;
  const missing = 'the chain keeps no more of its state after block 599';
  const evidence = {
    true: { seal: { claim: seal }, posts },
    false: {
      seal: { claim: { ...seal, proof: flipped(seal.proof, 200) } },
      posts: [{ ...newest, claim: changed }, first],
    },
    forgotten: {
      seal: { missing: 'the chain keeps no more of message m' },
      posts: [newest, { ...forgotten, missing }],
    },
  };
  writeFileSync(join(assets, 'evidence.json'), JSON.stringify(evidence));
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ chain: 'http://127.0.0.1:1/rpc' }));
  return folder;
}

/** What a deal's page says of each proof before and after they are checked. */
async function onDealPage(deal) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 1000 }, reducedMotion: 'reduce' });
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${site.port}/page/index.html#/deal/${deal}`);
    const rows = () =>
      hook(page, 'proof').evaluateAll((all) =>
        all.map(({ dataset, innerText }) => ({ proof: dataset.proof, state: dataset.state, text: innerText })),
      );
    await hook(page, 'check-proofs-button').waitFor();
    const before = await rows();
    await hook(page, 'check-proofs-button').click();
    await hook(page, 'check-proofs-button').getByText('Check again').waitFor();
    if (PICTURES) await hook(page, 'proof-checks').screenshot({ path: join(PICTURES, `proofs-${deal}.png`) });
    return { before, after: await rows() };
  } finally {
    await context.close();
  }
}

/** Checks the claims in a page, one after the other. */
async function checkAll(claims) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${site.port}/`);
    return await page.evaluate(async (claims) => {
      const { ProofChecker } = await import('/client/verify.js');
      const checker = new ProofChecker();
      const verdicts = [];
      for (const claim of claims) {
        const checked = claim.kind === 'seal' ? checker.seal(claim) : checker.window(claim);
        verdicts.push(await checked.catch(({ code, message }) => ({ code, message })));
      }
      checker.close();
      return verdicts;
    }, claims);
  } finally {
    await context.close();
  }
}

/** Claims that differ from a kept one in one thing each, which makes them wrong. */
function changed(claim) {
  const at = [0, 1, 95, 96, 200, 287, 288, claim.proof.length - 1];
  const all = at.map((digit) => ({ ...claim, proof: flipped(claim.proof, digit) }));
  all.push({ ...claim, proof: claim.proof.slice(2) }, { ...claim, proof: `${claim.proof}00` }, { ...claim, proof: '' });
  if (claim.kind === 'seal') {
    for (const field of ['commR', 'commD', 'proverId', 'ticket', 'seed'])
      all.push({ ...claim, [field]: flipped(claim[field]) });
    all.push({ ...claim, sector: String(BigInt(claim.sector) + (1n << 60n)) });
    return all;
  }
  const [[number, commR], ...more] = claim.sectors;
  all.push({ ...claim, randomness: flipped(claim.randomness) });
  all.push({ ...claim, sectors: more });
  all.push({ ...claim, sectors: [[number, flipped(commR)], ...more] });
  all.push({ ...claim, sectors: [...claim.sectors, ['18446744073709551615', commR]] });
  return all;
}

test('every kept proof is found to hold in Chromium, each under a key that is named by its digest', LIMIT, async () => {
  const verdicts = await checkAll(kept);
  verdicts.forEach(({ state, key, milliseconds, ...rest }, index) => {
    const { name } = kept[index];
    assert.equal(state, 'holds', `${name}: ${JSON.stringify(rest)}`);
    assert.match(key, /^[0-9a-f]{64}$/);
    assert.ok(milliseconds > 0);
  });
});

test('a proof or a claim with one thing changed is refused in Chromium, with a reason', LIMIT, async () => {
  const claims = kept.flatMap(changed);
  const verdicts = await checkAll(claims);
  verdicts.forEach((verdict, index) => {
    assert.equal(verdict.state, 'fails', `${claims[index].name}: ${JSON.stringify(verdict)}`);
    assert.ok(verdict.detail.length > 10);
  });
});

test('a claim that is none is an error, and one of sectors without a known key is not checked', LIMIT, async () => {
  const [seal] = kept.filter(({ kind }) => kind === 'seal');
  const [text, number, large, again] = await checkAll([
    { ...seal, commR: 'zz' },
    { ...seal, sector: '-1' },
    { ...seal, sectorSize: 2 ** 35 },
    seal,
  ]);
  assert.equal(text.code, 'bad-argument');
  assert.equal(number.code, 'bad-argument');
  assert.equal(large.state, 'unchecked');
  assert.match(large.detail, /no verifying key is known/);
  assert.equal(again.state, 'holds', 'the next one is checked as before');
});

test('the module is small enough to be loaded when somebody looks', () => {
  const size = gzipSync(readFileSync(join(CLIENT, 'wasm/sealdrop_verify_module.wasm')), { level: 9 }).length;
  assert.ok(size <= MODULE_BYTES, `${size} bytes`);
});

test('a deal’s page checks the seal and each window by itself, and says how long it took', LIMIT, async () => {
  const { before, after } = await onDealPage('true');
  assert.deepEqual(
    before.map(({ proof, state }) => [proof, state]),
    [['seal', 'claimed']],
  );
  assert.deepEqual(
    after.map(({ proof, state }) => [proof, state]),
    [
      ['seal', 'holds'],
      ['post', 'holds'],
      ['post', 'holds'],
    ],
  );
  for (const { text } of after) assert.match(text, /checked by this tab in [\d.]+ ms, under the verifying key/);
  assert.match(after[1].text, /over 5 sectors, yours among them/);
});

test('one changed digit turns that proof red on a deal’s page, and no other', LIMIT, async () => {
  const { after } = await onDealPage('false');
  assert.deepEqual(
    after.map(({ state }) => state),
    ['fails', 'fails', 'holds'],
  );
  for (const { text } of after.slice(0, 2)) assert.match(text, /checked by this tab, and wrong: .*Do not rely/s);
});

test('what the chain keeps no more of stays what the chain claims', LIMIT, async () => {
  const { after } = await onDealPage('forgotten');
  assert.deepEqual(
    after.map(({ state }) => state),
    ['unchecked', 'holds', 'unchecked'],
  );
  assert.match(after[2].text, /claimed by the chain, not checked here: the chain keeps no more/);
});

// The killable daemon's proofs are fake, and it says so.
test(
  'fake proofs are shown as what the chain claims; passed off as true ones they are found wrong',
  LIMIT,
  async () => {
    const daemon = await Daemon.start(['--auto-seal', '200ms'], { program: FAKE });
    const lying = await chainUnderKeys(daemon.chain, DEVELOPMENT_KEYS);
    const seal = (page, state) => page.locator(`[data-testid="proof"][data-proof="seal"][data-state="${state}"]`);
    const store = async (page) => {
      await choose(page, 'letter.bin', Buffer.from(`letter ${Date.now()}`));
      await pressStore(page);
      await dealPage(page);
      await reach(page, 'complete', 4 * SOON_MS);
      await seal(page, 'claimed').waitFor();
      await hook(page, 'check-proofs-button').click();
    };
    try {
      await onPage(browser, daemon, 'fake', async (page) => {
        await store(page);
        const row = seal(page, 'unchecked');
        await row.waitFor();
        assert.match(await row.innerText(), /claimed by the chain, not checked here.*"fake"/s);
      });
      await onPage(
        browser,
        daemon,
        'lying',
        async (page) => {
          await store(page);
          const row = seal(page, 'fails');
          await row.waitFor();
          assert.match(await row.innerText(), /checked by this tab, and wrong: the proof has \d+ bytes/);
        },
        lying.url,
      );
    } finally {
      lying.close();
      await daemon.end();
    }
  },
);
