// Makes the pictures of `www/docs`: the page with the example book of `shop.mjs`, without a chain. `node pictures.mjs [folder] [name…]`, after
// the page is built.

import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { hook, launch, SOON_MS } from './page.mjs';
import { openShop } from './shop.mjs';
import { openOperator, TOKENS } from './stub/operator.mjs';

const [folder = resolve(import.meta.dirname, '../../www/docs'), ...only] = process.argv.slice(2);
const DESK = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 } };
const FILE = { name: 'report.pdf', mimeType: 'application/pdf', buffer: Buffer.alloc(1500, 1) };

const chosen = async (page) => {
  await hook(page, 'file-input').first().setInputFiles(FILE);
  await hook(page, 'plain-terms').waitFor();
};
/** Checks the steps, opens what shows one of them, and scrolls to it. */
const passport = async (page, open) => {
  await hook(page, 'passport-button').click();
  await hook(page, 'passport-verdict').waitFor();
  if (open) await page.locator(`[data-step="${open}"] summary`).first().click();
  const from = open ? `[data-step="${open}"]` : '[data-testid="passport"]';
  await page.evaluate((from) => document.querySelector(from).scrollIntoView(), from);
};
const receipt = async (page) => {
  const name = 'zDPWYqFD8tVxKhGpM5oMkD4hQSvQxjDgvpeDmB6ajkZZDCxB7Nvu.receipt';
  await hook(page, 'receipt-input').setInputFiles({ ...FILE, name });
  await hook(page, 'passport-verdict').waitFor();
};

/** The operator's page of a miner that is well. */
const operator = `#/operator/token/${TOKENS.admin}`;
const overview = (page) => page.locator('[data-verdict="well"]').waitFor();
const sectors = async (page) => {
  await overview(page);
  await page.evaluate(() => (location.hash = '#/operator/sectors'));
  await hook(page, 'sector').first().waitFor();
};

/** Each picture: where, on which screen, and what is done before. */
const PICTURES = {
  store: ['#/', DESK, chosen],
  complete: ['#/deal/sealed', DESK],
  passport: ['#/deal/sealed', { viewport: { width: 1000, height: 1000 } }, (page) => passport(page, 'inclusion')],
  receipt: ['#/receipt', { viewport: { width: 1000, height: 1150 } }, receipt],
  wallet: ['#/account', DESK, (page) => hook(page, 'account-safety').waitFor()],
  zh: ['#/deal/sealed', { ...DESK, locale: 'zh-CN' }, (page) => passport(page)],
  phone: ['#/deal/sealed', PHONE, (page) => passport(page)],
  operator: [operator, DESK, overview],
  sectors: [operator, DESK, sectors],
  dark: ['#/deal/sealed', { ...DESK, colorScheme: 'dark' }, (page) => passport(page)],
};

mkdirSync(folder, { recursive: true });
const site = await openShop();
const daemon = await openOperator();
const browser = await launch();
try {
  for (const [name, [hash, screen, work]] of Object.entries(PICTURES)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const context = await browser.newContext({
      locale: 'en-US',
      colorScheme: 'light',
      reducedMotion: 'reduce',
      ...screen,
    });
    context.setDefaultTimeout(SOON_MS);
    const page = await context.newPage();
    await page.goto((hash === operator ? daemon.url : site.url) + hash);
    await page.locator('h1').first().waitFor();
    await work?.(page);
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await context.close();
  }
} finally {
  await browser.close();
  await daemon.close();
  await site.close();
}
