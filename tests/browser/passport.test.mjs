// A deal's passport and its receipt in real Chromium: the fifteen steps and whose word each stands on, the receipt as a file, and the page that
// checks it in another browser, without a network and when its daemon is gone. Proofs are fake and named so: what rests on them is claimed.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chainUnderKeys } from './away.mjs';
import { violations } from './axe.mjs';
import { Daemon, FAKE } from './daemon.mjs';
import { askClient, fund, hook, launch, onPage, problem, reach, SOON_MS } from './page.mjs';
import { artefactsOf, flipped, KINDS } from './receipt-file.mjs';

const LIMIT = { timeout: 8 * SOON_MS };
/** What a network says whose proofs clients can check (`DEVELOPMENT_KEYS` in `shared`): only of such they gather all that the chain has. */
const DEVELOPMENT_KEYS = 'a12379550f2e40a12b0a36945268910c2a3401f606f50a53ad086ffbf8092180';
const LETTER = Buffer.from('a letter whose deal is shown to strangers');
const STEPS = [
  'file',
  'piece',
  'terms',
  'payment',
  'proposal',
  'answer',
  'transfer',
  'check',
  'staging',
  'seal',
  'commit',
  'inclusion',
  'proving',
  'redemption',
  'retrieval',
];
/** What the chain says and nobody here has checked. */
const ON_FAKE_PROOFS = ['seal', 'commit', 'proving'];
const CHINESE = { checked: '由此标签页检查', claimedByMiner: '矿工声称', claimedByChain: '链声称', wrong: '错误' };

let browser;
let daemon;
let chain;
let folder;
/** The receipt that the page gave, and its deal. */
let left;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealdrop-passport-'));
  const periods = ['--proving-period', '120', '--challenge-window', '60', '--grace', '240'];
  daemon = await Daemon.start(['--auto-seal', '200ms', ...periods], { program: FAKE });
  chain = await chainUnderKeys(daemon.chain, DEVELOPMENT_KEYS);
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  chain?.close();
  await daemon?.end();
  rmSync(folder, { recursive: true, force: true });
});

/** Each step of the passport on the page: its name, and whose word it stands on. */
const steps = (page) =>
  hook(page, 'passport-step').evaluateAll((rows) => rows.map(({ dataset }) => [dataset.step, dataset.standing]));

const standings = async (page) => Object.fromEntries(await steps(page));

const openAll = (page) =>
  page.evaluate(() => {
    for (const details of document.querySelectorAll('.passport details')) details.open = true;
  });

