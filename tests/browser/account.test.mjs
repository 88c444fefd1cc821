// Accounts in real Chromium with a real daemon: the key at rest, its words, its passphrase, and the way back into another profile from the words and a
// backup file. Proofs are fake.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { askClient, hook, launch, onPage, problem, SOON_MS } from './page.mjs';

/** Where pictures of what is tested are put, if anywhere. */
const PICTURES = process.env.SEALDROP_PICTURES;
const LIMIT = { timeout: 4 * SOON_MS };
/** Three words and a number, as a person might take them. */
const PASSPHRASE = 'seven green otters';

let browser;
let daemon;
let folder;
/** What the first profile leaves to the others. */
let left;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealdrop-account-'));
  daemon = await Daemon.start(['--auto-seal', '200ms'], { program: FAKE });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await daemon?.end();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (page, work, input) => askClient(page, daemon.chain, work, input);

/** Runs `work` with the package's `./account`; what it throws comes back as `{ code, message }`. */
const withAccount = (page, work, input) =>
  page.evaluate(`(async () => {
    const account = await import('/client/account.js');
    const { createClient } = await import('/client/index.js');
    try {
      return await (${work})(account, ${JSON.stringify(input ?? null)}, createClient);
    } catch ({ code, message }) {
      return { code, message };
    }
  })()`);

/** What the database of keys holds, as far as a script of the page can read it. */
const KEPT = `() => new Promise((resolve, reject) => {
  const request = indexedDB.open('sealdrop');
  request.onerror = () => reject(request.error);
  request.onsuccess = () => {
    const database = request.result;
    const keys = database.transaction('keys').objectStore('keys');
    const [names, vault] = [keys.getAllKeys(), keys.get('vault')];
    vault.onsuccess = async () => {
      const { accounts } = vault.result;
      const exported = await Promise.all(
        accounts.map(({ sealed }) => crypto.subtle.exportKey('raw', sealed.device.key).then(() => true, () => false)),
      );
      database.close();
      resolve({ names: names.result, extractable: accounts.map(({ sealed }) => sealed.device.key.extractable), exported });
    };
  };
})`;

async function picture(page, name) {
  if (!PICTURES) return;
  for (const [width, height] of [
    [1280, 900],
    [390, 844],
  ]) {
    await page.setViewportSize({ width, height });
    await page.screenshot({ path: join(PICTURES, `${name}-${width}.png`), fullPage: true });
  }
  await page.setViewportSize({ width: 1200, height: 1000 });
}

/** The account is open once its address is shown. */
const opened = (page) => page.locator('.copyable code[title^="t1"]').first().waitFor();

const toAccount = async (page) => {
  await page.goto(`${daemon.page}#/account`);
  await hook(page, 'account-safety').waitFor();
};

test('the key at rest is encrypted with one that the browser does not hand out', LIMIT, () =>
  onPage(browser, daemon, 'at-rest', async (page) => {
    await opened(page);
    const kept = await page.evaluate(`(${KEPT})()`);
    assert.deepEqual(kept, { names: ['vault'], extractable: [false], exported: [false] });
  }),
);

