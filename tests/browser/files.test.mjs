// Files of any size and number through the npm package in real Chromium, with a real daemon: stored piece by piece, over a reload, and
// back as a stream, whole or in part. Proofs are fake, so that many sectors take no time to seal.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import { Daemon, FAKE } from './daemon.mjs';
import { askClient, fund, launch, onPage, SOON_MS, withClient } from './page.mjs';

const MIB = 1 << 20;
/** Four pieces of 7 MiB, and one of 2. */
const SIZE = 30 * MIB;
const LIMIT = { timeout: 8 * SOON_MS };

let browser;
let daemon;

before(async () => {
  daemon = await Daemon.start(['--auto-seal', '200ms'], { sectorSize: '8MiB', program: FAKE });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await daemon?.end();
});

const ask = (page, work, input) => askClient(page, daemon.chain, work, input);

/** Waits until the file's state is one of `states`; gives the file. */
const until = (page, id, states) =>
  ask(
    page,
    async (client, [id, states, limit]) => {
      const end = Date.now() + limit;
      for (;;) {
        const file = await client.file(id);
        if (states.includes(file?.progress.state)) return file;
        if (Date.now() > end) throw { code: 'late', message: JSON.stringify(file) };
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    },
    [id, states, 4 * SOON_MS],
  );

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

/** In the page: whether a stream gives these bytes. */
const SAME = `async (stream, expected) => {
  let at = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return at === expected.length;
    const from = at;
    at += value.length;
    if (at > expected.length || !value.every((byte, i) => byte === expected[from + i])) return false;
  }
}`;

test('a file larger than a sector is stored in pieces, over a reload, and comes back, whole and in part', LIMIT, () =>
  onPage(browser, daemon, 'pieces', async (page) => {
    await fund(page, daemon.chain);
    const stored = await ask(
      page,
      `async (client, size) => {
        const file = new File([(${BYTES})(size, 7)], 'film.bin');
        const told = [];
        const prepared = await client.prepare(file, { onProgress: ({ done }) => told.push(done) });
        const order = { duration: 3000, withManifest: true };
        const quote = await client.quote(prepared, order);
        const { id, file: { progress } } = await client.store(file, { prepared, until: 'ordered', ...order, most: quote.most });
        const sizes = prepared.files[0].pieces.map((piece) => piece.size);
        return { id, progress, prepared: prepared.id, sizes, told, quote };
      }`,
      SIZE,
    );
    assert.equal(stored.id, stored.prepared);
    assert.deepEqual(
      stored.sizes,
      [7, 7, 7, 7, 2].map((size) => size * MIB),
    );
    assert.equal(stored.told.at(-1), SIZE);
    // Its manifest is a piece, too.
    assert.deepEqual([stored.quote.pieces, stored.quote.deals, stored.quote.problem], [6, 6, undefined]);
    assert.equal(stored.progress.state, 'under-way');

    // In the middle of it the tab goes, and comes back.
    await ask(
      page,
      async (client, id) => {
        const far = ({ progress }) => progress.transferred > 8 * 2 ** 20;
        await new Promise((resolve) => {
          client.on('file', (file) => file.file === id && far(file) && resolve());
          client.file(id).then((file) => far(file) && resolve());
        });
      },
      stored.id,
    );
    await page.reload();
    const file = await until(page, stored.id, ['kept', 'incomplete', 'failed']);
    assert.deepEqual([file.progress.state, file.progress.copiesKept, file.stopped], ['kept', 6, undefined]);
    assert.deepEqual(
      file.files.map(({ path, size, pieces }) => [path, size, pieces]),
      [['film.bin', SIZE, 5]],
    );
    assert.ok(Number(file.progress.committed) <= Number(stored.quote.most));

    const back = await ask(
      page,
      `async (client, [id, size]) => {
        const bytes = (${BYTES})(size, 7);
        const same = ${SAME};
        const ranges = [[7 * 2 ** 20 - 3, 7 * 2 ** 20 + 5], [size - 1, size], [5, 5], [0, 21 * 2 ** 20 + 1]];
        const parts = [];
        for (const range of ranges) {
          parts.push(await same(client.retrieve(id, { range }), bytes.subarray(...range)));
        }
        const told = [];
        const stream = client.retrieve(id, { path: 'film.bin', onProgress: ({ done, total }) => told.push([done, total]) });
        const whole = await same(stream, bytes);
        const beyond = await same(client.retrieve(id, { range: [0, size + 1] }), bytes).catch(({ code }) => code);
        const deals = (await client.deals()).filter((deal) => deal.partOf === id);
        return { parts, whole, told, beyond, names: deals.map(({ name }) => name).sort() };
      }`,
      [stored.id, SIZE],
    );
    assert.deepEqual(back.parts, [true, true, true, true]);
    assert.equal(back.whole, true);
    assert.deepEqual(back.told.at(-1), [SIZE, SIZE]);
    assert.equal(back.beyond, 'bad-argument');
    assert.deepEqual(
      back.names,
      [...[1, 2, 3, 4, 5].map((part) => `film.bin (part ${part} of 5)`), 'film.bin (manifest)'].sort(),
    );

    const again = await withClient(
      page,
      daemon.chain,
      `async (client, size) => {
        const file = new File([(${BYTES})(size, 7)], 'film.bin');
        const prepared = await client.prepare(file);
        await client.store(file, { prepared, until: 'ordered', duration: 3000 });
      }`,
      SIZE,
    );
    assert.equal(again?.code, 'duplicate');
  }),
);

test('wherever the tab is closed while a file is sent, it is stored once and whole', { timeout: 14 * SOON_MS }, () =>
  onPage(browser, daemon, 'closed', async (page) => {
    await fund(page, daemon.chain);
    const id = await ask(
      page,
      `async (client, size) => {
        const file = new File([(${BYTES})(size, 23)], 'hurried.bin');
        const prepared = await client.prepare(file);
        const { most } = await client.quote(prepared, { duration: 3000 });
        const { id } = await client.store(file, { prepared, until: 'ordered', duration: 3000, most });
        return id;
      }`,
      SIZE,
    );
    for (let closed = 0; closed < 13; closed += 1) {
      // From before the first deal is drawn up to the midst of the transfers.
      await page.waitForTimeout(Math.random() * 1_500);
      await page.reload();
    }
    const file = await until(page, id, ['kept', 'incomplete', 'failed']);
    assert.equal(file.progress.state, 'kept', inspect(file));
    const whole = await ask(
      page,
      `async (client, [id, size]) => ({
        same: await (${SAME})(client.retrieve(id), (${BYTES})(size, 23)),
        deals: (await client.deals()).filter((deal) => deal.partOf === id).map(({ dataCid }) => dataCid),
      })`,
      [id, SIZE],
    );
    assert.equal(whole.same, true);
    assert.deepEqual([whole.deals.length, new Set(whole.deals).size], [5, 5], 'one deal for each piece');
  }),
);

test('a folder of forty small files and an empty one is stored at once and comes back file by file', LIMIT, () =>
  onPage(browser, daemon, 'folder', async (page) => {
    await fund(page, daemon.chain);
    const id = await ask(
      page,
      `async (client) => {
        const bytes = ${BYTES};
        const files = Array.from({ length: 40 }, (_, i) => ({
          path: 'home/' + (i % 2 ? 'letters/' + i + '.txt' : 'photos/deep/' + i + ' ä.jpg'),
          file: new File([bytes(1000 + i * 311, i + 1)], 'any'),
        }));
        files.push({ path: 'home/letters/nothing.txt', file: new File([], 'nothing') });
        const prepared = await client.prepare(files);
        const { id: file } = await client.store(files, { prepared, until: 'ordered', duration: 3000 });
        return file;
      }`,
    );
    const kept = await until(page, id, ['kept', 'incomplete', 'failed']);
    assert.deepEqual([kept.progress.state, kept.name, kept.folder, kept.files.length], ['kept', 'home', true, 41]);
    assert.equal(kept.parts.length, 40, 'a file without bytes has no piece');
    const paths = kept.files.map(({ path }) => path);
    assert.ok(
      paths.indexOf('letters/nothing.txt') < paths.indexOf('photos/deep/0 ä.jpg'),
      'in the order of their paths',
    );
    const back = await ask(
      page,
      `async (client, id) => {
        const bytes = ${BYTES};
        const same = ${SAME};
        const read = (path, expected) => same(client.retrieve(id, { path }), expected);
        return [
          await read('letters/7.txt', bytes(1000 + 7 * 311, 8)),
          await read('photos/deep/38 ä.jpg', bytes(1000 + 38 * 311, 39)),
          await read('letters/nothing.txt', new Uint8Array(0)),
          await read('letters/none.txt', new Uint8Array(0)).catch((error) => error.code),
          await read(undefined, new Uint8Array(0)).catch((error) => error.code),
        ];
      }`,
      id,
    );
    assert.deepEqual(back, [true, true, true, 'bad-argument', 'bad-argument']);
    const listed = await ask(page, async (client) => (await client.files()).map(({ name }) => name));
    assert.deepEqual(listed, ['home']);
  }),
);

test('no more is spent than was consented to, and a file goes on when more is allowed', LIMIT, () =>
  onPage(browser, daemon, 'consent', async (page) => {
    await fund(page, daemon.chain);
    const { id, most } = await ask(
      page,
      `async (client) => {
        const file = new File([(${BYTES})(9 * 2 ** 20, 3)], 'dear.bin');
        const prepared = await client.prepare(file);
        const { most } = await client.quote(prepared, { duration: 3000 });
        const { id } = await client.store(file, { prepared, until: 'ordered', duration: 3000, most: (most * 9n) / 10n });
        return { id, most: String(most) };
      }`,
    );
    const stopped = await until(page, id, ['incomplete', 'failed', 'kept']);
    assert.equal(stopped.progress.state, 'failed');
    assert.match(stopped.stopped, /allow more/);
    assert.ok(Number(stopped.progress.committed) <= Number(most) * 0.9);
    await ask(page, (client, [id, most]) => client.retry(id, { most: BigInt(most) }), [id, most]);
    assert.equal((await until(page, id, ['kept', 'incomplete'])).progress.state, 'kept');
    const early = await withClient(page, daemon.chain, (client, id) => client.remove(id), id);
    assert.equal(early?.code, 'refund-pending', 'what is left in its channels would be lost');
  }),
);

test('a deal of another purpose that lasts as long counts as a copy, after a reload too', LIMIT, () =>
  onPage(browser, daemon, 'shared', async (page) => {
    await fund(page, daemon.chain);
    const id = await ask(
      page,
      `async (client, limit) => {
        const letter = new File([(${BYTES})(20_000, 31)], 'letter.txt');
        const [miner] = await client.miners();
        const { id: single } = await client.store(letter, { prepared: await computePiece(letter), miner, duration: 9000, until: 'ordered' });
        const end = Date.now() + limit;
        while ((await client.deal(single)).state === 'working' && Date.now() < end) {
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        const files = [
          { path: 'letter.txt', file: letter },
          { path: 'other.txt', file: new File(['another one'], 'other.txt') },
        ];
        const prepared = await client.prepare(files, { folder: 'both' });
        const { id: file } = await client.store(files, { prepared, until: 'ordered', duration: 2000 });
        return file;
      }`,
      2 * SOON_MS,
    );
    await until(page, id, ['kept', 'incomplete', 'failed']);
    await page.reload();
    const file = await until(page, id, ['kept', 'incomplete', 'failed']);
    assert.equal(file.progress.state, 'kept', inspect(file));
    const shared = file.parts.map(({ size, copies }) => [size, copies.map((copy) => copy.shared)]);
    assert.deepEqual(shared, [
      [20_000, [true]],
      [11, [false]],
    ]);
  }),
);

test('a file that is given up gets no more deals, and those under way end', LIMIT, () =>
  onPage(browser, daemon, 'given-up', async (page) => {
    await fund(page, daemon.chain);
    const given = await ask(
      page,
      `async (client, limit) => {
        const file = new File([(${BYTES})(40 * 2 ** 20, 17)], 'unwanted.bin');
        const prepared = await client.prepare(file);
        const { id } = await client.store(file, { prepared, until: 'ordered', duration: 3000 });
        const mine = async () => (await client.deals()).filter((deal) => deal.partOf === id);
        const end = Date.now() + limit;
        const until = async (found) => {
          while (!(await found())) {
            if (Date.now() > end) throw { code: 'late', message: JSON.stringify(await client.file(id)) };
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
        };
        await until(async () => (await mine()).length > 0);
        const early = await client.remove(id).catch(({ code }) => code);
        await client.giveUp(id);
        const count = (await mine()).length;
        await until(async () => (await mine()).every(({ state }) => state !== 'working'));
        await until(async () => (await client.file(id)).progress.state !== 'under-way');
        const { stopped, progress } = await client.file(id);
        return { early, stopped, state: progress.state, made: (await mine()).length - count };
      }`,
      4 * SOON_MS,
    );
    assert.deepEqual(given, { early: 'busy', stopped: 'abandoned by its client', state: 'abandoned', made: 0 });
  }),
);

test('what is only referred to takes no room, and is asked for again after a reload', LIMIT, () =>
  onPage(browser, daemon, 'reference', async (page) => {
    await fund(page, daemon.chain);
    const session = await page.context().newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(daemon.page).origin, quotaSize: 4 * MIB });
    // Nobody serves it: the client that stored it is closed at once, and the page's own has it only while it is open.
    const id = await ask(
      page,
      `async (client) => {
        const file = new File([(${BYTES})(16 * 2 ** 20, 13)], 'referred.bin');
        const prepared = await client.prepare(file);
        const { id } = await client.store(file, { prepared, until: 'ordered', duration: 3000, keep: 'reference' });
        return id;
      }`,
    );
    await page.reload();
    const lost = await ask(
      page,
      async (client, [id, limit]) => {
        const end = Date.now() + limit;
        for (;;) {
          const file = await client.file(id);
          const deals = (await client.deals()).filter((deal) => deal.partOf === id && deal.state === 'working');
          if ([file.problem?.code, ...deals.map(({ error }) => error?.code)].includes('file-lost')) return { file };
          if (file.progress.state !== 'under-way' || Date.now() > end)
            throw { code: 'late', message: JSON.stringify(file) };
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      },
      [id, 2 * SOON_MS],
    );
    assert.equal(lost.file.progress.state, 'under-way');
    const other = await withClient(
      page,
      daemon.chain,
      `(client, id) => client.supply(id, new File([(${BYTES})(16 * 2 ** 20, 14)], 'referred.bin'))`,
      id,
    );
    assert.equal(other?.code, 'file-lost');
    assert.match(other.message, /is not what it was/);
    await ask(page, `(client, id) => client.supply(id, new File([(${BYTES})(16 * 2 ** 20, 13)], 'referred.bin'))`, id);
    assert.equal((await until(page, id, ['kept', 'incomplete', 'failed'])).progress.state, 'kept');
  }),
);

