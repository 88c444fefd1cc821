// js-libp2p against a real daemon, over each transport that Node has for it. The daemon's proofs are fake, so that a whole deal takes
// seconds; everything that goes over the wire is what it is otherwise.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import './node.mjs';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { tcp } from '@libp2p/tcp';
import { webSockets } from '@libp2p/websockets';
import { multiaddr } from '@multiformats/multiaddr';
import { start } from './daemon.mjs';
import { forgedDeal, wholeDeal } from './deal.mjs';
import { announced } from './directory.mjs';
import { Peer } from './peer.mjs';
import { PROTOCOL, STATE, toHex } from './wire.mjs';

let daemon;
let miner;
before(async () => {
  daemon = await start();
  [miner] = await daemon.ask('chain.miners');
  miner.addresses = await announced(daemon, miner.peerId);
});
after(() => daemon?.end());

/** The miner's address of one kind. */
const address = (kind) => {
  const found = miner.addresses.find((text) => (kind === 'tcp' ? /\/tcp\/\d+$/ : /\/ws$/).test(text));
  assert.ok(found, `the miner announces no address of ${kind}: ${miner.addresses}`);
  return `${found}/p2p/${miner.peerId}`;
};

/** Runs `work` with a peer that has one connection to the miner, of one kind. */
async function connected(kind, work) {
  const peer = await Peer.start([kind === 'tcp' ? tcp() : webSockets()]);
  try {
    const connection = await peer.dial(address(kind));
    assert.equal(connection.remotePeer.toString(), miner.peerId);
    assert.equal(connection.encryption, '/noise');
    assert.equal(connection.multiplexer, '/yamux/1.0.0');
    await work(peer);
  } finally {
    await peer.stop();
  }
}

/** Bytes for a piece, others for each seed. */
const file = (seed) => Uint8Array.from({ length: 1000 }, (_, i) => (i * 131 + seed * 17 + (i >> 3)) & 0xff);

for (const [seed, kind] of ['tcp', 'ws'].entries()) {
  test(`js-libp2p pings and identifies the miner over ${kind}`, () =>
    connected(kind, async (peer) => {
      assert.ok((await peer.ping()) >= 0);
      const { agentVersion, protocols } = await peer.identify();
      assert.match(agentVersion, /^sealdrop\//);
      for (const protocol of [PROTOCOL.propose, PROTOCOL.query, PROTOCOL.retrieve]) {
        assert.ok(protocols.includes(protocol), `${protocol} is missing in ${protocols}`);
      }
    }));

  test(`js-libp2p makes a paid deal, is asked for its piece, sees it complete and takes it back over ${kind}`, () =>
    connected(kind, async (peer) => {
      const bytes = file(seed);
      const { seen, pulled, vouchers } = await wholeDeal(peer, daemon.chain, bytes);
      assert.equal(seen.at(-1), STATE.complete);
      assert.equal(pulled, bytes.length);
      assert.equal(vouchers, 3);
    }));
}

test('a proposal that its payer did not sign is rejected in words that a client of 2019 reads', () =>
  connected('tcp', async (peer) => {
    const { state, message } = await forgedDeal(peer, daemon.chain, file(9));
    assert.equal(state, STATE.rejected);
    assert.equal(message, 'invalid deal signature');
  }));

test('every address that the miner announces is a multiaddr to js-libp2p, of the same bytes and text', () => {
  assert.ok(miner.addresses.length > 0);
  for (const text of miner.addresses) {
    const parsed = multiaddr(text);
    assert.equal(parsed.toString(), text);
    assert.equal(multiaddr(parsed.bytes).toString(), text);
  }
});

/** As go-libp2p prints them: every transport that it has, by name, IPv4 and IPv6, with and without a peer. */
const HASH = 'uEiAsGPzpiPGQzSlVHRXrUCT5EkTV7YFrV4VZ3hpEKTd_zg';
const OF_GO = [
  '/ip4/203.0.113.7/tcp/4001',
  '/ip6/2001:db8::7/tcp/4001/ws',
  '/dns4/miner.example/tcp/443/tls/ws',
  '/dns4/miner.example/tcp/443/wss',
  '/dns6/miner.example/udp/4001/quic-v1',
  `/ip4/203.0.113.7/udp/4001/quic-v1/webtransport/certhash/${HASH}/certhash/${HASH}`,
  `/ip4/203.0.113.7/udp/4001/webrtc-direct/certhash/${HASH}`,
  '/dns4/sni.example/tcp/443/tls/sni/sni.example/ws',
];

test("a peer record that js-libp2p signed is taken by the chain's directory, with addresses as go-libp2p prints them", async () => {
  const key = await generateKeyPair('Ed25519');
  const peerId = peerIdFromPrivateKey(key);
  const record = new PeerRecord({ peerId, multiaddrs: OF_GO.map((text) => multiaddr(text)) });
  const envelope = await RecordEnvelope.seal(record, key);
  assert.equal(await daemon.ask('peers.announce', { record: toHex(envelope.marshal()) }), true);
  assert.deepEqual(await announced(daemon, peerId.toString()), OF_GO);
});