test('the key of an earlier version is taken over, and the plain one goes', LIMIT, () =>
  onPage(browser, daemon, 'taken-over', async (page) => {
    await page.goto(`${daemon.page}config.json`);
    const addresses = await page.evaluate(`(async () => {
      // The page is not there, and neither is its policy of which scripts may be started.
      trustedTypes.createPolicy('default', { createScriptURL: (url) => url });
      const database = await new Promise((resolve) => {
        indexedDB.deleteDatabase('sealdrop').onsuccess = () => {
          const request = indexedDB.open('sealdrop', 1);
          request.onupgradeneeded = () => request.result.createObjectStore('keys');
          request.onsuccess = () => resolve(request.result);
        };
      });
      const transaction = database.transaction('keys', 'readwrite');
      transaction.objectStore('keys').add(new Uint8Array(32).fill(1), 'root');
      await new Promise((resolve) => { transaction.oncomplete = resolve; });
      database.close();
      const { createClient } = await import('/client/index.js');
      const account = await import('/client/account.js');
      const found = [];
      for (let round = 0; round < 2; round += 1) {
        // Two at once, as two tabs may.
        const clients = [0, 1].map(() => createClient({ chain: ${JSON.stringify(daemon.chain)} }));
        const opened = await Promise.all(clients.map((client) => client.wallet.account()));
        found.push(...opened.map(({ address }) => address));
        await Promise.all(clients.map((client) => client.close()));
      }
      return { found, phrase: await account.phrase() };
    })()`);
    assert.equal(new Set(addresses.found).size, 1, 'it is one account');
    // BIP-39 of 32 bytes 01, as `bip39` of the terminal says it.
    assert.match(addresses.phrase, /^absurd amount doctor acoustic avoid letter advice cage /);
    assert.deepEqual((await page.evaluate(`(${KEPT})()`)).names, ['vault']);
  }),
);

test('after the first deal the page reminds of a backup; words and file are saved', LIMIT, () =>
  onPage(browser, daemon, 'backup', async (page) => {
    await ask(page, async (client) => {
      // The page asks the faucet, too, and it gives to one of them.
      while ((await client.wallet.balance()) < 5n * 10n ** 18n) await client.wallet.faucet().catch(() => undefined);
    });
    const deals = await ask(page, async (client) => {
      const file = new File([new Uint8Array(500).fill(7)], 'letter.txt', { type: 'text/plain' });
      const order = { duration: 3000, most: 10n ** 18n, until: 'ordered' };
      const deal = await client.store(file, { ...order, prepared: await computePiece(file) });
      const key = await client.newKey();
      const secret = [{ path: 'secret.txt', file: new Blob([new Uint8Array(300).fill(9)]) }];
      const encrypt = { recipients: [key.recipient] };
      const { id } = await client.store(secret, { ...order, encrypt, withManifest: true });
      for (;;) {
        const [one, other] = [await client.deal(deal.id), await client.file(id)];
        if (one.state === 'complete' && other.progress.state === 'kept')
          return { deal: deal.id, file: id, address: (await client.wallet.account()).address };
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    });
    await page.reload();
    await hook(page, 'account-reminder').first().waitFor();
    await picture(page, 'account-reminder');
    await toAccount(page);
    assert.equal(await hook(page, 'account-safety').getAttribute('data-phrase'), 'false');
    await hook(page, 'phrase-show').click();
    await hook(page, 'phrase').waitFor();
    const words = await hook(page, 'phrase').locator('li').allInnerTexts();
    assert.equal(words.length, 24);
    await picture(page, 'account-phrase');
    const fields = hook(page, 'phrase-word');
    for (let at = 0; at < 2; at += 1) await fields.nth(at).fill('wrong');
    await hook(page, 'phrase-confirm').click();
    await hook(page, 'phrase-said').getByText('not what stands there').waitFor();
    for (let at = 0; at < 2; at += 1) {
      await fields.nth(at).fill(words[Number(await fields.nth(at).getAttribute('data-at'))]);
    }
    await hook(page, 'phrase-confirm').click();
    await page.locator('[data-testid="account-safety"][data-phrase="true"]').waitFor();
    const saved = page.waitForEvent('download');
    await hook(page, 'backup-save').click();
    const path = join(folder, 'backup.age');
    await (await saved).saveAs(path);
    await page.locator('[data-testid="account-safety"][data-file="true"]').waitFor();
    await picture(page, 'account-safe');
    const bytes = readFileSync(path);
    assert.ok(bytes.subarray(0, 22).equals(Buffer.from('age-encryption.org/v1\n')));
    left = { ...deals, words: words.join(' '), path };
    await page.goto(`${daemon.page}#/deals`);
    await hook(page, 'deal-item').first().waitFor();
    assert.equal(await hook(page, 'account-reminder').count(), 0);
  }),
);

test(
  'words and file bring account, deals and files back in another profile; the same again changes nothing',
  LIMIT,
  () =>
    onPage(browser, daemon, 'restored', async (page) => {
      await toAccount(page);
      await hook(page, 'restore-phrase').fill(left.words.replace(' ', '\n ').toUpperCase());
      await hook(page, 'restore-file').setInputFiles(left.path);
      await hook(page, 'restore-button').click();
      await page.locator('[data-testid="restored"][data-known="false"]').waitFor();
      await picture(page, 'account-restored');
      await hook(page, 'restore-open').click();
      await page.locator('[data-testid="deal-item"][data-state="complete"]').waitFor();
      await hook(page, 'file-item').waitFor();
      const found = await ask(
        page,
        async (client, { deal, file }) => {
          const [letter, parts] = [[], []];
          for await (const part of client.retrieve(deal)) letter.push(...part);
          for await (const part of client.retrieve(file)) parts.push(...part);
          const stopped = (await client.file(file)).stopped;
          return {
            address: (await client.wallet.account()).address,
            letter: [letter.length, letter[0]],
            secret: [parts.length, parts[0]],
            stopped,
          };
        },
        left,
      );
      assert.equal(found.address, left.address);
      assert.deepEqual(found.letter, [500, 7]);
      // Its key was in the backup: no identity is given here.
      assert.deepEqual(found.secret, [300, 9]);
      await toAccount(page);
      await hook(page, 'account-others').waitFor();
      const again = await withAccount(
        page,
        async (account, [bytes]) => {
          const file = new Blob([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))]);
          return account.restore({ file });
        },
        [readFileSync(left.path).toString('base64')],
      );
      assert.ok(again.known, JSON.stringify(again));
      assert.deepEqual(
        again.networks.map(({ deals, files }) => [deals, files]),
        [[0, 0]],
      );
    }),
);