test('names that cannot be stored are refused before anything is hashed', LIMIT, () =>
  onPage(browser, daemon, 'names', async (page) => {
    for (const [paths, words] of [
      [['a/../b'], /is `\.` or `\.\.`/],
      [['a', 'a'], /two files/],
      [['a', 'a/b'], /a file and a folder/],
    ]) {
      const refused = await withClient(
        page,
        daemon.chain,
        async (client, paths) => {
          const files = paths.map((path) => ({ path, file: new Blob(['x']) }));
          const onProgress = () => {
            throw new Error('hashed');
          };
          await client.prepare(files, { folder: 'top', onProgress });
        },
        paths,
      );
      assert.equal(refused?.code, 'bad-argument', paths.join(' '));
      assert.match(refused.message, words);
    }
  }),
);

test('where the browser has no room nothing is kept, and it says so', LIMIT, () =>
  onPage(browser, daemon, 'quota', async (page) => {
    const session = await page.context().newCDPSession(page);
    const origin = new URL(daemon.page).origin;
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 4 * MIB });
    const refused = await withClient(
      page,
      daemon.chain,
      `async (client) => {
        const file = new File([(${BYTES})(9 * 2 ** 20, 5)], 'large.bin');
        const prepared = await client.prepare(file);
        await client.store(file, { prepared, until: 'ordered', duration: 3000 });
      }`,
    );
    assert.equal(refused?.code, 'storage');
    assert.match(refused.message, /has no room for 9 MiB/);
    await session.send('Storage.overrideQuotaForOrigin', { origin });
    const left = await ask(page, async (client) => [await client.files(), await client.deals()]);
    assert.deepEqual(left, [[], []]);
  }),
);