test('a deal’s passport has its fifteen steps in order, and claims no check of proofs that are fake', LIMIT, () =>
  onPage(
    browser,
    daemon,
    'passport',
    async (page) => {
      await fund(page, chain.url);
      const id = await askClient(
        page,
        chain.url,
        async (client, bytes) => {
          const file = new File([new Uint8Array(bytes)], 'letter.txt', { type: 'text/plain' });
          const order = { duration: 3000, most: 10n ** 18n, until: 'ordered' };
          return (await client.store(file, { ...order, prepared: await computePiece(file) })).id;
        },
        [...LETTER],
      );
      await page.goto(`${daemon.page}#/deal/${id}`);
      await page.reload();
      await hook(page, 'deal-state').waitFor();
      await reach(page, 'proven', 4 * SOON_MS);
      const verdict = hook(page, 'passport-verdict');
      // A chain that is busy may be silent for a moment: whoever is told so presses again.
      const trouble = hook(page, 'passport').locator('[data-testid="problem"]');
      for (let tries = 0; tries < 5 && (await verdict.count()) === 0; tries += 1) {
        await hook(page, 'passport-button').click();
        await verdict.or(trouble).first().waitFor();
      }
      await verdict.waitFor();
      assert.equal(await verdict.getAttribute('data-wrong'), '', await hook(page, 'passport').innerText());
      assert.match(await verdict.innerText(), /Nothing is wrong/);
      const found = await standings(page);
      assert.deepEqual(Object.keys(found), STEPS);
      for (const step of ON_FAKE_PROOFS) assert.equal(found[step], 'claimedByChain', step);
      assert.equal(found.check, 'claimedByMiner');
      for (const step of ['file', 'piece', 'terms', 'payment', 'proposal', 'inclusion'])
        assert.equal(found[step], 'checked', step);
      assert.equal(found.retrieval, 'notYet');
      const size = await askClient(
        page,
        chain.url,
        async (client, id) => {
          let size = 0;
          for await (const part of client.retrieve(id)) size += part.length;
          return size;
        },
        id,
      );
      assert.equal(size, LETTER.length);
      for (let tries = 0; tries < 5 && (await standings(page)).retrieval !== 'checked'; tries += 1) {
        await hook(page, 'passport-button').click();
        await page.waitForFunction(() => !document.querySelector('[data-testid="passport"][aria-busy="true"]'));
        await verdict.or(trouble).first().waitFor();
      }
      assert.equal((await standings(page)).retrieval, 'checked');
      const saved = page.waitForEvent('download');
      await hook(page, 'receipt-button').click();
      const download = await saved;
      const path = join(folder, 'deal.receipt');
      await download.saveAs(path);
      const deal = await hook(page, 'deal-id').getAttribute('data-deal-cid');
      assert.equal(download.suggestedFilename(), `${deal}.receipt`);
      assert.match(await hook(page, 'receipt-saved').innerText(), /Saved as/);
      left = { deal, receipt: readFileSync(path) };
      await openAll(page);
      assert.ok(Number(await hook(page, 'inclusion-tree').getAttribute('data-levels')) > 0);
      assert.ok(Number(await hook(page, 'time-line').getAttribute('data-posts')) > 0);
      const proofs = await hook(page, 'artefact-proof').evaluateAll((all) => all.map(({ dataset }) => dataset.state));
      assert.ok(proofs.length >= 2 && proofs.every((state) => state === 'unchecked'), String(proofs));
      assert.deepEqual(await violations(page), []);
      await hook(page, 'language').selectOption('zh');
      const said = await hook(page, 'passport-step').evaluateAll((rows) =>
        rows.map((row) => [row.dataset.standing, row.querySelector('.standing').textContent]),
      );
      for (const [standing, words] of said) if (CHINESE[standing]) assert.equal(words, CHINESE[standing]);
      assert.equal(await page.locator('.passport [lang="en"]').count(), 0, 'every finding is said in Chinese');
    },
    chain.url,
  ),
);

/** Runs `work` on the page that checks receipts, in another browser profile that was there once, and has no network now. */
async function onReceiptPage(options, work) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(SOON_MS);
  try {
    const page = await context.newPage();
    await page.goto(daemon.page);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    // The network is known from now on.
    await page.waitForFunction(async () => (await indexedDB.databases()).some(({ name }) => name.includes('@')));
    await context.setOffline(true);
    await page.goto(`${daemon.page}#/receipt`);
    await page.reload();
    await hook(page, 'receipt-page').waitFor();
    await work(page);
  } finally {
    await context.close();
  }
}

let given = 0;

/** Has the page check these bytes, and waits for what it says of them. */
async function checkReceipt(page, buffer) {
  given += 1;
  const name = `${given}.receipt`;
  await hook(page, 'receipt-input').setInputFiles({ name, mimeType: 'application/octet-stream', buffer });
  await hook(page, 'receipt-name').getByText(name, { exact: true }).waitFor();
  await hook(page, 'passport-verdict').or(hook(page, 'problem')).first().waitFor();
}

