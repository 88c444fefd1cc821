// The specification's vectors (appendix A) by other people's CBOR, hashes and signatures: what `deal.mjs` sends is the protocol of
// 2019, and our own encoders are not asked. `shared/tests/vectors.rs` holds them against the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addressBytes,
  addressText,
  atto,
  BROKER,
  CID,
  decode,
  encode,
  fromHex,
  idOf,
  Key,
  parseSigned,
  rawIdOf,
  sealed,
  signed,
  signer,
  text,
  toHex,
  unsigned,
  voucherPayload,
  vouchers,
} from './wire.mjs';

const key = (byte) => new Key(new Uint8Array(32).fill(byte));
const [client, owner, worker] = [1, 2, 3].map(key);
const miner = addressBytes('t2ewszk3zwnf2k5vppxihm4k7wi4tbo4x3ycsf3tq');
const commP = Uint8Array.from({ length: 32 }, (_, i) => i);
const piece = CID.parse('bafk2bzaceaze3tycpxkkgcutfrcb6ns2exugwfz556slrzmjjasti4nydnzm6');
const channelMessage = CID.parse('bafy2bzacedjwujqzuzzesrqe4en3ir6lz5jdd2psxis4efuro7w4sqn5kcwwy');
const terms = {
  target: owner.address,
  miner,
  channel: 9,
  total: 5_000_000n,
  duration: 2500,
  start: 773,
  commP,
  size: 1000,
};

const proposal = (total, payment) => ({
  pieceRef: piece,
  size: signed(1000),
  totalPrice: signed(total),
  duration: 2500,
  minerAddress: miner,
  payment: { payer: client.address, ...payment },
});
const free = proposal(0, { payChActor: new Uint8Array(), channel: null, channelMsgCid: null, vouchers: null });
const paid = proposal(5_000_000, {
  payChActor: BROKER,
  channel: signed(9),
  channelMsgCid: channelMessage,
  vouchers: vouchers(client, terms),
});

test('numbers, keys and addresses are those of the vectors (appendix A)', () => {
  for (const [number, digits] of [
    [0, '00'],
    [63, '3f'],
    [64, 'c000'],
    [300, 'ac02'],
    [10n ** 18n, '808090bbbad6adf00d'],
    [-1, '7f'],
    [-64, '40'],
    [-65, 'bf7f'],
    [-1024, '8078'],
  ]) {
    assert.equal(toHex(signed(number)), digits);
    assert.equal(parseSigned(fromHex(digits)), BigInt(number));
  }
  for (const [number, digits] of [
    [64, '40'],
    [128, '8001'],
    [300, 'ac02'],
  ]) {
    assert.equal(toHex(unsigned(number)), digits);
  }
  assert.equal(client.text, 't1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi');
  assert.equal(owner.text, 't14rkut6lkfumi33nj765t4kli2m7aqytdaclor3y');
  assert.equal(worker.text, 't1q6ursdizgt5s2s2k5aovthgopmt2wqyurdehrqi');
  assert.equal(toHex(miner), '0225a5956f366974aed5efba0ece2bf647261772fb');
  assert.equal(addressText(miner), 't2ewszk3zwnf2k5vppxihm4k7wi4tbo4x3ycsf3tq');
  assert.equal(toHex(addressBytes('t03')), toHex(BROKER));
  assert.equal(atto('0.00025'), 250_000_000_000_000n);
});

test('ids are those of the vectors (appendix A)', () => {
  assert.equal(`${rawIdOf(text('hello'))}`, `${piece}`);
  assert.equal(`${idOf(fromHex('a0'))}`, `${channelMessage}`);
});

test('vouchers have the payloads and signatures of the vectors (appendix A)', () => {
  const [first, , last] = vouchers(client, terms);
  assert.equal(
    toHex(voucherPayload(first)),
    '09008089fa00000225a5956f366974aed5efba0ece2bf647261772fb7665726966795069656365496e636c7573696f6e' +
      '825820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f42e807ed0d',
  );
  assert.equal(
    toHex(first.signature),
    'fa47061de26317460011454334339788bcc38526e2f98450bd319fb588f118b77ebecc766b609d21b393a6eb43911fe92add67d3ad586d9448959fd9594dc12a00',
  );
  assert.equal(toHex(voucherPayload(last)), '0900c096b10200c919');
  assert.equal(
    toHex(last.signature),
    '63c4c63d8b7794856181d06ce5d2ddcb6992ec89c80d6fb242973fb732f9636621a53c010ff5abc5246761e6d26436e101d7bcb380f82ba87931d94a5e58ef6a01',
  );
  assert.equal(encode(first).length, 277);
});

test('proposals have the bytes, signatures and ids of the vectors (appendix A)', () => {
  assert.equal(
    toHex(encode(free)),
    'a66473697a6542e807677061796d656e74a5657061796572550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde05676368616e6e656cf668766f756368657273f66a70617943684163746f72406d6368616e6e656c4d7367436964f6686475726174696f6e1909c4687069656365526566d82a5827000155a0e40220324dcf027dd4a30a932c441f365a25e86b173defa4b8e58948253471b81b72cf6a746f74616c507269636541006c6d696e657241646472657373550225a5956f366974aed5efba0ece2bf647261772fb',
  );
  const freeSigned = sealed(client, free);
  assert.equal(
    toHex(freeSigned.signature),
    'eb0544be6bcc071c2c7a288cd3aff9b5159e0cac52e17ad1c7df067d73bc5d2d03cd6bcc2f55ae3a28a2d732f0da840b2bd84344c3cea13b20dcfdee0e0b825301',
  );
  assert.equal(`${idOf(encode(freeSigned))}`, 'bafy2bzacearkno52pu76otqqmfokmvr2gd6psevf65omwlw3sv47ggzqx4x7w');
  assert.equal(encode(paid).length, 985);
  const paidSigned = sealed(client, paid);
  assert.equal(
    toHex(paidSigned.signature),
    '960a6ded16b31fb8c354fb8b1fb3f8d22dc7f5a08f00b3708492018f59540fea3f9bee5ced90a436bc01b3d5a0e1285a0db967b8e4881b7ebbc8b11a73fa48f200',
  );
  assert.equal(`${idOf(encode(paidSigned))}`, 'bafy2bzacec7zc6uiima3ou44t4ur5cgpmeqi5nf2h7hsy7l3knqezwbk6gyag');
});

test("a miner's answer of the vectors is read and its signer found (appendix A)", () => {
  const response = fromHex(
    'a465737461746503676d657373616765606970726f6f66496e666ff66b70726f706f73616c436964d82a5827000171a0e4022022a6bbba7d3fe74e10615ca6563a30fcf912a5f75ccb2edb9579f31b30bf2ffb',
  );
  assert.deepEqual(
    { ...decode(response), proposalCid: '' },
    { state: 3, message: '', proofInfo: null, proposalCid: '' },
  );
  const signature = fromHex(
    'd63cbf8603f6b9953127b36242d13a25542ec904a509b8bd6309620b980321f7056fc05587353e5df3f96d7bcaa6dd1db309b9f035747acf3c24a3d37778f22f00',
  );
  assert.equal(addressText(signer(response, signature)), worker.text);
});
