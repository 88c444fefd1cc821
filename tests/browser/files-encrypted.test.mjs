// Files that are encrypted before they leave the browser, in real Chromium with a real daemon: back with what this browser keeps, from another
// profile with the key, and by Debian's `age` from what the miner has. Proofs are fake.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { affordable, askClient, choose, fund, hook, launch, onPage, problem, SOON_MS } from './page.mjs';

/** Where pictures of what is tested are put, if anywhere. */
const PICTURES = process.env.SEALDROP_PICTURES;
const MIB = 1 << 20;
/** Two pieces: 7 MiB, and the rest with head and tags. */
const SIZE = 9 * MIB + 12_345;
const LIMIT = { timeout: 8 * SOON_MS };
const BEGINNING = 'age-encryption.org/v1\n';

let browser;
let daemon;
let folder;
/** What the first test stored, for the others. */
let stored;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealdrop-encrypted-'));
  daemon = await Daemon.start(['--auto-seal', '200ms'], { sectorSize: '8MiB', program: FAKE });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await daemon?.end();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (page, work, input) => askClient(page, daemon.chain, work, input);

/** In the page: a file of so many bytes, the same ones each time. */
const BYTES = `(size, seed) => {
  const bytes = new Uint8Array(size);
  let state = seed;
  for (let i = 0; i < size; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}`;

/** In the page: all bytes of a stream. */
const ALL = `async (stream) => {
  const parts = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
  }
}`;

/** In the page: the first place at which bytes differ; -1 where there is none. */
const DIFFER = `(a, b) => a.length !== b.length ? Math.min(a.length, b.length) : a.findIndex((byte, at) => byte !== b[at])`;

/** In the page: waits until a file is kept. */
const KEPT = `async (client, id, limit) => {
  for (const end = Date.now() + limit; ; ) {
    const file = await client.file(id);
    if (file?.progress.state === 'kept') return file;
    if (Date.now() > end || file?.stopped) throw { code: 'late', message: JSON.stringify(file) };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}`;

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

test('a folder is stored encrypted and comes back with what this browser keeps, whole, in part and raw', LIMIT, () =>
  onPage(browser, daemon, 'encrypted', async (page) => {
    await fund(page, daemon.chain);
    stored = await ask(
      page,
      `async (client, [size, limit]) => {
        const bytes = (${BYTES})(size, 7);
        const key = await client.newKey();
        const files = [
          { path: 'diary/secret.bin', file: new Blob([bytes]) },
          { path: 'empty', file: new Blob([]) },
        ];
        const prepared = await client.prepare(files, { folder: 'private', encrypt: { recipients: [key.recipient] } });
        const order = { duration: 3000, withManifest: true };
        const { id, file: { name, encryption } } = await client.store(files, { prepared, until: 'ordered', ...order });
        const file = await (${KEPT})(client, id, limit);
        const all = ${ALL};
        const differ = ${DIFFER};
        const whole = await all(client.retrieve(id, { path: 'diary/secret.bin' }));
        const range = [65_530, 3 * 65_536 + 9];
        const part = await all(client.retrieve(id, { path: 'diary/secret.bin', range }));
        const empty = await all(client.retrieve(id, { path: 'empty' }));
        const raw = await all(client.retrieve(id, { path: 'diary/secret.bin', raw: true }));
        return {
          id, name, encryption, key,
          root: file.files[0].root,
          files: file.files.map(({ path, plainSize, size }) => ({ path, plainSize, size })),
          pieces: file.parts.map(({ pieceCid }) => pieceCid),
          prepared: new TextDecoder().decode(prepared.manifest).includes('secret'),
          whole: differ(whole, bytes), part: differ(part, bytes.subarray(...range)), empty: empty.length,
          raw: new TextDecoder().decode(raw.subarray(0, 22)), rawLength: raw.length,
        };
      }`,
      [SIZE, 4 * SOON_MS],
    );
    assert.deepEqual([stored.whole, stored.part, stored.empty], [-1, -1, 0]);
    assert.equal(stored.raw, BEGINNING);
    assert.equal(stored.name, 'private');
    assert.deepEqual(stored.encryption, { recipients: 1, passphrase: false, plainSize: SIZE });
    assert.deepEqual(
      stored.files.map(({ path, plainSize }) => [path, plainSize]),
      [
        ['diary/secret.bin', SIZE],
        ['empty', 0],
      ],
    );
    assert.equal(stored.rawLength, stored.files[0].size);
    assert.equal(stored.prepared, false, 'the manifest that miners get says what the files are called');
  }),
);

