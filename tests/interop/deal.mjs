// One deal from proposal to retrieval as a client of 2019 makes it (spec §3.3, §3.4, §3.6), over whatever connection its peer has.

import { Chain } from './chain.mjs';
import {
  addressBytes,
  addressText,
  atto,
  BROKER,
  CID,
  commP,
  encode,
  fileId,
  idOf,
  Key,
  PROTOCOL,
  STATE,
  sealed,
  signed,
  signer,
  toHex,
  vouchers,
} from './wire.mjs';

/** Blocks that a channel lives on after its deal (spec §3.1). */
const CHANNEL_EXPIRY = 2000;
/** How long a deal may take until its sector is committed, with proofs that take no time. */
const COMPLETE_MS = 60_000;

const same = (a, b) => toHex(a) === toHex(b);

/** Fails unless the miner's worker signed this answer about this proposal. */
function check({ signature, ...response }, miner, proposal) {
  const by = addressText(signer(encode(response), signature));
  if (by !== miner.worker) throw new Error(`${by} signed the answer, not the worker ${miner.worker}`);
  if (!response.proposalCid.equals(proposal)) throw new Error(`the answer is about ${response.proposalCid}`);
  return response;
}

/** Opens a channel to the miner's owner with the deal's price. */
async function openChannel(chain, key, { owner, total, end }) {
  const params = [owner, signed(end + CHANNEL_EXPIRY)];
  const receipt = await chain.send(key, { to: BROKER, value: total, method: 'createChannel', params });
  return { channel: signed(receipt.channel), channelMsgCid: CID.parse(receipt.message), number: receipt.channel };
}

/** What a deal over `bytes` is signed over, with its channel opened and its vouchers drawn up. */
async function proposal(chain, key, miner, bytes, duration) {
  const { height } = await chain.ask('chain.head');
  const ask = miner.asks.filter(({ expiry }) => height < expiry).sort((a, b) => b.id - a.id)[0];
  const total = atto(ask.price) * BigInt(bytes.length) * BigInt(duration);
  const [owner, address] = [addressBytes(miner.owner), addressBytes(miner.address)];
  const opened = await openChannel(chain, key, { owner, total, end: height + duration });
  // Vouchers count from the height before the channel (spec §3.4 step 2): the channel's end was agreed on by it.
  const terms = {
    target: owner,
    miner: address,
    total,
    duration,
    start: height,
    commP: commP(bytes),
    size: bytes.length,
  };
  return {
    pieceRef: await fileId(bytes),
    size: signed(bytes.length),
    totalPrice: signed(total),
    duration,
    minerAddress: address,
    payment: {
      payer: key.address,
      payChActor: BROKER,
      channel: opened.channel,
      channelMsgCid: opened.channelMsgCid,
      vouchers: vouchers(key, { channel: opened.number, ...terms }),
    },
  };
}

/** Asks the miner until the deal is complete or has failed; gives the states that were seen. */
async function follow(peer, miner, deal) {
  const seen = [];
  const limit = Date.now() + COMPLETE_MS;
  for (;;) {
    const answer = check(await peer.ask(PROTOCOL.query, { cid: deal }), miner, deal);
    if (seen.at(-1) !== answer.state) seen.push(answer.state);
    if (answer.state === STATE.complete) return { seen, proof: answer.proofInfo };
    if (answer.state === STATE.failed) throw new Error(`the deal failed: ${answer.message}`);
    if (Date.now() > limit) throw new Error(`the deal is still in state ${answer.state}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

/**
 * Stores `bytes` with the chain's first miner over the connection that `peer` has, waits until it is complete, looks its sector up on
 * the chain, and takes it back. Gives what was seen on the way; throws at what is not as it should be.
 */
export async function wholeDeal(peer, endpoint, bytes, duration = 2500) {
  const chain = new Chain(endpoint);
  const key = Key.random();
  await chain.faucet(key);
  const [miner] = await chain.ask('chain.miners');
  const proposed = sealed(key, await proposal(chain, key, miner, bytes, duration));
  const deal = idOf(encode(proposed));
  peer.offer(proposed.pieceRef, bytes);
  const answer = check(await peer.ask(PROTOCOL.propose, proposed), miner, deal);
  if (answer.state !== STATE.accepted) throw new Error(`the miner says no: ${answer.message}`);
  const { seen, proof } = await follow(peer, miner, deal);
  const { sectors } = await chain.ask('chain.miner', { address: miner.address });
  const sector = sectors.find(({ id }) => id === proof.sectorID);
  if (!sector || sector.commD !== toHex(proof.commD)) throw new Error('the chain knows no such sector');
  const back = await peer.retrieve(proposed.pieceRef, bytes.length);
  if (!same(back, bytes)) throw new Error('other bytes came back');
  return { deal: `${deal}`, seen, pulled: peer.pulled, vouchers: proposed.payment.vouchers.length };
}

/** A proposal whose signature is another one's: what the miner answers. */
export async function forgedDeal(peer, endpoint, bytes) {
  const chain = new Chain(endpoint);
  const [miner] = await chain.ask('chain.miners');
  const payment = {
    payer: Key.random().address,
    payChActor: new Uint8Array(),
    channel: null,
    channelMsgCid: null,
    vouchers: null,
  };
  const proposed = sealed(Key.random(), {
    pieceRef: await fileId(bytes),
    size: signed(bytes.length),
    totalPrice: signed(0),
    duration: 100,
    minerAddress: addressBytes(miner.address),
    payment,
  });
  return check(await peer.ask(PROTOCOL.propose, proposed), miner, idOf(encode(proposed)));
}
