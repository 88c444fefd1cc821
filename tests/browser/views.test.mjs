// Every view of the page, without a chain: for people who hear it, who use the keyboard alone, who read Chinese, who have a phone or a dark
// screen, whose network is away, and whose book is long.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { violations } from './axe.mjs';
import { hook, launch, SOON_MS } from './page.mjs';
import { openShop, shop } from './shop.mjs';

const LIMIT = { timeout: 4 * SOON_MS };
/** Each page by its address, and what is done there before it is looked at. */
const VIEWS = {
  store: ['#/'],
  terms: ['#/', chosen],
  encrypted: ['#/', chosenEncrypted],
  book: ['#/deals'],
  nothingFound: ['#/deals', (page) => hook(page, 'book-search').fill('no such thing')],
  sending: ['#/deal/sending'],
  sealing: ['#/deal/sealing', (page) => hook(page, 'why').locator('summary').click()],
  sealed: ['#/deal/sealed', (page) => hook(page, 'verify-button').click()],
  lying: ['#/deal/lying'],
  passport: ['#/deal/sealed', passportOpened],
  receipt: ['#/receipt'],
  receiptChecked: ['#/receipt', receiptChecked],
  folder: ['#/file/bafyfolderunderway'],
  kept: ['#/file/bafyfolderkept'],
  foreign: ['#/file/bafynobodys'],
  missing: ['#/deal/none'],
  account: ['#/account', (page) => hook(page, 'account-safety').waitFor()],
  phrase: ['#/account', phraseShown],
  chain: ['#/', (page) => hook(page, 'change-chain').click()],
};

let site;
let browser;

before(async () => {
  site = await openShop();
  browser = await launch();
}, LIMIT);

after(async () => {
  await browser?.close();
  await site?.close();
});

/** Chooses a file, and waits for the terms. */
async function chosen(page) {
  const file = { name: 'report.pdf', mimeType: 'application/pdf', buffer: Buffer.alloc(1500, 1) };
  await hook(page, 'file-input').first().setInputFiles(file);
  await hook(page, 'plain-terms').waitFor();
}

async function chosenEncrypted(page) {
  await chosen(page);
  await hook(page, 'encrypt-switch').check();
  await hook(page, 'key-box').waitFor();
}

async function phraseShown(page) {
  await hook(page, 'phrase-show').click();
  await hook(page, 'phrase').waitFor();
}

/** Checks the deal's steps, and opens all that shows them. */
async function passportOpened(page) {
  await hook(page, 'passport-button').click();
  await openEvidence(page);
}

async function receiptChecked(page) {
  const file = { name: 'deal.receipt', mimeType: 'application/octet-stream', buffer: Buffer.from('a receipt') };
  await hook(page, 'receipt-input').setInputFiles(file);
  await openEvidence(page);
}

async function openEvidence(page) {
  await hook(page, 'passport-verdict').waitFor();
  await page.evaluate(() => {
    for (const details of document.querySelectorAll('.passport details')) details.open = true;
  });
}

/** A page of its own whose violations of the content security policy are heard. */
async function onView(options, work, { url = site.url } = {}) {
  const context = await browser.newContext({
    reducedMotion: 'reduce',
    viewport: { width: 1280, height: 900 },
    ...options,
  });
  context.setDefaultTimeout(SOON_MS);
  const page = await context.newPage();
  const said = [];
  page.on('pageerror', (error) => said.push(error.message));
  page.on('console', (message) => {
    if (/Content.Security.Policy|TrustedScript|TrustedHTML/.test(message.text())) said.push(message.text());
  });
  try {
    await page.goto(url);
    await work(page);
    assert.deepEqual(said, [], 'nothing fails, and nothing is against the policy');
  } finally {
    await context.close();
  }
}

async function go(page, [hash, work]) {
  await page.goto('about:blank');
  await page.goto(site.url + hash);
  await page.locator('h1').first().waitFor();
  await work?.(page);
}

for (const [name, options] of Object.entries({
  'in English on a bright desk': { locale: 'en-US', colorScheme: 'light' },
  'in Chinese on a phone in the dark': {
    locale: 'zh-CN',
    colorScheme: 'dark',
    viewport: { width: 390, height: 844 },
    hasTouch: true,
  },
})) {
  test(`every view is accessible ${name}`, LIMIT, () =>
    onView(options, async (page) => {
      const found = {};
      for (const [view, way] of Object.entries(VIEWS)) {
        await go(page, way);
        const its = await violations(page);
        if (its.length > 0) found[view] = its;
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (wide > 0) found[view] = [...its, `wider than the screen by ${wide} pixels`];
      }
      assert.deepEqual(found, {});
    }),
  );
}

