// The operator's page, with a stub in place of the daemon: who asks, how it is doing in plain words, orders by scope, settings, and what is shown
// while the daemon is away.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { violations } from './axe.mjs';
import { hook, launch, SOON_MS } from './page.mjs';
import { openOperator, TOKENS } from './stub/operator.mjs';
import { DEAL, healthy, ill } from './stub/operator-data.mjs';

const LIMIT = { timeout: 4 * SOON_MS };

let browser;

before(async () => {
  browser = await launch();
}, LIMIT);

after(() => browser?.close());

/** Opens the operator's page at a daemon of its own; what fails in the page, and what is against its policy, fails the test. */
async function onOperator(told, work, { place = '', scope = 'admin', ...options } = {}) {
  const daemon = await openOperator(told);
  const context = await browser.newContext({
    reducedMotion: 'reduce',
    locale: 'en-US',
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
    await page.goto(`${daemon.url}#/operator${scope ? `/token/${TOKENS[scope]}` : ''}`);
    await hook(page, scope ? 'verdict' : 'token-form').waitFor();
    if (place) await go(page, place);
    await work(page, daemon);
    assert.deepEqual(said, [], 'nothing fails, and nothing is against the policy');
  } finally {
    await context.close();
    await daemon.close();
  }
}

const go = (page, place) => page.evaluate((place) => (location.hash = `#/operator${place}`), place);

/** Waits until an element has an attribute. */
const has = (page, name, attribute, value) =>
  page.locator(`[data-testid="${name}"][data-${attribute}="${value}"]`).first().waitFor();

test('a token is asked for, kept for the session alone, and forgotten', LIMIT, () =>
  onOperator(
    healthy(),
    async (page) => {
      await hook(page, 'token-input').fill('two words');
      await hook(page, 'token-use').click();
      await page.getByText('This cannot be a token').waitFor();
      await hook(page, 'token-input').fill('d'.repeat(64));
      await hook(page, 'token-use').click();
      await hook(page, 'token-refused').waitFor();
      assert.match(await hook(page, 'token-refused').innerText(), /does not take this token/);
      await hook(page, 'token-input').fill(` ${TOKENS.read} `);
      await hook(page, 'token-use').click();
      await has(page, 'verdict', 'verdict', 'well');
      const kept = await page.evaluate(() => [
        JSON.stringify(localStorage),
        JSON.stringify(sessionStorage),
        document.cookie,
      ]);
      assert.ok(!kept[0].includes(TOKENS.read) && kept[1].includes(TOKENS.read) && !kept[2]);
      await page.reload();
      await has(page, 'verdict', 'verdict', 'well');
      await hook(page, 'token-forget').click();
      await hook(page, 'token-form').waitFor();
      assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    },
    { scope: '' },
  ),
);

test('a link brings a token, which does not stay in the address; one that is ended leads back to the form', LIMIT, () =>
  onOperator(healthy(), async (page, daemon) => {
    assert.equal(new URL(page.url()).hash, '#/operator');
    assert.equal(
      await page
        .locator('html')
        .innerHTML()
        .then((text) => text.includes(TOKENS.admin)),
      false,
    );
    // Another link while the page is open: another scope at once.
    await go(page, `/token/${TOKENS.read}`);
    await has(page, 'operator', 'scope', 'read');
    assert.equal(new URL(page.url()).hash, '#/operator');
    const { read } = TOKENS;
    TOKENS.read = 'e'.repeat(64);
    try {
      daemon.tell('health');
      await hook(page, 'token-refused').waitFor();
    } finally {
      TOKENS.read = read;
    }
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  }),
);

test('a miner that is well is said to be, with what it is at', LIMIT, () =>
  onOperator(healthy(), async (page, daemon) => {
    await has(page, 'verdict', 'verdict', 'well');
    assert.match(await hook(page, 'verdict').innerText(), /All is well/);
    assert.equal(await hook(page, 'finding').count(), 0);
    assert.equal(await hook(page, 'job').count(), 4);
    assert.match(await hook(page, 'job').first().innerText(), /Proving the seal[\s\S]*Sector 14[\s\S]*left/);
    assert.match(await hook(page, 'line').innerText(), /Live[\s\S]*block 5,000/);
    // News are followed at once.
    daemon.told.mining.height = 5_001;
    daemon.tell('head');
    await page.getByText('block 5,001').waitFor();
    daemon.told.mining.health = {
      ok: false,
      problems: [{ service: 'chain', text: 'no answer', since: 1 }],
      services: [],
    };
    daemon.tell('health');
    await has(page, 'verdict', 'verdict', 'ill');
  }),
);

test('a miner that is not well says what is wrong and what to do, and strangers’ text stays text', LIMIT, () =>
  onOperator(ill(), async (page) => {
    await has(page, 'verdict', 'verdict', 'ill');
    const text = await hook(page, 'verdict').innerText();
    for (const said of [
      /“redeeming” has a problem/,
      /exit code 18/,
      /Sector 14 failed and waits for your order/,
      /Files of sector 9 are damaged/,
      /Proofs may not be made in time/,
      /Nobody reaches this miner/,
      /ufw allow 4401\/tcp/,
      /2 proving windows were missed/,
      /nearly full/,
    ]) {
      assert.match(text, said);
    }
    assert.match(text, /<img src=x onerror=alert\(1\)> \\u\{202e\}txt/, 'markup and direction marks are written out');
    assert.equal(await page.locator('img').count(), 0);
    const well = await page.evaluate(() => getComputedStyle(document.querySelector('.op-verdict h2')).color);
    assert.notEqual(well, 'rgb(18, 98, 79)', 'never green');
  }),
);

test('something that cannot be read is not taken for well', LIMIT, async () => {
  const { mining, proofs, ...told } = healthy();
  await onOperator(told, async (page, daemon) => {
    await has(page, 'verdict', 'verdict', 'unknown');
    await page.getByText('Not everything here could be read').waitFor();
    daemon.told.mining = mining;
    daemon.tell('health');
    await hook(page, 'job').first().waitFor();
    assert.equal(await hook(page, 'verdict').getAttribute('data-verdict'), 'unknown', 'a proof may have been missed');
    assert.equal(await page.locator('.link-up').count(), 0, 'nothing is green');
    daemon.told.proofs = proofs;
    daemon.tell('head');
    await has(page, 'verdict', 'verdict', 'well');
  });
});

test('while the daemon is away the page says so and shows nothing as live', LIMIT, () =>
  onOperator(healthy(), async (page, daemon) => {
    await has(page, 'verdict', 'verdict', 'well');
    daemon.leave();
    await has(page, 'operator', 'standing', 'away');
    await has(page, 'verdict', 'verdict', 'unknown');
    assert.match(await hook(page, 'line').innerText(), /does not answer\. What is shown is as of \d/);
    assert.match(await hook(page, 'verdict').innerText(), /nobody can say how it is doing/);
    assert.equal(await hook(page, 'mining-stop').isDisabled(), true, 'no orders into the void');
    daemon.comeBack();
    await hook(page, 'line').getByRole('button').click();
    await has(page, 'verdict', 'verdict', 'well');
  }),
);

test('deals are taken or not, and sealing begins, by order', LIMIT, () =>
  onOperator(
    healthy(),
    async (page, daemon) => {
      await hook(page, 'mining-stop').click();
      await page.getByText('Take no new deals?').waitFor();
      await page.keyboard.press('Escape');
      assert.deepEqual(daemon.orders, [], 'nothing is ordered before the question is answered');
      await hook(page, 'mining-stop').click();
      await hook(page, 'mining-stop-yes').click();
      await has(page, 'taking', 'taking', 'false');
      await has(page, 'verdict', 'verdict', 'notice');
      await hook(page, 'mining-start').click();
      await has(page, 'taking', 'taking', 'true');
      await hook(page, 'seal-now').click();
      await page.getByText('Sealing begins.').waitFor();
      assert.deepEqual(
        daemon.orders.map(({ path }) => path),
        ['mining/stop', 'mining/start', 'seal-now'],
      );
      daemon.answers['seal-now'] = [409, { error: 'no sector takes pieces' }];
      await hook(page, 'seal-now').click();
      await page.getByText('No sector takes pieces.').waitFor();
    },
    { scope: 'operate' },
  ),
);

test('sectors are a picture of their phases, and a failed one is tried again or given up', LIMIT, () =>
  onOperator(
    ill(),
    async (page, daemon) => {
      const sectors = hook(page, 'sector');
      await sectors.first().waitFor();
      assert.equal(await sectors.count(), 18);
      assert.equal(await sectors.first().getAttribute('data-sector'), '14', 'what waits for an order comes first');
      await has(page, 'phase', 'phase', 'failed');
      await page.locator('[data-testid="phase"][data-phase="proving"]').click();
      assert.equal(await sectors.count(), 11);
      await go(page, '/sectors/14');
      await hook(page, 'why').waitFor();
      assert.match(await hook(page, 'sector-detail').innerText(), /Failed at “Proving the seal”; failed attempts: 5/);
      await hook(page, 'give-up-14').click();
      await page.getByText('This cannot be undone.').waitFor();
      assert.match(await page.locator('.op-question').innerText(), /the deal fails, its client gets back/);
      const focused = await page.evaluate(() => document.activeElement.textContent);
      assert.match(focused, /Give sector 14 up/, 'the question is where the keyboard is');
      await hook(page, 'give-up-14-no').click();
      await hook(page, 'retry-14').click();
      await hook(page, 'retry-14-yes').click();
      await has(page, 'sector-detail', 'phase', 'commit1');
      assert.deepEqual(
        daemon.orders.map(({ path }) => path),
        ['sectors/14/retry'],
      );
    },
    { place: '/sectors', scope: 'operate' },
  ),
);

test('a deal is found, explained, and redeemed after a preview', LIMIT, () =>
  onOperator(
    healthy(),
    async (page, daemon) => {
      await hook(page, 'deals-search').fill('data awaited');
      await page.getByText('1 of 9 deals').waitFor();
      await hook(page, 'deals-search').fill(`${DEAL} sealed`);
      await hook(page, 'deal').getByRole('link').click();
      await hook(page, 'why').waitFor();
      assert.match(await hook(page, 'why').innerText(), /Done in about 2 minutes[\s\S]*The seal is being proven/);
      await hook(page, 'redeem-preview').click();
      await hook(page, 'preview').waitFor();
      assert.match(await hook(page, 'preview').innerText(), /brings 5 milliFIL[\s\S]*120,000 units of gas/);
      assert.deepEqual(daemon.orders, [{ path: `deals/${DEAL}/redeem`, body: { preview: true } }]);
      await hook(page, 'redeem').click();
      await page.getByText('5 milliFIL redeemed, in block 5,001.').waitFor();
      assert.deepEqual(daemon.orders[1], { path: `deals/${DEAL}/redeem`, body: { preview: false } });
      await page.getByText('0.01 FIL of 0.02 FIL').waitFor();
    },
    { place: '/deals', scope: 'operate' },
  ),
);

test('settings are changed in units of people, and what is refused says why', LIMIT, () =>
  onOperator(
    healthy(),
    async (page, daemon) => {
      const set = (key, value) => hook(page, `setting-${key}`).fill(value);
      await hook(page, 'setting-price').waitFor();
      assert.equal(await hook(page, 'setting-monthly').inputValue(), '278313.8807808');
      await set('monthly', '556627.7615616');
      assert.equal(await hook(page, 'setting-price').inputValue(), '0.0000000002');
      await set('transferLimitMs', '1.5');
      await set('stagingMaxBytes', '2');
      await hook(page, 'setting-slash').uncheck();
      await set('memoryMib', 'much');
      await page.getByText('One field cannot be read.').waitFor();
      assert.equal(await hook(page, 'settings-save').isDisabled(), true);
      await set('memoryMib', '0');
      await page.getByText('4 changes are not saved.').waitFor();
      await hook(page, 'settings-save').click();
      await page.getByText('Saved. The new ask is in block 5,001.').waitFor();
      assert.deepEqual(daemon.orders.at(-1).body, {
        price: '0.0000000002',
        transferLimitMs: 5_400_000,
        stagingMaxBytes: 2 * 2 ** 30,
        slash: false,
      });
      await set('askBlocks', '5');
      await hook(page, 'settings-save').click();
      await page.getByText('Nothing was changed').waitFor();
      await page.getByText('An ask cannot stand for 5 blocks').waitFor();
      assert.equal(await hook(page, 'setting-askBlocks').inputValue(), '5', 'what was typed stays');
      await hook(page, 'settings-discard').click();
      assert.equal(await hook(page, 'setting-askBlocks').inputValue(), '1051200');
    },
    { place: '/settings' },
  ),
);

for (const isWhole of [true, false]) {
  const name = isWhole
    ? 'what is outstanding of all deals stands alone'
    : 'where not all deals are counted, money says so';
  test(name, LIMIT, () => {
    const told = healthy();
    told.earnings = { ...told.earnings, isWhole };
    return onOperator(
      told,
      async (page) => {
        await hook(page, 'channel').first().waitFor();
        assert.equal(await hook(page, 'more-earnings').count(), isWhole ? 0 : 1);
      },
      { place: '/earnings' },
    );
  });
}

test('the log is read, its filter set, and an alert tried', LIMIT, () =>
  onOperator(
    healthy(),
    async (page, daemon) => {
      const lines = hook(page, 'log-line');
      await lines.first().waitFor();
      assert.equal(await lines.count(), 4);
      await hook(page, 'log-level').selectOption('debug');
      assert.equal(await lines.count(), 5);
      await hook(page, 'log-filter').fill('sealdrop=debug,warn');
      await hook(page, 'log-filter-set').click();
      await page.getByText('It holds from now on.').waitFor();
      assert.deepEqual(daemon.orders, [{ path: 'log', body: { filter: 'sealdrop=debug,warn' } }]);
      await go(page, '/machine');
      await hook(page, 'webhook-test').click();
      await page.getByText('The test was sent.').waitFor();
      daemon.answers['alerts/test'] = [502, { error: 'hooks.example.org answered with status 500' }];
      await hook(page, 'webhook-test').click();
      await page.getByText('The test could not be sent').waitFor();
    },
    { place: '/log' },
  ),
);

test('who may only look gives no orders, and is told which token does', LIMIT, () =>
  onOperator(
    ill(),
    async (page, daemon) => {
      for (const name of ['mining-stop', 'seal-now']) assert.equal(await hook(page, name).isDisabled(), true, name);
      await page.getByText('sealdrop token show --scope operate').first().waitFor();
      await go(page, '/sectors/14');
      await hook(page, 'retry-14').waitFor();
      assert.equal(await hook(page, 'retry-14').isDisabled(), true);
      assert.equal(await hook(page, 'give-up-14').isDisabled(), true);
      await go(page, `/deals/${DEAL}`);
      await hook(page, 'redeem-preview').waitFor();
      assert.equal(await hook(page, 'redeem-preview').isDisabled(), true);
      await go(page, '/settings');
      await hook(page, 'settings-needs').waitFor();
      assert.equal(await hook(page, 'setting-price').isDisabled(), true);
      await go(page, '/log');
      await hook(page, 'log-filter').waitFor();
      assert.equal(await hook(page, 'log-filter').isDisabled(), true);
      assert.deepEqual(daemon.orders, []);
    },
    { scope: 'read' },
  ),
);

/** Each page, and what shows that it is there. */
const VIEWS = {
  '': 'verdict',
  '/sectors': 'sector',
  '/sectors/14': 'why',
  '/proofs': 'window',
  '/deals': 'deal',
  [`/deals/${DEAL}`]: 'why',
  '/earnings': 'channel',
  '/machine': 'service',
  '/peers': 'peer',
  '/log': 'log-line',
  '/settings': 'setting-price',
};

for (const [name, told, options] of [
  ['in English on a bright desk, well', healthy, { colorScheme: 'light' }],
  ['in English on a dark desk, ill', ill, { colorScheme: 'dark' }],
  [
    'in Chinese on a phone, ill',
    ill,
    { locale: 'zh-CN', colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true },
  ],
  [
    'in Chinese on a dark phone, well, looking only',
    healthy,
    { locale: 'zh-CN', colorScheme: 'dark', viewport: { width: 390, height: 844 }, scope: 'read' },
  ],
]) {
  test(`every view is accessible ${name}`, LIMIT, () =>
    onOperator(
      told(),
      async (page) => {
        const found = {};
        const look = async (view) => {
          const its = await violations(page);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (wide > 0) its.push(`wider than the screen by ${wide} pixels`);
          const moving = await page.evaluate(() => document.getAnimations().length);
          if (moving > 0) its.push(`${moving} things move`);
          if (its.length > 0) found[view] = its;
        };
        for (const [place, shows] of Object.entries(VIEWS)) {
          await go(page, place);
          await hook(page, shows).first().waitFor();
          await page.evaluate(() => {
            for (const details of document.querySelectorAll('.op-content details')) details.open = true;
          });
          await look(place || 'home');
        }
        await hook(page, 'token-forget').click();
        await hook(page, 'token-form').waitFor();
        await look('token');
        assert.deepEqual(found, {});
      },
      options,
    ),
  );
}

test('the page speaks Chinese, and marks what the daemon says as English', LIMIT, () =>
  onOperator(
    ill(),
    async (page) => {
      await page.getByText('出现问题').first().waitFor();
      assert.equal(await page.locator('html').getAttribute('lang'), 'zh-Hans');
      const foreign = hook(page, 'finding').first().locator('[lang="en"]');
      assert.match(await foreign.innerText(), /the chain refused the voucher/);
      await hook(page, 'language').selectOption('en');
      await page.getByText('Something is wrong').waitFor();
      await page.waitForFunction(() => document.title.startsWith('Your miner'));
    },
    { locale: 'zh-CN' },
  ),
);

test('the store page leads to the operator’s, and loads nothing of it before', LIMIT, async () => {
  const daemon = await openOperator();
  const context = await browser.newContext({ reducedMotion: 'reduce', locale: 'en-US' });
  try {
    const page = await context.newPage();
    const loaded = [];
    page.on('request', (request) => loaded.push(request.url()));
    await page.goto(daemon.url);
    await hook(page, 'to-operator').waitFor();
    assert.equal(
      loaded.some((url) => /assets\/operator-/.test(url) || url.includes('/api/v1/')),
      false,
    );
    await hook(page, 'to-operator').click();
    await hook(page, 'token-form').waitFor();
    assert.equal(loaded.filter((url) => /assets\/operator-/.test(url)).length, 1);
  } finally {
    await context.close();
    await daemon.close();
  }
});
