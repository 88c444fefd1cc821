// In place of the client package on a page: complete deals without a chain, whose proofs are those that `evidence.json` beside its folder has.

export class SealdropError extends Error {}

export const readLink = async () => undefined;

const evidence = await (await fetch(new URL('../evidence.json', import.meta.url))).json();

const deal = (id) => ({
  id,
  name: `${id}.bin`,
  size: 1000,
  type: '',
  createdAt: 0,
  dataCid: 'bafkreiaaaa',
  pieceCid: 'baga6ea4seaqaaaa',
  commP: '00'.repeat(32),
  miner: 't2aaaa',
  passedOver: [],
  duration: 20_000,
  total: '1',
  step: 'proven',
  state: 'complete',
  transferred: 1000,
  steps: [],
  refunds: [],
  refunding: false,
  forgettable: false,
  connected: false,
  proof: {
    sectorId: 1,
    commD: '11'.repeat(32),
    commR: '22'.repeat(32),
    commRStar: '33'.repeat(32),
    commitmentMessage: 'bafy2bzaaaa',
  },
});

/** As much of it as a deal's page asks for. */
export class Sealdrop {
  static open = async () => new Sealdrop();
  address = 't1aaaa';
  on() {}
  deals = async () => Object.keys(evidence).map(deal);
  deal = async (id) => deal(id);
  files = async () => [];
  network = async () => ({ genesis: 'g', height: 1000, blockTimeMs: 1000, verifyingKeys: '', policy: {} });
  balance = async () => '1';
  miners = async () => [];
  evidence = async (id) => evidence[id];
  payments = async () => {
    throw new SealdropError('no payments are here');
  };
}