test('another browser checks the receipt without a network; one changed byte turns exactly that step red', LIMIT, () =>
  onReceiptPage({ locale: 'en-US' }, async (page) => {
    await checkReceipt(page, left.receipt);
    const verdict = hook(page, 'passport-verdict');
    assert.equal(await verdict.getAttribute('data-wrong'), '', await hook(page, 'receipt-page').innerText());
    assert.equal(await hook(page, 'receipt-deal').getAttribute('data-deal'), left.deal);
    const found = await standings(page);
    assert.deepEqual(Object.keys(found), STEPS);
    for (const step of ['piece', 'retrieval']) assert.equal(found[step], 'claimedByClient', step);
    assert.equal(await hook(page, 'passport-network').getAttribute('data-known'), 'true');
    for (const step of ON_FAKE_PROOFS) assert.equal(found[step], 'claimedByChain', step);
    assert.match(await page.locator('.limits').innerText(), /one authority[\s\S]*public seed[\s\S]*today/);
    assert.equal(await hook(page, 'problem').count(), 0, 'that there is no chain is no problem here');
    await openAll(page);
    assert.deepEqual(await violations(page), []);

    const all = artefactsOf(left.receipt);
    const kinds = new Set(all.map(({ kind }) => kind));
    // The deal is of one file, which was not taken back, and its vouchers may not be due yet; answers may have come together.
    for (const [kind] of Object.values(KINDS))
      if (!['manifest', 'redemption', 'retrieved', 'accepted', 'started', 'staged'].includes(kind))
        assert.ok(kinds.has(kind), kind);
    const seen = {};
    for (const artefact of all) {
      if (seen[artefact.kind]) continue;
      await checkReceipt(page, flipped(left.receipt, artefact));
      const wrong = (await steps(page)).flatMap(([step, standing]) => (standing === 'wrong' ? [step] : []));
      seen[artefact.kind] = wrong;
      assert.deepEqual(wrong, [STEPS[artefact.step - 1]], artefact.kind);
      assert.equal(await verdict.getAttribute('data-wrong'), String(artefact.step));
      assert.match(await verdict.innerText(), new RegExp(`wrong in step ${artefact.step}\\. Do not rely`));
      const red = page.locator('.passport-step.standing-wrong .check-mark');
      const [color, wax] = await red.evaluate((mark) => {
        const probe = document.createElement('i');
        probe.style.color = 'var(--wax)';
        mark.append(probe);
        return [getComputedStyle(mark).color, getComputedStyle(probe).color];
      });
      assert.equal(color, wax, 'it is red');
    }
    assert.deepEqual(Object.keys(seen).sort(), [...kinds].sort());
  }),
);

test('with the file at hand its fingerprints are computed again, and another file is found out', LIMIT, () =>
  onReceiptPage({ locale: 'zh-CN', viewport: { width: 390, height: 844 }, colorScheme: 'dark' }, async (page) => {
    // Dropped, this time.
    await hook(page, 'receipt-page').evaluate(
      (zone, bytes) => {
        const dropped = new DataTransfer();
        dropped.items.add(new File([new Uint8Array(bytes)], 'dropped.receipt'));
        zone.dispatchEvent(new DragEvent('drop', { dataTransfer: dropped, bubbles: true, cancelable: true }));
      },
      [...left.receipt],
    );
    const verdict = hook(page, 'passport-verdict');
    await verdict.waitFor();
    assert.match(await verdict.innerText(), /没有发现错误/);
    assert.equal(await page.locator('.passport [lang="en"], .limits [lang="en"]').count(), 0);
    const withFile = async (buffer, standing) => {
      const file = { name: 'letter.txt', mimeType: 'text/plain', buffer };
      await hook(page, 'receipt-data').setInputFiles(file);
      await page.locator(`[data-step="piece"][data-standing="${standing}"]`).waitFor();
    };
    await withFile(LETTER, 'checked');
    await withFile(Buffer.from('another letter'), 'wrong');
    assert.equal(await verdict.getAttribute('data-wrong'), '2');
    assert.match(await verdict.innerText(), /第 2 步有错误/);
    assert.deepEqual(await violations(page), []);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `wider than the screen by ${wide} pixels`);
  }),
);

test('what is no receipt is refused in words, and the page is ready for the next', LIMIT, () =>
  onReceiptPage({ locale: 'en-US' }, async (page) => {
    await checkReceipt(page, Buffer.from('%PDF-1.7'));
    await problem(page, 'bad-argument').waitFor();
    assert.match(await hook(page, 'problem').innerText(), /This file cannot be checked/);
    await daemon.kill();
    await checkReceipt(page, left.receipt);
    assert.equal(await hook(page, 'passport-verdict').getAttribute('data-wrong'), '', 'also when its daemon is gone');
    assert.equal(await hook(page, 'problem').count(), 0);
  }),
);