test('a file is stored with the keyboard alone', LIMIT, () =>
  onView({}, async (page) => {
    await hook(page, 'file-input').first().waitFor({ state: 'attached' });
    const focused = () =>
      page.evaluate(() => document.activeElement?.dataset.testid ?? document.activeElement?.localName);
    const tabTo = async (name) => {
      for (let presses = 0; presses < 60; presses += 1) {
        if ((await focused()) === name) return;
        await page.keyboard.press('Tab');
      }
      assert.fail(`${name} is not reached with the keyboard`);
    };
    // The first stop leads past the frame.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    assert.equal(await focused(), 'main');
    await tabTo('file-input');
    // A busy browser may miss a key; whoever presses it again finds the focus where it was.
    const choose = async (tries) => {
      assert.equal(await focused(), 'file-input');
      const choosing = page.waitForEvent('filechooser', { timeout: 20_000 });
      await page.keyboard.press('Space');
      return choosing.catch((error) => (tries > 1 ? choose(tries - 1) : Promise.reject(error)));
    };
    await (await choose(3)).setFiles({ name: 'letter.txt', mimeType: 'text/plain', buffer: Buffer.from('a letter') });
    await hook(page, 'plain-terms').waitFor();
    assert.equal(await focused(), 'file-input', 'the focus stays with what was chosen');
    await tabTo('store-button');
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, 'none', 'the focus is seen');
    await page.keyboard.press('Enter');
    await hook(page, 'deal-state').waitFor();
    assert.equal(await focused(), 'main', 'the focus goes to the new page');
    await page.waitForFunction(() => document.title.startsWith('letter.txt'));
  }),
);

test('the page speaks the language of the browser, or the one that is chosen', LIMIT, () =>
  onView({ locale: 'zh-CN' }, async (page) => {
    await page.getByText('封存您的文件').waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), 'zh-Hans');
    await hook(page, 'language').selectOption('en');
    await page.getByText('Store files under seal').waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    await page.reload();
    await page.getByText('Store files under seal').waitFor();
    // A problem that is shown says the same in another language.
    await go(page, VIEWS.lying);
    const problem = hook(page, 'problem').first();
    assert.match(await problem.innerText(), /This deal failed/);
    await hook(page, 'language').selectOption('zh');
    await page.getByText('这笔交易失败了').waitFor();
    assert.match(await problem.innerText(), /矿工没有遵守协议/);
    assert.equal(await problem.locator('[lang="en"]').count(), 1, 'the words of the program are marked as English');
  }),
);

test('a miner that lies is named as such, with what to do, in the language of the page', LIMIT, async () => {
  const lying = await openShop(shop({ lies: true }));
  try {
    await onView(
      { locale: 'zh-CN' },
      async (page) => {
        const verdict = hook(page, 'verdict');
        await hook(page, 'verify-button').click();
        await verdict.waitFor();
        assert.equal(await verdict.getAttribute('data-state'), 'fails');
        assert.match(await verdict.innerText(), /不要依赖这个副本/);
        assert.match(await page.locator('[data-check="inclusion"]').innerText(), /不成立/);
        await hook(page, 'language').selectOption('en');
        assert.match(await verdict.innerText(), /Do not rely on this copy: take the file back/);
        await hook(page, 'download-button').click();
        const corrupt = page.locator('[data-testid="problem"][data-code="retrieval-corrupt"]');
        await corrupt.waitFor();
        assert.match(await corrupt.innerText(), /Block 3 is not what its CID says/);
        await hook(page, 'language').selectOption('zh');
        assert.match(await corrupt.innerText(), /收到的内容与文件的 ID 不符/);
        assert.match(await corrupt.innerText(), /矿工已丢失该文件/);
        assert.equal(await hook(page, 'download-done').count(), 0, 'nothing was saved');
      },
      { url: `${lying.url}#/deal/sealed` },
    );
  } finally {
    await lying.close();
  }
});

test('who wants no motion sees none', LIMIT, () =>
  onView({}, async (page) => {
    await go(page, VIEWS.sending);
    await hook(page, 'why').waitFor();
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  }),
);

