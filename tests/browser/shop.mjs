// A book with files and deals in every state, for views that are looked at without a chain: what `stub/shop.mjs` is told.

import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ORDER } from './page.mjs';
import { serve } from './site.mjs';
import { changedPassport, wholePassport } from './stub/passport.mjs';

const WEB = process.env.SEALDROP_WEB ?? resolve(import.meta.dirname, '../../www/dist');
const HEIGHT = 5_000;
const BLOCK_MS = 1_000;
/** FIL in attoFIL, as the stub reads it. */
const fil = (amount) => `${BigInt(Math.round(amount * 1e6)) * 10n ** 12n}n`;
const hex = (byte) => byte.toString(16).padStart(2, '0').repeat(32);

const miner = (address, price, more = {}) => ({
  address,
  owner: 't1owner',
  worker: 't1worker',
  peerId: '12D3KooWExample',
  sectorSize: 8 << 20,
  usableBytes: 8_323_072,
  power: 3 << 23,
  collateral: fil(1),
  sectors: [],
  preCommits: [],
  posts: 12,
  lastPost: HEIGHT - 40,
  price,
  provingWindow: { start: HEIGHT + 60, end: HEIGHT + 120 },
  ...more,
});
const MINERS = [
  miner('t2oeq6lvukoxh6tz2nlzhbqxmtnvajcdt4ppqbi4i', '1000n'),
  miner('t2vn5qcpx2dlyyxkvgqhc7iylmqqgzd7cxlrj2soy', '3000n', { power: 0, provingWindow: undefined }),
];

/** A deal that has come as far as a step. */
function deal(id, step, more = {}) {
  const now = Date.now();
  const reached = ORDER.slice(0, ORDER.indexOf(step) + 1);
  const steps = ORDER.map((each) => ({
    step: each,
    at: reached.includes(each) ? now - 600_000 + 40_000 * reached.indexOf(each) : undefined,
  }));
  const isComplete = step === 'complete' || step === 'proven';
  return {
    id,
    name: `${id}.pdf`,
    size: 2_400_000,
    type: 'application/pdf',
    createdAt: now - 600_000,
    dataCid: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
    pieceCid: 'baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq',
    commP: hex(7),
    miner: MINERS[0].address,
    passedOver: [],
    duration: 86_400,
    total: fil(0.02),
    step,
    state: isComplete ? 'complete' : 'working',
    transferred: step === 'accepted' ? 900_000 : 2_400_000,
    steps,
    refunds: [],
    refunding: false,
    forgettable: false,
    connected: !isComplete,
    dealCid: 'zDPWYqFD8tVxKhGpM5oMkD4hQSvQxjDgvpeDmB6ajkZZDCxB7Nvu',
    ...(isComplete
      ? {
          proof: { sectorId: 1, commD: hex(1), commR: hex(2), commRStar: hex(3), commitmentMessage: 'bafy2bzacea' },
          proving: { windowStart: HEIGHT + 60, windowEnd: HEIGHT + 120, proofs: 12, lastProvenAt: HEIGHT - 40 },
          answer: { state: 'complete', message: '', at: now - 60_000 },
        }
      : {}),
    ...more,
  };
}

const entry = (path, size) => ({ path, size, root: `bafkrei${path}`, pieces: 1 });

function folder(id, name, state, more = {}) {
  const files = Array.from({ length: 12 }, (_, index) => entry(`2026/picture-${index + 1}.jpg`, 400_000 + index));
  const kept = state === 'kept' ? 12 : 4;
  return {
    file: id,
    name,
    folder: true,
    size: 4_800_066,
    createdAt: Date.now() - 900_000,
    copies: 1,
    duration: 86_400,
    ends: HEIGHT + 80_000,
    most: fil(0.1),
    progress: {
      state,
      pieces: 12,
      copiesWanted: 12,
      copiesKept: kept,
      copiesUnderWay: state === 'under-way' ? 8 : 0,
      copiesLost: 0,
      dealsFailed: 0,
      bytes: 4_800_066,
      transferred: state === 'under-way' ? 3_000_000 : 4_800_066,
      committed: fil(0.05),
    },
    files,
    parts: files.map(({ size }, file) => ({
      dataCid: `bafkrei${file}`,
      file,
      offset: 0,
      size,
      copies: [{ deal: 'sealed', miner: MINERS[0].address, state: file < kept ? 'kept' : 'under-way' }],
    })),
    ...more,
  };
}

/** Names in many ways of writing, and in any order. */
const NAMES = ['Report', 'holiday', 'Rechnung', '合同', 'mapa', 'Thesis'];
const many = (count) =>
  Array.from({ length: count }, (_, index) =>
    deal(`many-${index}`, index % 3 === 0 ? 'proven' : 'accepted', {
      name: `${NAMES[index % NAMES.length]} ${index + 1}.pdf`,
      createdAt: Date.now() - 1_000_000 - index * 60_000,
      size: 1000 + ((index * 7919) % 5_000_000),
    }),
  );

const check = (state, detail) => ({ ok: state === 'holds', state, detail });

