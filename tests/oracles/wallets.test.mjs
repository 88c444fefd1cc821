// What Ethereum wallets sign for the chain, against the packages that dapps use: `viem` and `iso-filecoin`. The vectors that the Rust
// code is held against (`shared/tests/wallets.rs`) are made again here; SEALDROP_WRITE=1 writes hashes, signatures and addresses anew,
// for typed data that the Rust code made.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { fromEthAddress, fromString } from 'iso-filecoin/address';
import { hashTypedData, recoverTypedDataAddress } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

const FILE = resolve(import.meta.dirname, '../../shared/tests/wallets.json');
const SECRETS = [1, 2, 7].map((byte) => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`);
const wallet = privateKeyToAccount(`0x${'07'.repeat(32)}`);

const vectors = JSON.parse(await readFile(FILE, 'utf8'));

const hex = (bytes) => Buffer.from(bytes).toString('hex');

function addressOf(secret) {
  const ethereum = privateKeyToAccount(secret).address.toLowerCase();
  const filecoin = fromEthAddress(ethereum, 'testnet');
  return { secret, ethereum, filecoin: filecoin.toString(), bytes: hex(filecoin.toBytes()) };
}

async function signed({ typedData }) {
  return { typedData, hash: hashTypedData(typedData), signature: await wallet.signTypedData(typedData) };
}

if (process.env.SEALDROP_WRITE === '1') {
  vectors.addresses = SECRETS.map(addressOf);
  vectors.messages = await Promise.all(vectors.messages.map(signed));
  await writeFile(FILE, `${JSON.stringify(vectors, null, 2)}\n`);
}

test('addresses of wallets are what iso-filecoin makes of them', () => {
  assert.ok(vectors.addresses.length >= 3);
  for (const vector of vectors.addresses) {
    assert.deepEqual(vector, addressOf(vector.secret));
    assert.equal(fromString(vector.filecoin).toString(), vector.filecoin);
  }
});

test('hashes and signatures of typed data are what viem makes of it', async () => {
  assert.ok(vectors.messages.length >= 4);
  for (const vector of vectors.messages) {
    assert.deepEqual(vector, await signed(vector));
    const { typedData, signature } = vector;
    assert.equal(await recoverTypedDataAddress({ ...typedData, signature }), wallet.address);
  }
});

test('another network has another hash', () => {
  for (const { typedData, hash } of vectors.messages) {
    const domain = { ...typedData.domain, salt: `0x${'11'.repeat(32)}` };
    assert.notEqual(hashTypedData({ ...typedData, domain }), hash);
  }
});