test('what the miner has is ciphertext that Debian’s age opens with the key', LIMIT, async (t) => {
  assert.ok(stored, 'the first test stored nothing');
  const answer = await fetch(`${daemon.http}/piece/${stored.pieces[0]}`);
  assert.ok(answer.ok, `the miner answered ${answer.status}`);
  const pieces = [];
  for (const piece of stored.pieces) {
    pieces.push(Buffer.from(await (await fetch(`${daemon.http}/piece/${piece}`)).arrayBuffer()));
  }
  const first = pieces.findIndex((piece) => piece.length === 7 * MIB);
  assert.equal(pieces[first].subarray(0, BEGINNING.length).toString(), BEGINNING);
  // The file's second piece is the one that makes it whole.
  const rest = pieces.find((piece) => piece.length === stored.rawLength - 7 * MIB);
  const [sealed, key] = [join(folder, 'sealed.age'), join(folder, 'sealdrop-key.txt')];
  writeFileSync(sealed, Buffer.concat([pieces[first], rest]));
  writeFileSync(key, `${stored.key.identity}\n`);
  let opened;
  try {
    opened = execFileSync('age', ['-d', '-i', key, sealed], { maxBuffer: 64 * MIB });
  } catch (error) {
    if (error.code === 'ENOENT') return t.skip('there is no `age` here; `apt-get install age` has it');
    throw error;
  }
  let state = 7;
  const expected = Buffer.alloc(SIZE);
  for (let i = 0; i < SIZE; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    expected[i] = state >>> 24;
  }
  assert.ok(opened.equals(expected), 'age opens something else');
  assert.ok(!Buffer.concat(pieces).includes(expected.subarray(0, 32)), 'a piece holds bytes of the file');
});

test('another profile reads it with the key, and with no other', LIMIT, () =>
  onPage(browser, daemon, 'stranger', async (page) => {
    assert.ok(stored, 'the first test stored nothing');
    const seen = await ask(
      page,
      `async (client, [{ id, key }, size]) => {
        const bytes = (${BYTES})(size, 7);
        const { identity } = key;
        const all = ${ALL};
        const differ = ${DIFFER};
        const closed = await client.open(id);
        const opened = await client.open(id, { identity });
        const other = await client.newKey();
        const refused = await client.open(id, { identity: other.identity }).catch(({ code }) => code);
        const whole = await all(client.retrieve(id, { path: 'diary/secret.bin', identity }));
        const range = [size - 70_000, size];
        const part = await all(client.retrieve(id, { path: 'diary/secret.bin', identity, range }));
        const paths = ({ files }) => files.map(({ path }) => path);
        return {
          closed: paths(closed), opened: paths(opened), name: opened.name, refused,
          whole: differ(whole, bytes), part: differ(part, bytes.subarray(...range)),
        };
      }`,
      [stored, SIZE],
    );
    assert.deepEqual(seen.closed, ['0.age', '1.age']);
    assert.deepEqual([seen.name, seen.opened], ['private', ['diary/secret.bin', 'empty']]);
    assert.equal(seen.refused, 'decryption');
    assert.deepEqual([seen.whole, seen.part], [-1, -1]);
  }),
);