test('what is no phrase, no backup or another account’s is refused in words, and nothing changes', LIMIT, () =>
  onPage(browser, daemon, 'refused', async (page) => {
    await toAccount(page);
    const before = await withAccount(page, (account) => account.accounts());
    const words = left.words.split(' ');
    for (const [phrase, file, code, says] of [
      [words.slice(1).join(' '), undefined, 'bad-argument', /23 words/],
      [['sealdrop', ...words.slice(1)].join(' '), undefined, 'bad-argument', /word 1 /],
      [undefined, 'no backup', 'decryption', /no backup/],
      [undefined, readFileSync(left.path).toString('latin1'), 'decryption', /./],
    ]) {
      const refused = await withAccount(
        page,
        (account, { phrase, file }) => {
          const bytes = file && Uint8Array.from(file, (letter) => letter.charCodeAt(0));
          return account.restore({ phrase, file: bytes && new Blob([bytes]) });
        },
        { phrase, file },
      );
      assert.equal(refused.code, code, JSON.stringify(refused));
      assert.match(refused.message, says);
    }
    assert.deepEqual(await withAccount(page, (account) => account.accounts()), before);
  }),
);

test('a passphrase locks the account until it is given', LIMIT, () =>
  onPage(browser, daemon, 'locked', async (page) => {
    await toAccount(page);
    await withAccount(page, (account) => account.phraseIsSafe());
    await page.reload();
    await hook(page, 'account-next').waitFor();
    const { address } = await ask(page, (client) => client.wallet.account());
    await hook(page, 'account-next').fill(PASSPHRASE);
    await hook(page, 'account-again').fill(PASSPHRASE);
    await hook(page, 'lock-set').click();
    await hook(page, 'lock-now').waitFor();
    await picture(page, 'account-lock');
    await page.goto(`${daemon.page}#/`);
    await page.reload();
    await hook(page, 'unlock').waitFor();
    await picture(page, 'account-locked');
    const refused = await withAccount(page, (account) => account.phrase());
    assert.equal(refused.code, 'locked');
    await hook(page, 'account-passphrase').fill('seven green cats');
    await hook(page, 'unlock-button').click();
    await problem(page, 'locked').waitFor();
    await hook(page, 'account-passphrase').fill(PASSPHRASE);
    await hook(page, 'unlock-button').click();
    await opened(page);
    const found = await withAccount(
      page,
      async (_, [chain, passphrase], createClient) => {
        const refused = createClient({ chain });
        const { code } = await refused.wallet.account().catch((thrown) => thrown);
        await refused.close();
        const client = createClient({ chain, passphrase });
        const { address } = await client.wallet.account();
        await client.close();
        return { code, address };
      },
      [daemon.chain, PASSPHRASE],
    );
    assert.deepEqual(found, { code: 'locked', address });
    const plain = await withAccount(
      page,
      async (account, passphrase) => {
        await account.setPassphrase(undefined, { passphrase });
        return (await account.phrase()).split(' ').length;
      },
      PASSPHRASE,
    );
    assert.equal(plain, 24);
  }),
);

