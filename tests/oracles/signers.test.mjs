// Wallets as a client uses them (EIP-1193), with viem's local account for a wallet: what they are asked, and what becomes of what they say.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { privateKeyToAccount } from 'viem/accounts';

const CLIENT = process.env.SEALDROP_CLIENT ?? resolve(import.meta.dirname, '../../client-wasm/dist');
const { openSigner } = await import(join(CLIENT, 'signers.js'));
const { SealdropError } = await import(join(CLIENT, 'errors.js'));

const account = privateKeyToAccount(`0x${'07'.repeat(32)}`);
const other = privateKeyToAccount(`0x${'08'.repeat(32)}`);
const file = resolve(import.meta.dirname, '../../shared/tests/wallets.json');
const [vector] = JSON.parse(await readFile(file, 'utf8')).messages;
const typedData = JSON.stringify(vector.typedData);
const nothing = new Uint8Array();

/** A wallet in a page; `shown` are its accounts, and `refusal` is what it throws instead of signing. */
function wallet() {
  const fake = { shown: [account.address], refusal: undefined, asked: [], listeners: new Set() };
  return Object.assign(fake, {
    async request({ method, params }) {
      fake.asked.push(method);
      if (method === 'eth_requestAccounts' || method === 'eth_accounts') return fake.shown;
      if (method !== 'eth_signTypedData_v4') throw Object.assign(new Error('no such method'), { code: 4200 });
      if (fake.refusal) throw fake.refusal;
      assert.equal(params[0], account.address);
      return account.signTypedData(JSON.parse(params[1]));
    },
    on: (_, listener) => fake.listeners.add(listener),
    removeListener: (_, listener) => fake.listeners.delete(listener),
  });
}

const withCode = (code) => (thrown) => thrown instanceof SealdropError && thrown.code === code && thrown.hint !== '';

test('a wallet is asked for its account once, and signs what it shows', async () => {
  const fake = wallet();
  const signer = await openSigner(fake);
  assert.equal(signer.address, account.address.toLowerCase());
  const signature = await signer.sign(nothing, typedData);
  assert.equal(`0x${Buffer.from(signature).toString('hex')}`, vector.signature);
  assert.deepEqual(fake.asked, ['eth_requestAccounts', 'eth_accounts', 'eth_signTypedData_v4']);
});

test('a user who says no is told apart from a wallet that fails', async () => {
  const fake = wallet();
  const signer = await openSigner(fake);
  fake.refusal = Object.assign(new Error('User rejected the request.'), { code: 4001 });
  await assert.rejects(signer.sign(nothing, typedData), withCode('signer-refused'));
  for (const code of [4100, 4900, -32603, undefined]) {
    fake.refusal = Object.assign(new Error('no'), { code });
    await assert.rejects(signer.sign(nothing, typedData), withCode('signer-failed'));
  }
  fake.refusal = Object.assign(new Error('no'), { code: -32601 });
  await assert.rejects(signer.sign(nothing, typedData), withCode('unsupported'));
});

test('a wallet that turned to another account is not asked to sign', async () => {
  const fake = wallet();
  const signer = await openSigner(fake);
  fake.shown = [other.address];
  await assert.rejects(signer.sign(nothing, typedData), withCode('signer-failed'));
  assert.ok(!fake.asked.includes('eth_signTypedData_v4'));
  fake.shown = [other.address, account.address];
  assert.equal((await signer.sign(nothing, typedData)).length, 65);
});

test('a change of accounts is told while somebody listens', async () => {
  const fake = wallet();
  const signer = await openSigner(fake);
  const heard = [];
  const stop = signer.whenChanged((problem) => heard.push(problem.code));
  const change = (accounts) => {
    for (const listener of fake.listeners) listener(accounts);
  };
  change([account.address]);
  assert.deepEqual(heard, []);
  change([other.address]);
  change([]);
  assert.deepEqual(heard, ['signer-failed', 'signer-failed']);
  stop();
  assert.equal(fake.listeners.size, 0);
});

test('a wallet without an account, and an answer that is no signature, are refused', async () => {
  const fake = wallet();
  fake.shown = [];
  await assert.rejects(openSigner(fake), withCode('signer-failed'));
  fake.shown = [account.address];
  const signer = await openSigner({ ...fake, request: (call) => (call.params ? '0x00' : fake.request(call)) });
  await assert.rejects(signer.sign(nothing, typedData), withCode('unsupported'));
});

test('any other signer is handed the bytes, and may refuse', async () => {
  const message = Uint8Array.of(1, 2, 3);
  const signed = [];
  const signer = await openSigner({
    address: 't1somebody',
    sign: (bytes) => {
      signed.push(bytes);
      return new Uint8Array(65);
    },
  });
  assert.equal((await signer.sign(message, undefined)).length, 65);
  assert.deepEqual(signed, [message]);
  const no = new SealdropError('signer-refused', 'not today', 'Come back tomorrow.');
  const refusing = await openSigner({ address: 't1somebody', sign: () => Promise.reject(no) });
  await assert.rejects(refusing.sign(message, undefined), no);
  const broken = await openSigner({ address: 't1somebody', sign: () => Promise.reject(new Error('unplugged')) });
  await assert.rejects(broken.sign(message, undefined), withCode('signer-failed'));
});
