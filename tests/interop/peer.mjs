// A js-libp2p node as a storage client: asks a miner over streams of one message each, and gives its piece when the miner pulls.
// Runs in Node and, bundled, in a page; whoever starts it says which transports there are.

import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { lpStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { concat, decode, encode, PROTOCOL, toHex } from './wire.mjs';

/** Longest message of 2019 (spec §1.2). */
const MAX_MESSAGE = 256 * 1024;
/** How long one question and its answer may take. */
const ANSWER_MS = 60_000;

export class Peer {
  static async start(transports) {
    const peer = new Peer();
    peer.pieces = new Map();
    peer.pulled = 0;
    peer.node = await createLibp2p({
      transports,
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { ping: ping(), identify: identify() },
      // A page's node dials no loopback address unless it is told to.
      connectionGater: { denyDialMultiaddr: () => false },
    });
    await peer.node.handle(PROTOCOL.transfer, (stream) =>
      peer.serve(stream).catch(() => stream.abort(new Error('done'))),
    );
    return peer;
  }

  stop() {
    return this.node.stop();
  }

  /** Connects to one address of a miner and no other. */
  async dial(address) {
    this.connection = await this.node.dial(multiaddr(address), { signal: AbortSignal.timeout(ANSWER_MS) });
    return this.connection;
  }

  ping() {
    return this.node.services.ping.ping(this.connection.remotePeer);
  }

  identify() {
    return this.node.services.identify.identify(this.connection);
  }

  async open(protocol) {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const stream = await this.connection.newStream(protocol, { signal });
    return { stream, frames: lpStream(stream, { maxDataLength: MAX_MESSAGE }), signal };
  }

  /** One question, one answer. */
  async ask(protocol, question) {
    const { stream, frames, signal } = await this.open(protocol);
    await frames.write(encode(question), { signal });
    const answer = decode((await frames.read({ signal })).subarray());
    await stream.close({ signal }).catch(() => {});
    return answer;
  }

  /** Takes a piece of `size` bytes back (spec §1.1: a response, then chunks until the end of the stream). */
  async retrieve(pieceRef, size) {
    const { stream, frames, signal } = await this.open(PROTOCOL.retrieve);
    await frames.write(encode({ pieceRef }), { signal });
    const { status, errorMessage } = decode((await frames.read({ signal })).subarray());
    if (status !== 2) throw new Error(`the miner does not give the piece: ${errorMessage}`);
    const chunks = [];
    for (let got = 0; got < size; got += chunks.at(-1).length) {
      chunks.push(decode((await frames.read({ signal })).subarray()).data);
    }
    await stream.close({ signal }).catch(() => {});
    return concat(...chunks);
  }

  /** Offers a file of one leaf to whoever asks for it by its root. */
  offer(root, bytes) {
    this.pieces.set(toHex(root.bytes), bytes);
  }

  /** Answers the miner's pulls (design §10): a root, an offset and a length come in, a zero and the bytes go out. */
  async serve(stream) {
    const frames = lpStream(stream, { maxDataLength: 256 });
    for (;;) {
      const request = (await frames.read()).subarray();
      const piece = this.pieces.get(toHex(request.subarray(1, 37)));
      const rest = new DataView(request.buffer, request.byteOffset + 37, request.length - 37);
      if (request[0] !== 1 || !piece) {
        await frames.write(Uint8Array.of(1, piece ? 2 : 1));
        continue;
      }
      const [from, size] = [Number(rest.getBigUint64(0, true)), rest.getUint32(8, true)];
      await frames.write(concat([0], piece.subarray(from, from + size)));
      this.pulled += size;
    }
  }
}