/** All that the stub has; `deals` more of them than there are kinds, and whatever is said otherwise. */
export function shop({ deals: count = 0, ...more } = {}) {
  const folders = [
    folder('bafyfolderkept', 'Holiday', 'kept'),
    folder('bafyfolderunderway', 'Contracts', 'under-way', { createdAt: Date.now() - 100_000 }),
  ];
  return {
    balance: fil(9.98),
    network: {
      network: 'devnet',
      genesis: 'g',
      height: HEIGHT,
      blockTimeMs: BLOCK_MS,
      verifyingKeys: 'keys',
      policy: { provingPeriod: 300, challengeWindow: 60 },
    },
    miners: MINERS,
    deals: [
      deal('sending', 'accepted', { createdAt: Date.now() - 5_000 }),
      deal('sealing', 'staged', { createdAt: Date.now() - 60_000 }),
      deal('sealed', 'proven'),
      deal('lying', 'transferred', {
        state: 'failed',
        reason: 'the inclusion proof does not lead to the sector that is on the chain',
        error: {
          code: 'miner-misbehaved',
          message: 'the inclusion proof does not lead to the sector that is on the chain',
          hint: 'Choose another miner for further files.',
        },
        refunds: [{ channel: 3, amount: fil(0.02), state: 'cancelling', earned: false }],
        refunding: true,
      }),
      ...many(count),
    ],
    files: folders.map(({ files: _, parts: __, ...file }) => file),
    whole: Object.fromEntries(folders.map((file) => [file.file, file])),
    explanation: {
      subject: { deal: 'sealing' },
      state: 'sealing',
      done: false,
      at: Date.now(),
      steps: [],
      because: [
        { code: 'stepRunning', text: 'the sector is being encoded, layer 3 of 11', whatToDo: '' },
        { code: 'queuedBehind', text: 'one sector comes first', whatToDo: '' },
      ],
      next: 'Then the seal is proven.',
      eta: { earliestMs: 120_000, expectedMs: 360_000, basis: 'the last five sectors of this miner' },
    },
    payments: {
      height: HEIGHT,
      total: fil(0.02),
      due: fil(0.01),
      redeemed: fil(0.005),
      channel: { id: 3, amount: fil(0.02), redeemed: fil(0.005), state: 'open', eol: HEIGHT + 90_000, target: 't2' },
      vouchers: [
        {
          payer: 'a',
          target: 'b',
          channel: 3,
          amount: fil(0.01),
          validAt: HEIGHT - 10,
          conditional: true,
          state: 'due',
          text: 'z1',
        },
        {
          payer: 'a',
          target: 'b',
          channel: 3,
          amount: fil(0.02),
          validAt: HEIGHT + 900,
          conditional: true,
          state: 'ahead',
          text: 'z2',
        },
      ],
    },
    verification: {
      state: 'holds',
      inclusion: check('holds', `the piece ${hex(7)} lies in the data`),
      commitMessage: check('holds', 'message bafy2bzacea was applied in block 4000'),
      commitments: check('holds', 'the same commitments'),
      actor: check('holds', 'the miner actor says so'),
      proven: check('pending', 'the first window is still to come'),
    },
    passport: wholePassport(),
    receipt: changedPassport(),
    route: {
      connected: true,
      addresses: [
        {
          address: '/ip4/127.0.0.1/udp/4001/quic-v1/webtransport',
          standing: 'used',
          message: '',
          hint: '',
          transport: 'web-transport',
        },
        {
          address: '/ip4/127.0.0.1/tcp/4002/ws',
          standing: 'left-out',
          message: 'another one was faster',
          hint: '',
          obstacle: 'not-needed',
          transport: 'web-socket',
        },
      ],
    },
    ...more,
  };
}

/** Serves the page with the stub in place of the client; the address of the page, and how to end it. */
export async function openShop(told = shop()) {
  const folder = mkdtempSync(join(tmpdir(), 'sealdrop-shop-'));
  cpSync(WEB, folder, { recursive: true });
  // Where the page finds the client package: beside itself, or in a folder that is named after its content.
  const assets = existsSync(join(folder, 'assets')) ? readdirSync(join(folder, 'assets')) : [];
  const named = assets.find((name) => name.startsWith('client-'));
  const client = join(folder, named ? `assets/${named}` : 'client');
  for (const [from, to] of [
    ['shop', 'index'],
    ['verify', 'verify'],
  ]) {
    const name = join(client, `${to}.js`);
    cpSync(join(import.meta.dirname, 'stub', `${from}.mjs`), name);
    // What was compressed beside it is of the real one.
    for (const ending of ['.br', '.gz']) rmSync(name + ending, { force: true });
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ chain: 'http://127.0.0.1:1/rpc' }));
  const tell = (told) => writeFileSync(join(folder, 'shop.json'), JSON.stringify(told));
  tell(told);
  const site = await serve({ page: folder });
  return {
    url: `http://127.0.0.1:${site.port}/page/index.html`,
    folder,
    tell,
    close: async () => {
      await site.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
