/**
 * The window's part of WebRTC-direct: makes peer connections for the network worker, which has no `RTCPeerConnection`, and hands
 * their data channels over to it (`src/webrtc.rs`). Each connection answers to one port of the worker.
 *
 * Nothing is exchanged beforehand: the miner makes the offer up from the name in the first packet, and what it would answer follows
 * from its address (libp2p's specification of webrtc-direct). So both descriptions are written here. All that comes from outside
 * is in the address: an IP address, a port and the fingerprint of a certificate, as the worker has read them.
 */

import type { FromPeer, PeerAddress, ToPeer } from './protocol.js';

/** Connections at once, at most: as many miners as a survey asks. A browser gives a page 500. */
const MAX_PEERS = 32;
/** Letters and digits of a connection's name. */
const NAME_LENGTH = 64;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** The peer connections of one worker. */
export class Peers {
  readonly #open = new Set<RTCPeerConnection>();

  /** Makes a connection; whatever comes of it is told to the port. */
  dial(address: PeerAddress, port: MessagePort): void {
    try {
      if (this.#open.size >= MAX_PEERS) {
        throw new Error(`there are ${MAX_PEERS} connections over WebRTC already`);
      }
      this.#begin(address, new RTCPeerConnection(), port);
    } catch (thrown) {
      port.postMessage({ kind: 'closed', reason: String(thrown) } satisfies FromPeer);
    }
  }

  #begin(address: PeerAddress, peer: RTCPeerConnection, port: MessagePort): void {
    const tell = (news: FromPeer, transfer: Transferable[] = []): void => port.postMessage(news, transfer);
    this.#open.add(peer);
    const end = (reason: string): void => {
      if (this.#open.delete(peer)) {
        peer.close();
        tell({ kind: 'closed', reason });
      }
      port.onmessage = null;
    };
    // A channel can be handed over only in the very task in which it was made.
    const handOver = (kind: 'opened' | 'incoming', channel: RTCDataChannel): void =>
      tell({ kind, channel }, [channel as unknown as Transferable]);
    port.onmessage = ({ data }: MessageEvent<ToPeer>) => {
      if (data === 'close') {
        end('it was closed');
        return;
      }
      try {
        handOver('opened', peer.createDataChannel(''));
      } catch (thrown) {
        // It has no number left for one more, or is closed.
        end(String(thrown));
      }
    };
    peer.ondatachannel = ({ channel }) => handOver('incoming', channel);
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === 'failed') {
        end(failure(peer));
      }
    };
    handOver('opened', peer.createDataChannel('', { negotiated: true, id: 0 }));
    connect(peer, address).then(
      (fingerprint) => {
        tell({ kind: 'local', fingerprint });
        watchEnd(peer, end);
      },
      (thrown) => end(String(thrown)),
    );
  }

  /** Ends all of them. */
  close(): void {
    for (const peer of this.#open) {
      peer.close();
    }
    this.#open.clear();
  }
}

/** Begins to connect; resolves to the fingerprint of this side's certificate. */
async function connect(peer: RTCPeerConnection, address: PeerAddress): Promise<string> {
  const name = newName();
  const { sdp = '' } = await peer.createOffer();
  await peer.setLocalDescription({ type: 'offer', sdp: offerUnder(name, sdp) });
  await peer.setRemoteDescription({ type: 'answer', sdp: answerOf(address, name) });
  const [, fingerprint = ''] = /^a=fingerprint:sha-256 (\S+)/im.exec(sdp) ?? [];
  return fingerprint.replaceAll(':', '').toLowerCase();
}

/** Connections whose other side has shown the certificate of its address. */
const met = new WeakSet<RTCPeerConnection>();

/** A peer that closes a connection says so in DTLS; one that vanishes is missed by ICE after half a minute. */
function watchEnd(peer: RTCPeerConnection, end: (reason: string) => void): void {
  const dtls = peer.sctp?.transport;
  dtls?.addEventListener('statechange', () => {
    if (dtls.state === 'connected') met.add(peer);
    if (dtls.state === 'closed' || dtls.state === 'failed') {
      end(failure(peer));
    }
  });
}

function failure(peer: RTCPeerConnection): string {
  switch (peer.sctp?.transport.state) {
    case 'failed':
      return 'whoever answers there does not have the certificate of this address';
    case 'new':
      return 'nobody answers there over UDP';
    default:
      // The other side may close before this one has told why.
      return met.has(peer)
        ? 'the connection was lost'
        : 'whoever answers there does not have the certificate of this address, or went away';
  }
}

/** What the miner knows a connection by; a stranger who guesses it is refused by its handshake. */
function newName(): string {
  const random = crypto.getRandomValues(new Uint8Array(NAME_LENGTH));
  return `libp2p+webrtc+v1/${Array.from(random, (byte) => LETTERS[byte % LETTERS.length]).join('')}`;
}

/** The browser's offer, with the name as both of ICE's credentials: that is how the miner knows them. */
function offerUnder(name: string, sdp: string): string {
  return sdp.replace(/^a=ice-(ufrag|pwd):.*$/gm, (_, key: string) => `a=ice-${key}:${name}`);
}

/** What a miner at this address would answer. */
function answerOf({ ip, port, fingerprint }: PeerAddress, name: string): string {
  const family = ip.includes(':') ? 'IP6' : 'IP4';
  const lines = [
    'v=0',
    `o=- 0 0 IN ${family} ${ip}`,
    's=-',
    't=0 0',
    'a=ice-lite',
    `m=application ${port} UDP/DTLS/SCTP webrtc-datachannel`,
    `c=IN ${family} ${ip}`,
    'a=mid:0',
    'a=ice-options:ice2',
    `a=ice-ufrag:${name}`,
    `a=ice-pwd:${name}`,
    `a=fingerprint:sha-256 ${fingerprint}`,
    'a=setup:passive',
    'a=sctp-port:5000',
    'a=max-message-size:16384',
    `a=candidate:1 1 UDP 1 ${ip} ${port} typ host`,
    'a=end-of-candidates',
  ];
  return `${lines.join('\r\n')}\r\n`;
}
