// A libp2p peer with a key of its own and the record of its addresses that it signs (RFC 0002 and 0003 of libp2p's specifications).

import { generateKeyPairSync, sign } from 'node:crypto';

const DIGITS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

function base58(bytes) {
  let number = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  let text = '';
  for (; number > 0n; number /= 58n) text = DIGITS[Number(number % 58n)] + text;
  return '1'.repeat(bytes.findIndex((byte) => byte !== 0)) + text;
}

function varint(number) {
  const bytes = [];
  for (; number >= 0x80; number = Math.floor(number / 128)) bytes.push((number % 128) | 0x80);
  return Buffer.from([...bytes, number]);
}

const prefixed = (bytes) => Buffer.concat([varint(bytes.length), Buffer.from(bytes)]);
const field = (number, bytes) => Buffer.concat([varint(number * 8 + 2), prefixed(bytes)]);
const numberField = (number, value) => Buffer.concat([varint(number * 8), varint(value)]);

/** Multicodecs: ip4, tcp, ws. */
function multiaddr({ ip, port, webSocket }) {
  return Buffer.from([4, ...ip, 6, port >> 8, port & 0xff, ...(webSocket ? [0xdd, 0x03] : [])]);
}

/** A new peer at these addresses: its id as text, and its signed record in hexadecimal. */
export function signedPeer(addresses, seq = Math.floor(Date.now() / 1000)) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url');
  const key = Buffer.concat([numberField(1, 1), field(2, raw)]);
  const id = Buffer.concat([Buffer.from([0, key.length]), key]);
  const payload = Buffer.concat([
    field(1, id),
    numberField(2, seq),
    ...addresses.map((address) => field(3, field(1, multiaddr(address)))),
  ]);
  const type = Buffer.from([0x03, 0x01]);
  const signed = Buffer.concat([Buffer.from('libp2p-peer-record'), type, payload].map(prefixed));
  const signature = sign(null, signed, privateKey);
  const record = Buffer.concat([field(1, key), field(2, type), field(3, payload), field(5, signature)]);
  return { id: base58(id), record: record.toString('hex') };
}
