// What `browser.test.mjs` runs in the page.

import { webSockets } from '@libp2p/websockets';
import { webTransport } from '@libp2p/webtransport';
import { wholeDeal } from './deal.mjs';
import { Peer } from './peer.mjs';

const TRANSPORTS = { ws: webSockets, webtransport: webTransport };

/** Pings, identifies, and makes a whole deal over one connection to `address`. */
export async function run({ kind, address, chain }) {
  const peer = await Peer.start([TRANSPORTS[kind]()]);
  try {
    const connection = await peer.dial(address);
    const ping = await peer.ping();
    const { agentVersion } = await peer.identify();
    const bytes = crypto.getRandomValues(new Uint8Array(1000));
    return { peer: `${connection.remotePeer}`, ping, agent: agentVersion, ...(await wholeDeal(peer, chain, bytes)) };
  } finally {
    await peer.stop();
  }
}
