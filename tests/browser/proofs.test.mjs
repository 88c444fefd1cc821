// Filecoin's proofs checked by the browser itself: kept true ones, and changed ones.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { launch, SOON_MS } from './page.mjs';
import { serve } from './site.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const CLIENT = process.env.SEALDROP_CLIENT ?? join(ROOT, 'client-wasm/dist');
const LIMIT = { timeout: 8 * SOON_MS };
/** Bytes of the module that a page loads for this, compressed (design §9). */
const MODULE_BYTES = 45_000;

/** Proofs that were made, and what they claim; `shared/verify/tests/claims` says from where. */
const kept = JSON.parse(readFileSync(join(ROOT, 'shared/verify/tests/proofs.json'), 'utf8'));

let site;
let browser;

before(async () => {
  site = await serve();
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
});

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

/** Hexadecimal with one digit changed. */
const flipped = (text, at = 0) => text.slice(0, at) + (text[at] === '1' ? '2' : '1') + text.slice(at + 1);

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