test('a database of an earlier version opens, with its deals and its account', LIMIT, () =>
  onPage(browser, daemon, 'version', async (page) => {
    const found = await page.evaluate(
      `(async () => {
        const { createClient } = await import('/client/index.js');
        const chain = ${JSON.stringify(daemon.chain)};
        const first = createClient({ chain, store: { database: 'older' } });
        const { genesis } = await first.network();
        const { address } = await first.wallet.account();
        await first.close();
        const name = 'older@' + genesis;
        await new Promise((resolve, reject) => {
          const request = indexedDB.deleteDatabase(name);
          request.onsuccess = resolve;
          request.onerror = request.onblocked = reject;
        });
        // As version 1 made it.
        const old = await new Promise((resolve, reject) => {
          const request = indexedDB.open(name, 1);
          request.onupgradeneeded = () => {
            request.result.createObjectStore('deals', { keyPath: 'id' });
            request.result.createObjectStore('files', { keyPath: 'id' });
            request.result.createObjectStore('messages', { keyPath: 'purpose' });
            request.result.createObjectStore('bound');
          };
          request.onsuccess = () => resolve(request.result);
          request.onerror = reject;
        });
        await new Promise((resolve) => {
          const transaction = old.transaction('messages', 'readwrite');
          transaction.objectStore('messages').put({ purpose: 'kept', message: '00' });
          transaction.oncomplete = resolve;
        });
        // While it is open in another tab, it is in the way, and that is said.
        const waiting = createClient({ chain, store: { database: 'older' } });
        const blocked = await waiting.wallet.account().then(() => waiting.close(), (error) => error);
        old.close();
        const client = createClient({ chain, store: { database: 'older' } });
        const files = await client.files();
        const deals = await client.deals();
        const account = await client.wallet.account();
        const same = account.address === address;
        await client.close();
        const now = await new Promise((resolve) => {
          const request = indexedDB.open(name);
          request.onsuccess = () => resolve(request.result);
        });
        const indexes = [...now.transaction('deals').objectStore('deals').indexNames];
        const kept = await new Promise((resolve) => {
          const all = now.transaction('messages').objectStore('messages').getAll();
          all.onsuccess = () => resolve(all.result);
        });
        return { files, deals, same, bound: account.bound, version: now.version, indexes, kept, blocked: [blocked?.code, blocked?.message] };
      })()`,
    );
    assert.deepEqual(found.blocked, ['storage', 'an earlier version of this page is open in another tab']);
    assert.deepEqual([found.files, found.deals, found.same, found.bound, found.version], [[], [], true, true, 3]);
    assert.deepEqual(found.indexes, ['data', 'file']);
    assert.deepEqual(found.kept, [{ purpose: 'kept', message: '00' }], 'nothing is lost');
  }),
);
