// A page of somebody else's, whose account is a wallet (EIP-1193), in real Chromium against a real daemon, whose proofs are fake: its person
// is asked once for each payment channel, and the session key does the rest. What they refuse, or sign too late, costs nothing.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Daemon, FAKE } from './daemon.mjs';
import { launch, onPage, SOON_MS } from './page.mjs';
import { serve } from './site.mjs';
import { Wallet } from './wallet.mjs';

const LIMIT = { timeout: 4 * SOON_MS };
/** A sector has room for more. */
const SIZE = 200;
/** Blocks, of one voucher: some seconds, in which the deal is completed, proven and read back. */
const DURATION = 180;
/** Blocks in which a payment that is on its way would be seen. */
const A_FEW = 4;

let browser;
let daemon;
let site;

before(async () => {
  // Short periods: proofs-of-spacetime and refunds come within seconds.
  const periods = ['--proving-period', '60', '--challenge-window', '30', '--grace', '240', '--cancel-delay', '12'];
  // Nothing is sealed before it is said, so that a deal can be given up.
  daemon = await Daemon.start(['--auto-seal', '24h', ...periods], { blockTime: '100ms', program: FAKE });
  site = await serve();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await site?.close();
  await daemon?.end();
});

/** Calls `work` in the page with its client and `input`; what is thrown there comes back as `{ code, message }`. */
const attempt = (page, work, input) =>
  page.evaluate(`(async () => {
    try {
      return await (${work})(globalThis.client, ${JSON.stringify(input ?? null)});
    } catch ({ code, message }) {
      return { code, message };
    }
  })()`);

/** The same; what is thrown there fails the test. */
async function ask(page, work, input) {
  const outcome = await attempt(page, work, input);
  assert.equal(outcome?.code, undefined, `${outcome?.code}: ${outcome?.message}`);
  return outcome;
}

/** Opens the page's client with its wallet; `globalThis.seen` waits for a deal or a file to be as it should. */
async function open(page, chain) {
  await page.evaluate(`(async () => {
    const { createClient } = await import('/client/index.js');
    globalThis.client = createClient({ chain: ${JSON.stringify(chain)}, signer: globalThis.ethereum });
    globalThis.seen = async (id, isSo) => {
      for await (const { deal, file } of client.watch(id)) {
        const shown = deal?.id === id ? deal : file?.file === id ? file : undefined;
        if (shown !== undefined && isSo(shown)) return shown;
      }
    };
  })()`);
  return ask(page, (client) => client.wallet.account());
}

/** A page of somebody else's, in a browser that was never there. */
const onSite = (name, work) =>
  onPage(
    browser,
    {
      page: `http://127.0.0.1:${site.port}/`,
      get log() {
        return daemon.log;
      },
    },
    name,
    work,
  );

/** Runs a test on such a page whose account is a wallet's, with money. */
const withWallet = (name, work) =>
  onSite(name, async (page) => {
    const wallet = new Wallet();
    await wallet.enter(page);
    await page.reload();
    const { address, bound } = await open(page, daemon.chain);
    assert.ok(bound && address.startsWith('t410f'), address);
    await ask(page, (client) => client.wallet.faucet());
    await work(page, wallet, address);
  });

/** Has a file stored; resolves with its id when the order is taken. */
const order = (page, bytes, options = {}) =>
  ask(
    page,
    async (client, [bytes, options]) => {
      globalThis.storing = client.store(new File([Uint8Array.from(bytes)], 'letter.bin'), options);
      // Whoever waits for it hears of it later.
      globalThis.storing.catch(() => undefined);
      for await (const event of globalThis.storing) if (event.type === 'ordered') return event.id;
    },
    [[...bytes], { duration: DURATION, ...options }],
  );

/** The deals of a file. */
const dealsOf = (page, file) =>
  ask(page, async (client, file) => (await client.deals()).filter(({ partOf }) => partOf === file), file);