test('a passphrase opens what it encrypted, in another profile, too', LIMIT, () =>
  onPage(browser, daemon, 'passphrase', async (page) => {
    await fund(page, daemon.chain);
    const passphrase = 'correct horse battery staple';
    const id = await ask(
      page,
      `async (client, [passphrase, limit]) => {
        const file = new File(['to be read by whoever knows it'], 'note.txt');
        const prepared = await client.prepare(file, { encrypt: { passphrase } });
        const { id } = await client.store(file, { prepared, until: 'ordered', duration: 3000, withManifest: true });
        await (${KEPT})(client, id, limit);
        return id;
      }`,
      [passphrase, 2 * SOON_MS],
    );
    await onPage(browser, daemon, 'passphrase-other', async (other) => {
      const seen = await ask(
        other,
        `async (client, [id, passphrase]) => {
          const { name } = await client.open(id, { passphrase });
          const text = new TextDecoder().decode(await (${ALL})(client.retrieve(id, { passphrase })));
          const wrong = await client.open(id, { passphrase: 'another one' }).catch(({ code }) => code);
          return { name, text, wrong };
        }`,
        [id, passphrase],
      );
      assert.deepEqual(seen, { name: 'note.txt', text: 'to be read by whoever knows it', wrong: 'decryption' });
    });
  }),
);

test('a file that is another than the one that was encrypted first does not leave', LIMIT, () =>
  onPage(browser, daemon, 'changed', async (page) => {
    await fund(page, daemon.chain);
    const seen = await ask(
      page,
      `async (client, limit) => {
        const bytes = (${BYTES})(200_000, 3);
        const file = new File([bytes], 'note.txt');
        const prepared = await client.prepare(file, { encrypt: 'new-key' });
        bytes[100_000] ^= 1;
        const changed = new File([bytes], 'note.txt');
        const { id } = await client.store(changed, { prepared, until: 'ordered', duration: 3000, keep: 'reference' });
        const supplied = await client.supply(id, changed).catch(({ code }) => code);
        for (const end = Date.now() + limit; ; ) {
          const deals = (await client.deals()).filter(({ partOf }) => partOf === id);
          const stuck = deals.find(({ error }) => error?.code === 'file-lost');
          if (stuck) {
            const { transferred } = stuck;
            // The same file again, and it goes on.
            await client.supply(id, file);
            const kept = await (${KEPT})(client, id, limit);
            return { key: prepared.encryption.key.identity.slice(0, 16), transferred, supplied, state: kept.progress.state };
          }
          if (Date.now() > end) throw { code: 'late', message: JSON.stringify(deals) };
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      }`,
      2 * SOON_MS,
    );
    assert.deepEqual(seen, { key: 'AGE-SECRET-KEY-1', transferred: 0, supplied: 'file-lost', state: 'kept' });
  }),
);

test('files that look alike and were prepared with one key are not both stored, and Blobs never share one', LIMIT, () =>
  onPage(browser, daemon, 'one-key', async (page) => {
    await fund(page, daemon.chain);
    const seen = await ask(
      page,
      `async (client) => {
        const { recipient } = await client.newKey();
        const encrypt = { recipients: [recipient] };
        const alike = (seed) => new File([(${BYTES})(200_000, seed)], 'note.txt', { lastModified: 1 });
        const files = [alike(4), alike(5)];
        const prepared = [];
        for (const file of files) prepared.push(await client.prepare(file, { encrypt }));
        const [one, other] = prepared.map(({ encryption }) => encryption.keys);
        const stored = await Promise.allSettled(
          files.map((file, at) => client.store(file, { prepared: prepared[at], until: 'ordered', duration: 3000 })),
        );
        const blobs = [];
        for (const seed of [6, 7]) {
          const file = new Blob([(${BYTES})(1000, seed)]);
          const { encryption } = await client.prepare([{ path: 'note.txt', file }], { encrypt });
          blobs.push(encryption.keys);
        }
        return {
          shared: one === other,
          outcomes: stored.map(({ status, reason }) => reason?.code ?? status).sort(),
          blobs: new Set(blobs).size,
        };
      }`,
    );
    assert.deepEqual(seen, { shared: true, outcomes: ['file-lost', 'fulfilled'], blobs: 2 });
  }),
);

