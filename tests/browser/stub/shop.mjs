// In place of the client package on a page: a book with files and deals in every state, miners with their answers, and an account, as
// `shop.json` beside the page has them. Stores what it is given without a chain, so that views can be looked at.

// Of the package itself, which lies around this.
export { STEPS } from './types.js';

export class SealdropError extends Error {}

export const readLink = async () => undefined;

export const roomForCopy = async () => 0;

/** Amounts are written as text with an `n` behind it. */
const money = (_, value) => (typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value);

const told = await fetch(new URL('shop.json', document.baseURI)).then(
  async (answer) => JSON.parse(await answer.text(), money),
  () => ({ away: true }),
);
const { network, miners, deals, files, whole, balance, explanation, payments, verification, route, away, lies } = told;
const { passport, receipt } = told;

const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

/** As much of it as the page asks for. */
class Client {
  wallet = {
    account: async () => {
      if (away) {
        const message = 'the chain does not answer: fetch failed';
        throw { code: 'chain-unreachable', message, hint: 'Start the chain (`sealdrop daemon`), or correct its URL.' };
      }
      return { address: 't1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za', bound: true };
    },
    balance: async () => balance,
    faucet: async () => {},
  };
  #told = new Map();
  on(event, listen) {
    this.#told.set(event, listen);
  }
  close = async () => {};
  deals = async () => deals;
  deal = async (id) => deals.find((deal) => deal.id === id);
  files = async () => files;
  file = async (id) => whole[id];
  network = async () => network;
  miners = async () => miners;
  route = async () => route;
  explain = async () => explanation;
  payments = async () => payments;
  verify = async (id) => {
    if (id !== 'sealed' || !lies) return verification;
    const inclusion = { ok: false, state: 'fails', detail: 'the path leads to another root' };
    return { ...verification, state: 'fails', inclusion };
  };
  retrieve = () => {
    const error = { code: 'retrieval-corrupt', message: 'block 3 is not what its CID says', hint: 'Try again.' };
    return new ReadableStream({ start: (controller) => controller.error(error) });
  };
  passport = async () => passport;
  receipt = async () => new Blob(['a receipt']);
  evidence = async () => ({ seal: { missing: 'the chain keeps no more of it' }, posts: [] });
  survey = async () => ({
    answers: miners.map(({ address }, index) =>
      index === 0
        ? { miner: address, says: 'yes', reason: '', askedAt: 0, distanceMs: 12, room: 5_000_000 }
        : { miner: address, says: 'no', reason: 'its disk is full', askedAt: 0, retryMs: 90_000 },
    ),
    passedOver: [],
    miner: miners[0]?.address,
  });
  quote = async (what) =>
    'commP' in what
      ? { total: 20_000_000_000_000_000n, vouchers: 2 }
      : { pieces: 3, deals: 3, least: 20_000_000_000_000_000n, most: 50_000_000_000_000_000n, miners: 2 };
  prepare = async (input, { onProgress } = {}) => {
    const list = Array.isArray(input) ? input : [{ path: input.name, file: input }];
    onProgress?.({ done: 500, total: 1000, bytesPerSecond: 1_000_000, secondsLeft: 3 });
    return {
      id: CID,
      name: list[0].path,
      folder: list.length > 1,
      size: 1000,
      sectorSize: 8 << 20,
      files: list.map(({ path, file }) => ({ path, size: file.size, root: CID, pieces: [pieceOf(file)] })),
      manifest: new Uint8Array(),
    };
  };
  newKey = async () => ({
    identity: 'AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ',
    recipient: 'age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq',
  });
  store = async (input, { miner, duration, name }) => {
    const address = typeof miner === 'string' && miner.startsWith('t') ? miner : (miner?.address ?? miners[0].address);
    const deal = { ...deals[0], id: `new-${deals.length}`, name: name ?? input.name, miner: address, duration };
    deals.unshift(deal);
    this.#told.get('deal')?.(deal);
    return { id: deal.id, deals: [deal] };
  };
}

function pieceOf({ size }) {
  return {
    size,
    paddedSize: 1024,
    commP: '00'.repeat(32),
    pieceCid: 'baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq',
    dataCid: CID,
    nodes: [],
  };
}

export const createClient = () => new Client();

export const verifyReceipt = async () => receipt;

export const [resumePiece, toBlob] = [
  async (file) => pieceOf(file),
  async (stream) => new Blob(await Array.fromAsync(stream)),
];