test('a book of a thousand deals is searched, filtered and sorted, and draws a part of it', LIMIT, async () => {
  const large = await openShop(shop({ deals: 1_000 }));
  try {
    await onView(
      {},
      async (page) => {
        const lines = page.locator('.ledger > li');
        const found = hook(page, 'book-found');
        const says = (text) =>
          page.waitForFunction(
            (text) => document.querySelector('[data-testid="book-found"]')?.textContent.trim() === text,
            text,
          );
        await found.waitFor();
        await says('1,006 entries');
        assert.equal(await lines.count(), 50);
        await hook(page, 'book-more').click();
        assert.equal(await lines.count(), 100);
        await hook(page, 'book-search').fill('report 997.pdf');
        await says('1 of 1,006 entries');
        assert.match(await lines.innerText(), /Report 997\.pdf/);
        // Words in any order, an id, a miner, a state.
        for (const [words, count] of [
          ['.pdf HOLIDAY 998.', 1],
          ['many-41', 11],
          ['t2vn5qcpx2', 0],
          ['failed', 1],
        ]) {
          await hook(page, 'book-search').fill(words);
          await says(`${count} of 1,006 entries`);
        }
        await hook(page, 'book-search').fill('');
        await hook(page, 'book-standing').selectOption('trouble');
        await says('1 of 1,006 entries');
        assert.match(await lines.innerText(), /lying\.pdf/);
        await hook(page, 'book-standing').selectOption('');
        await hook(page, 'book-order').selectOption('byName');
        assert.match(await lines.first().innerText(), /^(合同 4|Contracts)/m);
        await hook(page, 'book-search').fill('mapa');
        assert.match(await lines.nth(1).innerText(), /mapa 11\.pdf/, 'names with numbers stand as people count');
        // A file inside a folder, as soon as the book knows what is in there.
        await hook(page, 'book-search').fill('picture-7.jpg');
        await says('2 of 1,006 entries');
        assert.match(await hook(page, 'found-inside').first().innerText(), /inside: 2026\/picture-7\.jpg/);
        await hook(page, 'book-search').fill('contracts picture-1');
        await says('1 of 1,006 entries');
        assert.match(await hook(page, 'found-inside').innerText(), /picture-1\.jpg, .*, and 1 more/);
        await hook(page, 'book-search').fill('holiday folder');
        await says('1 of 1,006 entries');
        await hook(page, 'folder').locator('summary').click();
        await page.getByText('2026/picture-1.jpg').waitFor();
      },
      { url: `${large.url}#/deals` },
    );
  } finally {
    await large.close();
  }
});

test('the page’s own policy is that of the daemon’s header, but for what a page cannot say of itself', () => {
  const read = (path) => readFileSync(resolve(import.meta.dirname, '../..', path), 'utf8');
  const rules = (policy) =>
    policy
      .split(';')
      .map((rule) => rule.trim().replace(/\s+/g, ' '))
      .filter(Boolean)
      .sort();
  const [, meta] = /Content-Security-Policy"\s+content="([^"]+)"/.exec(read('www/index.html')) ?? [];
  const [, header] =
    /CONTENT_SECURITY_POLICY: &str = "([^"]+)"/.exec(read('miner-native/miner/src/web/guard.rs')) ?? [];
  const ofHeader = rules(header.replace(/\\\n/g, ''));
  assert.deepEqual(
    rules(meta),
    ofHeader.filter((rule) => !rule.startsWith('frame-ancestors')),
  );
  assert.doesNotMatch(header, /'unsafe-(inline|eval)'|\*/);
});

/** Waits until the Service Worker answers for the page. */
const kept = (page) => page.waitForFunction(() => navigator.serviceWorker.controller !== null);

/** Asks the page again and again: `waitForFunction` takes a promise for a yes. */
async function until(page, asks) {
  const limit = Date.now() + SOON_MS;
  while (!(await page.evaluate(asks))) {
    assert.ok(Date.now() < limit, 'it does not come to that');
    await pause(100);
  }
}

test('the page opens without a network, and shows the book as it was', LIMIT, () =>
  onView({}, async (page) => {
    await go(page, VIEWS.book);
    await hook(page, 'deal-item').first().waitFor();
    await kept(page);
    // What it loaded before the worker was there is asked for once more; then the book is kept a moment after it was read.
    await page.reload();
    await hook(page, 'deal-item').first().waitFor();
    await until(
      page,
      () =>
        new Promise((resolve) => {
          const opening = indexedDB.open('sealdrop-page', 1);
          opening.onupgradeneeded = () => opening.transaction.abort();
          opening.onerror = () => resolve(false);
          opening.onsuccess = () => {
            const asked = opening.result.transaction('book').objectStore('book').count();
            asked.onsuccess = () => {
              opening.result.close();
              resolve(asked.result > 0);
            };
          };
        }),
    );
    await page.context().setOffline(true);
    await page.reload();
    await hook(page, 'book-offline').waitFor();
    assert.equal(await hook(page, 'deal-item').count(), 4);
    assert.equal(await hook(page, 'file-item').count(), 2);
    await hook(page, 'book-search').fill('sealed.pdf');
    await page.waitForFunction(() => document.querySelectorAll('[data-testid="deal-item"]').length === 1);
    await page.getByText('sealed.pdf').click();
    await hook(page, 'deal-state').waitFor();
  }),
);

test('a newer build of the page waits until it is asked for', LIMIT, async () => {
  const own = await openShop();
  try {
    await onView(
      {},
      async (page) => {
        await kept(page);
        assert.equal(await hook(page, 'news').count(), 0, 'the first build is no news');
        const worker = join(own.folder, 'page-worker.js');
        writeFileSync(worker, `${readFileSync(worker, 'utf8').replace('sealdrop-page-', 'sealdrop-page-newer')}`);
        writeFileSync(join(own.folder, 'newer.txt'), 'newer');
        await page.reload();
        await hook(page, 'news').waitFor();
        await Promise.all([page.waitForEvent('load'), hook(page, 'use-news').click()]);
        await hook(page, 'store-button').or(hook(page, 'file-input')).first().waitFor({ state: 'attached' });
        assert.equal(await hook(page, 'news').count(), 0);
      },
      { url: own.url },
    );
  } finally {
    await own.close();
  }
});