/** Waits until a deal's piece is at its miner, in a sector that is not sealed yet. */
const staged = (page, id) => ask(page, (_, id) => globalThis.seen(id, ({ step }) => step === 'staged'), id);

/** What the chain says of an account. */
const actor = (address) => daemon.ask('chain.actor', { address });

/** Lets blocks pass in which what was signed would be seen. */
const blocks = (page) =>
  ask(
    page,
    async (client, count) => {
      let last;
      for await (const { head } of client.watch()) {
        last ??= head && head.height + count;
        if (head?.height >= last) return;
      }
    },
    A_FEW,
  );

test('a wallet is asked once for a whole deal, and pays by what its session key signs', LIMIT, () =>
  withWallet('whole', async (page, wallet, address) => {
    const bytes = randomBytes(SIZE);
    const file = await order(page, bytes);
    const { shown, confirm } = await wallet.prompt();
    assert.equal(shown.primaryType, 'OpenPaymentChannel');
    assert.equal(shown.message.from, address);
    await confirm();
    const [{ id, total }] = await dealsOf(page, file);
    await staged(page, id);
    await daemon.operate('mining', 'seal-now');
    const stored = await ask(page, () => globalThis.storing);
    assert.deepEqual([stored.id, stored.file.progress.state], [file, 'kept']);

    // The payer is the wallet, and the key that it was shown signs for the channel.
    const number = Number(shown.message.number);
    const channel = await daemon.ask('chain.channel', { payer: address, id: number });
    assert.equal(channel.session, shown.message.sessionKey);
    assert.equal(channel.target, shown.message.payTo);
    assert.equal(`${channel.amount} FIL`, shown.message.amount);

    // As after a reload: a new client, the same wallet.
    await page.reload();
    assert.equal((await open(page, daemon.chain)).address, address);
    await ask(page, (_, id) => globalThis.seen(id, ({ step }) => step === 'proven'), id);
    const back = await ask(
      page,
      async (client, file) => {
        const came = new Uint8Array(await new Response(client.retrieve(file)).arrayBuffer());
        return { came: [...came], verified: (await client.verify(file)).state };
      },
      file,
    );
    assert.deepEqual(back, { came: [...bytes], verified: 'holds' });

    const paid = await ask(
      page,
      async (client, id) => {
        for await (const _ of client.watch()) {
          const payments = await client.payments(id);
          if (payments.redeemed === payments.total) return payments;
        }
      },
      id,
    );
    assert.equal(paid.redeemed, total);
    assert.ok(paid.vouchers.length > 0 && paid.vouchers.every(({ payer }) => payer === address));
    assert.equal((await daemon.ask('chain.channel', { payer: address, id: number })).amountRedeemed, channel.amount);
    assert.deepEqual([wallet.asked, (await actor(address)).nonce], [1, 1]);
  }),
);

test('a person who says no has paid nothing, is told so, and is asked again when they want it', LIMIT, () =>
  withWallet('refused', async (page, wallet, address) => {
    const before = await actor(address);
    const file = await order(page, randomBytes(SIZE));
    (await wallet.prompt()).refuse();
    const { code, message } = await attempt(page, () => globalThis.storing);
    assert.equal(code, 'signer-refused', message);
    const [deal] = await dealsOf(page, file);
    assert.deepEqual([deal.state, deal.error.code, deal.refunds], ['failed', 'signer-refused', []]);
    assert.match(deal.error.hint, /Nothing was paid/);
    await blocks(page);
    assert.deepEqual(await actor(address), before);
    assert.equal(wallet.asked, 1, 'nobody asks a second time');

    await ask(page, (client, file) => client.retry(file), file);
    (await wallet.prompt()).refuse();
    await ask(page, (_, file) => globalThis.seen(file, ({ stopped }) => stopped !== undefined), file);
    const left = await ask(page, (client, file) => client.remove(file).then(() => client.deals()), file);
    assert.deepEqual(left, []);
    assert.deepEqual(await actor(address), before);
  }),
);

