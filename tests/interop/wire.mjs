// The wire format of 2019 from other people's parts: dag-cbor for CBOR, multiformats for ids, noble for hashes and signatures,
// data-segment for CommP. Written from the specification (spec §1), not from our code; `vectors.test.mjs` holds it against the
// specification's vectors, so that what `deal.mjs` sends is what a program of 2019 would have sent.

import { decode, encode } from '@ipld/dag-cbor';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { blake2b } from '@noble/hashes/blake2.js';
import * as segment from '@web3-storage/data-segment/multihash';
import { base32 } from 'multiformats/bases/base32';
import { CID } from 'multiformats/cid';
import { create } from 'multiformats/hashes/digest';
import { sha256 } from 'multiformats/hashes/sha2';

export { CID, decode, encode };

const [RAW, DAG_CBOR] = [0x55, 0x71];
const BLAKE2B_256 = 0xb220;

export const BROKER = Uint8Array.of(0, 3);
export const STATE = { rejected: 2, accepted: 3, failed: 5, staged: 6, complete: 7 };
export const PROTOCOL = {
  propose: '/fil/storage/mk/1.0.0',
  query: '/fil/storage/qry/1.0.0',
  retrieve: '/fil/retrieval/free/0.0.0',
  transfer: '/sealdrop/transfer/1.0.0',
};

export const concat = (...parts) => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};
export const text = (words) => new TextEncoder().encode(words);
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
export const fromHex = (digits) => Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const hash = (bytes) => blake2b(bytes, { dkLen: 32 });

/** Signed LEB128: amounts, heights, channels. */
export function signed(number) {
  let rest = BigInt(number);
  const bytes = [];
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && byte < 0x40) || (rest === -1n && byte >= 0x40)) return Uint8Array.from([...bytes, byte]);
    bytes.push(byte | 0x80);
  }
}

/** Unsigned LEB128: nonces, gas limits. */
export function unsigned(number) {
  let rest = BigInt(number);
  const bytes = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.from([...bytes, Number(rest)]);
}

export function parseSigned(bytes) {
  let number = 0n;
  for (const [at, byte] of bytes.entries()) number |= BigInt(byte & 0x7f) << BigInt(7 * at);
  return bytes.at(-1) & 0x40 ? number - (1n << BigInt(7 * bytes.length)) : number;
}

/** attoFIL of a decimal number of FIL. */
export function atto(fil) {
  const [whole, part = ''] = fil.split('.');
  return BigInt(whole) * 10n ** 18n + BigInt(part.padEnd(18, '0'));
}

/** The bytes of an address's text, whose checksum must be right. */
export function addressBytes(address) {
  const protocol = Number(address[1]);
  if (protocol === 0) return concat([0], unsigned(address.slice(2)));
  const all = base32.decode(`b${address.slice(2)}`);
  const bytes = concat([protocol], all.slice(0, -4));
  if (addressText(bytes) !== address) throw new Error(`the checksum of ${address} is wrong`);
  return bytes;
}

export function addressText(bytes) {
  const sum = blake2b(bytes, { dkLen: 4 });
  return `t${bytes[0]}${base32.encode(concat(bytes.slice(1), sum)).slice(1)}`;
}

const addressOf = (publicKey) => concat([1], blake2b(publicKey.toBytes(false), { dkLen: 20 }));

/** An account: 32 bytes of a secret key. */
export class Key {
  constructor(secret) {
    this.secret = secret;
    this.address = addressOf(secp256k1.Point.fromBytes(secp256k1.getPublicKey(secret)));
    this.text = addressText(this.address);
  }

  static random() {
    return new Key(secp256k1.utils.randomSecretKey());
  }

  /** R, S and V. */
  sign(bytes) {
    const found = secp256k1.sign(hash(bytes), this.secret, { prehash: false, format: 'recovered' });
    return concat(found.slice(1), found.slice(0, 1));
  }
}

/** The address of who signed. */
export function signer(bytes, signature) {
  const recovered = concat(signature.slice(64), signature.slice(0, 64));
  const publicKey = secp256k1.recoverPublicKey(recovered, hash(bytes), { prehash: false });
  return addressOf(secp256k1.Point.fromBytes(publicKey));
}

/** The id of an object with this CBOR. */
export const idOf = (cbor) => CID.createV1(DAG_CBOR, create(BLAKE2B_256, hash(cbor)));
/** The id of raw bytes by 2019's hash. */
export const rawIdOf = (bytes) => CID.createV1(RAW, create(BLAKE2B_256, hash(bytes)));
/** The root of a file of one leaf. */
export const fileId = async (bytes) => CID.createV1(RAW, await sha256.digest(bytes));
export const commP = (bytes) => segment.create().write(bytes).digest().digest.slice(-32);

/** A struct with its signature among its own keys. */
export const sealed = (key, unsignedStruct) => ({ ...unsignedStruct, signature: key.sign(encode(unsignedStruct)) });

/** What is signed of a voucher. */
export function voucherPayload({ channel, amount, condition, validAt }) {
  const bound = condition ? [condition.to, text(condition.method), encode(condition.params)] : [];
  return concat(channel, [0], amount, [0], ...bound, validAt);
}

/** The vouchers of a deal as clients of 2019 drew them up (spec §3.4): the last one has no condition. */
export function vouchers(key, { target, miner, channel, total, duration, start, commP: piece, size }) {
  const interval = 1000n;
  const count = (BigInt(duration) + interval - 1n) / interval;
  const step = (total * interval + BigInt(duration) - 1n) / BigInt(duration);
  const inclusion = { to: miner, method: 'verifyPieceInclusion', params: [piece, signed(size)] };
  return Array.from({ length: Number(count) }, (_, i) => {
    const [number, isLast] = [BigInt(i + 1), i + 1 === Number(count)];
    const paid = step * number < total ? step * number : total;
    const voucher = {
      channel: signed(channel),
      payer: key.address,
      target,
      amount: signed(isLast ? total : paid),
      validAt: signed(BigInt(start) + (isLast ? BigInt(duration) : interval * number)),
      condition: isLast ? null : inclusion,
    };
    return { ...voucher, signature: key.sign(voucherPayload(voucher)) };
  });
}
