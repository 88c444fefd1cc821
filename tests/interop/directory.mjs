// Where a peer can be dialled, as the chain's directory says: the record that the peer signed, opened by js-libp2p, which checks who
// signed it.

import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { fromHex } from './wire.mjs';

/** The addresses that a peer announced, as text without the peer's id. */
export async function announced(daemon, peerId) {
  const found = await daemon.ask('peers.find', { peerId });
  // A directory that opens records itself gives the addresses alone.
  const addresses = Array.isArray(found) ? found : await opened(fromHex(found), peerId);
  return addresses.map((text) => text.replace(/\/p2p\/[^/]+$/, ''));
}

async function opened(bytes, peerId) {
  const envelope = await RecordEnvelope.openAndCertify(bytes, PeerRecord.DOMAIN);
  const record = PeerRecord.createFromProtobuf(envelope.payload);
  if (record.peerId.toString() !== peerId) throw new Error(`the record of ${peerId} is ${record.peerId}'s`);
  return record.multiaddrs.map((address) => address.toString());
}