test('the page makes a key, stores nothing before it is saved, and says that the file is encrypted', LIMIT, () =>
  onPage(browser, daemon, 'encrypt-page', async (page) => {
    await fund(page, daemon.chain);
    await page.reload();
    await choose(page, 'letter.txt', Buffer.from('dear miner, you cannot read this\n'.repeat(100)));
    await hook(page, 'encrypt-switch').waitFor();
    await picture(page, 'encrypt-off');
    await hook(page, 'encrypt-switch').check();
    await hook(page, 'key-box').waitFor();
    await hook(page, 'held').waitFor();
    await picture(page, 'encrypt-key');
    assert.equal(await hook(page, 'store-button').isEnabled(), false);
    const [download] = await Promise.all([page.waitForEvent('download'), hook(page, 'key-download').click()]);
    assert.equal(download.suggestedFilename(), 'sealdrop-key.txt');
    assert.match(readFileSync(await download.path(), 'utf8'), /^# public key: age1.*\nAGE-SECRET-KEY-1/m);
    await affordable(page);
    await hook(page, 'store-button').click();
    await hook(page, 'encryption').waitFor();
    assert.equal(await page.locator('h1').innerText(), 'letter.txt');
    await page.waitForFunction(
      () => document.querySelector('[data-testid="file-state"]')?.dataset.state === 'kept',
      undefined,
      { timeout: 4 * SOON_MS },
    );
    await picture(page, 'encrypted-file');
    const [back] = await Promise.all([page.waitForEvent('download'), hook(page, 'download-all').click()]);
    assert.match(readFileSync(await back.path(), 'utf8'), /^dear miner/);
    const id = await hook(page, 'file-id').getAttribute('data-id');
    await onPage(browser, daemon, 'foreign', async (other) => {
      await other.goto(`${daemon.page}#/file/${id}`);
      await hook(other, 'foreign-look').click();
      await hook(other, 'foreign-identity').waitFor();
      await picture(other, 'foreign-key');
      const identity = readFileSync(await download.path(), 'utf8').match(/AGE-SECRET-KEY-1\w+/)[0];
      await hook(other, 'foreign-identity').fill(identity);
      await hook(other, 'foreign-open').click();
      const row = other.locator('[data-testid="foreign-row"][data-path="letter.txt"]');
      await row.waitFor();
      const [got] = await Promise.all([other.waitForEvent('download'), hook(other, 'foreign-download').click()]);
      assert.match(readFileSync(await got.path(), 'utf8'), /^dear miner/);
      await picture(other, 'foreign-opened');
    });
  }),
);

test(
  'what is chosen next is stored as the switch says: encrypted while it is on, and as it is where it went off',
  LIMIT,
  () =>
    onPage(browser, daemon, 'encrypt-next', async (page) => {
      await fund(page, daemon.chain);
      await page.reload();
      const take = async (name, bytes) => {
        await choose(page, name, Buffer.from(bytes));
        await hook(page, 'chosen-name').filter({ hasText: name }).waitFor();
      };
      const turnOn = async () => {
        await hook(page, 'encrypt-switch').check();
        await Promise.all([page.waitForEvent('download'), hook(page, 'key-download').click()]);
      };
      await take('first.txt', 'the first of them\n'.repeat(100));
      await turnOn();
      // Nothing can be stored of it, so the switch goes, and comes back off.
      await take('empty.txt', '');
      await problem(page, 'empty-file').waitFor();
      await take('plain.txt', 'anybody may read this\n'.repeat(100));
      await hook(page, 'encrypt-switch').waitFor();
      assert.equal(await hook(page, 'encrypt-switch').isChecked(), false);
      // The commitment of a single file is shown of one that is not encrypted.
      await hook(page, 'piece-commp').waitFor();
      await turnOn();
      await take('second.txt', 'the second of them\n'.repeat(100));
      assert.equal(await hook(page, 'encrypt-switch').isChecked(), true);
      await affordable(page);
      assert.equal(await hook(page, 'piece-commp').count(), 0);
      await hook(page, 'store-button').click();
      await hook(page, 'encryption').waitFor();
      assert.equal(await page.locator('h1').innerText(), 'second.txt');
    }),
);