test('what is given up while a wallet asks ends at once, and costs nothing if it is signed after all', LIMIT, () =>
  withWallet('too-late', async (page, wallet, address) => {
    const before = await actor(address);
    // Two deals: that about the manifest waits for its turn to ask.
    const file = await order(page, randomBytes(SIZE), { withManifest: true });
    const { confirm } = await wallet.prompt();
    await ask(page, (client, file) => client.giveUp(file), file);
    const { code, message } = await attempt(page, () => globalThis.storing);
    assert.equal(code, 'deal-failed', message);
    const deals = await dealsOf(page, file);
    assert.equal(deals.length, 2);
    for (const { state, reason } of deals) assert.deepEqual([state, reason], ['failed', 'given up: you asked for it']);
    await confirm();
    await blocks(page);
    assert.deepEqual(await actor(address), before);
    assert.equal(wallet.asked, 1, 'nobody is asked for what was given up');
    assert.deepEqual(
      (await dealsOf(page, file)).flatMap(({ refunds }) => refunds),
      [],
    );
  }),
);

test('what a wallet paid for a deal that was given up comes back without another question', LIMIT, () =>
  withWallet('refund', async (page, wallet, address) => {
    const before = await actor(address);
    const file = await order(page, randomBytes(SIZE));
    const { shown, confirm } = await wallet.prompt();
    await confirm();
    const [{ id }] = await dealsOf(page, file);
    await staged(page, id);
    await ask(page, (client, file) => client.giveUp(file), file);
    const deal = await ask(
      page,
      (_, id) => globalThis.seen(id, ({ refunds: [refund] }) => refund?.state === 'returned'),
      id,
    );
    assert.equal(deal.state, 'failed');
    const channel = { payer: address, id: Number(shown.message.number) };
    assert.equal(await daemon.ask('chain.channel', channel), null, 'the channel is gone');
    assert.equal(wallet.asked, 1);
    // All but the gas of the messages.
    const lost = Number(before.balance) - Number((await actor(address)).balance);
    assert.ok(lost < 0.01 * Number.parseFloat(shown.message.amount), `${lost} of ${shown.message.amount}`);
  }),
);

test(
  'a backup brings deals that a wallet paid for into another browser, with what signs for their channels',
  LIMIT,
  () =>
    withWallet('backup', async (page, wallet, address) => {
      const file = await order(page, randomBytes(SIZE));
      const { shown, confirm } = await wallet.prompt();
      await confirm();
      const [{ id }] = await dealsOf(page, file);
      await staged(page, id);
      const kept = await ask(page, async () => {
        const { backup, phrase } = await import('/client/account.js');
        const bytes = new Uint8Array(await (await backup()).arrayBuffer());
        return { bytes: [...bytes], phrase: await phrase() };
      });
      // Whoever has both carries the deal on in one place alone.
      await page.close();
      await onSite('restored', async (other) => {
        await wallet.enter(other);
        await other.reload();
        const { networks } = await ask(
          other,
          async (_, { bytes, phrase }) => {
            const { restore } = await import('/client/account.js');
            return restore({ phrase, file: new Blob([Uint8Array.from(bytes)]) });
          },
          kept,
        );
        assert.deepEqual(
          networks.map(({ signer, deals, files }) => ({ signer, deals, files })),
          [{ signer: address, deals: 1, files: 1 }],
        );
        assert.equal((await open(other, daemon.chain)).address, address);
        assert.deepEqual(
          (await dealsOf(other, file)).map(({ id }) => id),
          [id],
        );
        // It goes on where it was.
        await ask(other, (_, id) => globalThis.seen(id, ({ connected }) => connected), id);
        await ask(other, (client, id) => client.giveUp(id), id);
        await ask(other, (_, id) => globalThis.seen(id, ({ refunds: [refund] }) => refund?.state === 'returned'), id);
        const channel = { payer: address, id: Number(shown.message.number) };
        assert.equal(await daemon.ask('chain.channel', channel), null, 'the channel is gone');
      });
      assert.equal(wallet.asked, 1);
    }),
);