test('the words take a forgotten passphrase away, and what was typed for it locks nothing', LIMIT, () =>
  onPage(browser, daemon, 'forgotten', async (page) => {
    await opened(page);
    const found = await withAccount(
      page,
      async (account, [passphrase, words]) => {
        const phrase = await account.phrase();
        await account.setPassphrase(passphrase);
        const locked = await account.phrase().catch(({ code }) => code);
        const { known } = await account.restore({ phrase }, { passphrase: 'a guess that is wrong' });
        const same = (await account.phrase()) === phrase;
        // Who knows the passphrase keeps the lock.
        await account.setPassphrase(passphrase);
        await account.restore({ phrase }, { passphrase });
        const kept = await account.phrase().catch(({ code }) => code);
        // Another account does not come under what was typed for this one.
        await account.restore({ phrase: words }, { passphrase: 'x' });
        const other = (await account.accounts()).find(({ active }) => active);
        return { locked, known, same, kept, other: other.locked };
      },
      [PASSPHRASE, left.words],
    );
    assert.deepEqual(found, { locked: 'locked', known: true, same: true, kept: 'locked', other: false });
  }),
);

test('an account that a wallet was used beside is backed up', LIMIT, () =>
  onPage(browser, daemon, 'beside-a-wallet', async (page) => {
    await opened(page);
    const found = await withAccount(
      page,
      async (account, chain, createClient) => {
        const wallet = {
          request: async ({ method }) => (method === 'eth_requestAccounts' ? [`0x${'11'.repeat(20)}`] : []),
        };
        const client = createClient({ chain, signer: wallet });
        const { address, bound } = await client.wallet.account();
        await client.close();
        const file = await account.backup();
        const restored = await account.restore({ file });
        const refused = createClient({
          chain,
          signer: { address: `0x${'11'.repeat(20)}`, sign: async () => new Uint8Array(65) },
        });
        const { code } = await refused.wallet.account().catch((thrown) => thrown);
        await refused.close();
        return { address: address.slice(0, 5), bound, known: restored.known, code };
      },
      daemon.chain,
    );
    assert.deepEqual(found, { address: 't410f', bound: true, known: true, code: 'bad-argument' });
  }),
);

test('a backup with a passphrase of its own opens with that alone', LIMIT, () =>
  onPage(browser, daemon, 'own-passphrase', async (page) => {
    await opened(page);
    const made = await withAccount(
      page,
      async (account, filePassphrase) => {
        const [{ id }] = await account.accounts();
        const file = await account.backup({ filePassphrase });
        const without = await account.restore({ file }).catch(({ code }) => code);
        const restored = await account.restore({ file, filePassphrase });
        return { without, known: restored.known, same: restored.account === id };
      },
      PASSPHRASE,
    );
    assert.deepEqual(made, { without: 'decryption', known: true, same: true });
  }),
);
