// What a daemon tells its operator: of a miner that is well, and of one that is not.

const MIB = 1 << 20;
const GIB = 1024 * MIB;
export const HEIGHT = 5_000;
const MINER = 't2oeq6lvukoxh6tz2nlzhbqxmtnvajcdt4ppqbi4i';
const CLIENT = 't1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za';
export const DEAL = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
/** A peer's text that would turn the line around, and markup. */
export const NASTY = 'says <img src=x onerror=alert(1)> \u202etxt.exe';

const ago = (ms) => Date.now() - ms;
const MINUTE = 60_000;
const hex = (byte) => byte.toString(16).padStart(2, '0').repeat(32);
const WAY = [
  'packing',
  'closed',
  'preCommit1',
  'preCommit2',
  'preCommitting',
  'waitSeed',
  'commit1',
  'commit2',
  'committing',
  'proving',
];

function sector(id, phase, more = {}) {
  const way = WAY.slice(0, WAY.indexOf(phase) + 1);
  const history = way.map((each, index) => ({ phase: each, at: ago((way.length - index) * 4 * MINUTE) }));
  return {
    id,
    phase,
    since: ago(4 * MINUTE),
    estimateMs: phase === 'proving' || phase === 'packing' ? null : 9 * MINUTE,
    used: phase === 'packing' ? 3 * MIB : 7 * MIB,
    size: 8 * MIB,
    fill: phase === 'packing' ? 37.5 : 87.5,
    pieces: [{ deal: DEAL, dataCid: 'bafkreipiece', size: 2_400_000 }],
    history,
    attempts: 0,
    lastError: null,
    setback: null,
    commR: WAY.indexOf(phase) > 3 ? hex(id) : null,
    ...more,
  };
}

const sectors = () => [
  sector(18, 'packing'),
  sector(17, 'preCommit1'),
  sector(16, 'preCommit1', { since: ago(MINUTE) }),
  sector(15, 'waitSeed'),
  sector(14, 'commit2'),
  ...Array.from({ length: 11 }, (_, index) => sector(13 - index, 'proving', { since: ago((index + 1) * 90 * MINUTE) })),
  sector(2, 'proving', { phase: 'expired', since: ago(60 * MINUTE) }),
  sector(1, 'proving', { phase: 'released', since: ago(600 * MINUTE) }),
];

const service = (name, more = {}) => ({
  name,
  state: 'up',
  since: ago(26 * 60 * MINUTE),
  restarts: 0,
  panics: 0,
  lastError: null,
  lastErrorAt: null,
  lastSignOfLife: ago(2_000),
  isLate: false,
  ...more,
});

const SERVICES = ['chain', 'network', 'sealing', 'proving', 'redeeming', 'ask', 'scrubbing', 'web'];

const mining = () => ({
  mining: true,
  address: MINER,
  height: HEIGHT,
  power: 11 * 8 * MIB,
  totalPower: 40 * 8 * MIB,
  collateral: '12.5',
  provingWindow: [HEIGHT + 60, HEIGHT + 120],
  sealing: 4,
  packing: [{ sector: 18, used: 3 * MIB, size: 8 * MIB, fill: 37.5 }],
  stuck: [],
  intake: {
    open: true,
    reason: null,
    waitingBytes: 31 * MIB,
    maxBytes: 512 * MIB,
    waitingDeals: 14,
    maxDeals: 1024,
  },
  proving: { sectors: 11, expectedMs: 4_200, basis: 'the last 10 proofs', windowMs: 60_000, warning: null },
  scrub: { sectors: 11, lastAt: ago(40 * MINUTE), restored: 0, damage: [] },
  ownProver: { enabled: true, kernel: 'ifma', proofs: 42, refusals: 0, lastRefusal: null },
  jobs: [
    {
      sector: 14,
      step: 'commit2',
      state: { running: { sinceMs: ago(95_000) } },
      expectedMs: 180_000,
      waitMs: null,
      basis: 'the last 5 seals of this machine',
    },
    {
      sector: 17,
      step: 'preCommit1',
      state: { running: { sinceMs: ago(240_000) } },
      expectedMs: 540_000,
      waitMs: null,
      basis: 'a measurement of this machine',
    },
    {
      sector: 16,
      step: 'preCommit1',
      state: { queued: { behind: 2 } },
      expectedMs: 540_000,
      waitMs: 300_000,
      basis: 'a measurement of this machine',
    },
    { sector: null, step: 'scrub', state: { queued: { behind: 3 } }, expectedMs: null, waitMs: null, basis: '' },
  ],
  health: { ok: true, problems: [], services: SERVICES.map((name) => service(name)) },
  refused: { 'proposals a minute': 3, 'connections of one address': 0 },
  addresses: [
    {
      address: '/ip4/203.0.113.7/tcp/4401',
      reach: 'public',
      answers: true,
      triedAt: ago(30_000),
      tookMs: 12,
      outside: { by: '12D3KooWGaTXkYpLqFkzd1b9mC3vJ7rQeUoPnBsWhHtAxZyMcV4R', reached: true, at: ago(9 * MINUTE) },
    },
    {
      address: '/ip4/192.168.1.20/udp/4401/quic-v1/webtransport',
      reach: 'private',
      answers: true,
      triedAt: ago(30_000),
      tookMs: 3,
    },
    { address: '/dns4/miner.example.org/tcp/443/wss', reach: 'public', answers: null },
  ],
  link: `https://store.example.org/#/miner=${MINER}&chain=https://chain.example.org/rpc`,
});

const settings = () => ({
  price: '0.0000000001',
  askBlocks: 1_051_200,
  minDuration: 1,
  maxDuration: 10_000_000,
  autoSealMs: 3_000,
  transferLimitMs: 24 * 3_600_000,
  mining: true,
  redeem: true,
  slash: true,
  memoryMib: 0,
  commit2Slots: 0,
  ownProver: true,
  stagingMaxBytes: 0,
  stagingMaxDeals: 1024,
  keepUnsealed: true,
  scrubEveryMs: 7 * 24 * 3_600_000,
  scrubBytesPerSecond: 16 * MIB,
});

const post = (index) => ({
  windowEnd: HEIGHT - 240 - 300 * index,
  height: HEIGHT - 290 - 300 * index,
  message: 'bafy2bzaceapost',
  sectors: Array.from({ length: 11 - Math.min(index, 8) }, (_, id) => id + 3),
  at: ago((290 + 300 * index) * 1_000),
});

function deal(index, stage, more = {}) {
  const id = index === 0 ? DEAL : `${DEAL.slice(0, -4)}q${String(index).padStart(3, '0')}`;
  return {
    deal: id,
    state: stage === 'ended' ? 'complete' : stage === 'received' ? 'accepted' : stage,
    stage,
    message: '',
    miner: MINER,
    client: CLIENT,
    piece: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
    size: 2_400_000 + index * 77_000,
    totalPrice: '0.02',
    duration: 86_400,
    channel: 3 + index,
    sector: stage === 'accepted' || stage === 'rejected' ? null : 14 - index,
    createdAt: ago((20 - index) * 11 * MINUTE),
    endsAt: HEIGHT + 80_000,
    redeemed: stage === 'complete' ? '0.005' : '0',
    ...more,
  };
}

const explanation = (kind, id, more = {}) => ({
  subject: { kind, id },
  state: 'commit2',
  done: false,
  at: Date.now(),
  steps: [],
  because: [
    { code: 'stepRunning', text: 'The seal is being proven, for 2 minutes so far.', whatToDo: '' },
    { code: 'queuedBehind', text: 'One other sector comes first.', whatToDo: '' },
  ],
  eta: { earliestMs: 60_000, expectedMs: 150_000, basis: 'the last 5 seals of this machine' },
  next: 'Then the commitment goes to the chain.',
  ...more,
});

const line = (seconds, level, target, text) => ({ at: ago(seconds * 1_000), level, target, text });

/** A miner with which all is well. */
export function healthy() {
  const deals = [
    ...['complete', 'complete', 'complete', 'ended', 'staged', 'staged', 'failed', 'received', 'accepted'].map(
      (stage, index) => deal(index, stage, stage === 'failed' ? { message: NASTY } : {}),
    ),
  ];
  return {
    mining: mining(),
    status: {
      address: MINER,
      owner: 't1owner',
      worker: 't1worker',
      peerId: '12D3KooWGaTXkYpLqFkzd1b9mC3vJ7rQeUoPnBsWhHtAxZyMcV4R',
      multiaddrs: [],
      sectorSize: 8 * MIB,
      height: HEIGHT,
      price: '0.0000000001',
      mining: true,
      settings: settings(),
      ask: { id: 4, price: '0.0000000001', expiry: HEIGHT + 900_000 },
      deals: { complete: 4, staged: 2, accepted: 2, failed: 1 },
      sectors: [],
      lastPost: post(0),
      earned: '3.275',
    },
    sectors: sectors(),
    deals,
    [`deals/${DEAL}`]: {
      ...deals[0],
      transferred: deals[0].size,
      phase: 'commit2',
      phaseSince: ago(95_000),
      phaseEstimateMs: 180_000,
      vouchers: [
        {
          index: 0,
          amount: '0.005',
          channel: 3,
          payer: CLIENT,
          validAt: HEIGHT - 900,
          condition: 'verifyInclusion',
          encodedAs: 'u1',
          isRedeemed: true,
        },
        {
          index: 1,
          amount: '0.01',
          channel: 3,
          payer: CLIENT,
          validAt: HEIGHT - 10,
          condition: 'verifyInclusion',
          encodedAs: 'u2',
          isRedeemed: false,
        },
        {
          index: 2,
          amount: '0.02',
          channel: 3,
          payer: CLIENT,
          validAt: HEIGHT + 80_000,
          condition: null,
          encodedAs: 'u3',
          isRedeemed: false,
        },
      ],
      redemptions: [
        { amount: '0.005', gained: '0.005', message: 'bafy2bzacearedeem', height: HEIGHT - 880, error: null },
      ],
    },
    [`deals/${DEAL}/explain`]: explanation('deal', DEAL),
    'sectors/14/explain': explanation('sector', '14'),
    'sectors/9/explain': explanation('sector', '9', {
      state: 'proving',
      done: true,
      because: [],
      eta: undefined,
      next: 'Nothing: it is proven in every window.',
    }),
    proofs: {
      height: HEIGHT,
      window: null,
      nextWindow: { start: HEIGHT + 60, end: HEIGHT + 120 },
      blockMs: 1_000,
      made: Array.from({ length: 12 }, (_, index) => post(index)),
      missed: [],
    },
    earnings: {
      earned: '3.275',
      outstanding: '1.6',
      isWhole: true,
      channels: [
        { payer: CLIENT, channel: 3, deals: 2, promised: '0.04', redeemed: '0.005' },
        {
          payer: 't410f4bmm756u5kft2czgqll4oel3f4mplgsrn5q7m6i',
          channel: 4,
          deals: 1,
          promised: '1.2',
          redeemed: '0.3',
        },
        { payer: CLIENT, channel: 5, deals: 1, promised: '0.5', redeemed: '0.5' },
      ],
    },
    settings: settings(),
    machine: {
      version: '0.1.0',
      startedAt: ago(26 * 60 * MINUTE),
      now: Date.now(),
      home: '/var/lib/sealdrop',
      cores: 16,
      disk: { free: 610 * GIB, total: 1000 * GIB, staging: 31 * MIB },
      memory: { available: 41 * GIB, total: 64 * GIB, own: 6 * GIB },
    },
    peers: {
      total: 3,
      connections: [
        {
          peer: '12D3KooWGaTXkYpLqFkzd1b9mC3vJ7rQeUoPnBsWhHtAxZyMcV4R',
          address: '/ip4/198.51.100.4/tcp/51234',
          isDialed: false,
          since: ago(3 * MINUTE),
        },
        {
          peer: '12D3KooWQw1xPZbT8KcFfY5Hn2mVdLgE3sUaJrNo7tCvBi6yXk9S',
          address: '/ip4/198.51.100.9/udp/4401/quic-v1',
          isDialed: true,
          since: ago(70 * MINUTE),
        },
        { peer: NASTY, address: '/ip4/198.51.100.66/tcp/666', isDialed: false, since: ago(MINUTE) },
      ],
    },
    log: {
      filter: 'info',
      lines: [
        line(300, 'info', 'sealdrop_miner::sealing', 'sector 14: the seed of block 4710 is here, commit2 begins'),
        line(200, 'debug', 'sealdrop_miner::network', 'a peer connected'),
        line(120, 'info', 'sealdrop_miner::proving', 'proof of spacetime over 11 sectors sent in 4.1 s'),
        line(60, 'warn', 'sealdrop_miner::network', `a peer ${NASTY}`),
        line(5, 'info', 'sealdrop_miner::redeeming', 'voucher 1 of channel 3 redeemed: 0.005 FIL'),
      ],
    },
    alerts: { webhook: 'hooks.example.org', lastSent: ago(50 * 60 * MINUTE), lastError: null, pending: 0 },
    configuration: {
      entries: [
        { key: 'web.port', value: '4400', source: 'default', changesAtStart: true },
        { key: 'p2p.port', value: '4401', source: '/etc/sealdrop/config.toml', changesAtStart: true },
        { key: 'mining.storagePrice', value: '0.0000000001', source: 'the miner’s store', changesAtStart: false },
      ],
    },
  };
}

/** A miner with all kinds of trouble. */
export function ill() {
  const told = healthy();
  const now = told.mining;
  now.health = {
    ok: false,
    problems: [
      { service: 'redeeming', text: 'channel 4: the chain refused the voucher: exit code 18', since: ago(12 * MINUTE) },
      { service: 'network', text: `it is being started again: ${NASTY}`, since: ago(MINUTE) },
    ],
    services: SERVICES.map((name) =>
      name === 'network'
        ? service(name, {
            state: 'restarting',
            restarts: 3,
            panics: 1,
            lastError: NASTY,
            lastErrorAt: ago(MINUTE),
            since: ago(MINUTE),
          })
        : name === 'scrubbing'
          ? service(name, { isLate: true, lastSignOfLife: ago(20 * MINUTE) })
          : service(name),
    ),
  };
  now.stuck = [14];
  now.scrub.damage = [{ sector: 9, text: 'layer 3 of the tree cannot be read: input/output error' }];
  now.proving.warning = 'the proof is expected to take 70 s, and its window leaves 60 s';
  now.addresses = now.addresses.map((each) => ({
    ...each,
    answers: false,
    outside: undefined,
    fault: {
      code: 'refused',
      text: 'nothing listens there',
      advice: 'open the port in the firewall: `ufw allow 4401/tcp`',
    },
  }));
  now.intake = {
    ...now.intake,
    open: false,
    reason: 'too much waits to be sealed; try again in 2 hours',
    waitingBytes: 512 * MIB,
  };
  told.proofs.missed = [{ windowEnd: HEIGHT - 540 }, { windowEnd: HEIGHT - 1_440 }];
  told.proofs.made = told.proofs.made.filter(
    ({ windowEnd }) => !told.proofs.missed.some((each) => each.windowEnd === windowEnd),
  );
  told.proofs.window = { start: HEIGHT - 20, end: HEIGHT + 40 };
  told.proofs.nextWindow = { start: HEIGHT + 280, end: HEIGHT + 340 };
  told.machine.disk.free = 20 * GIB;
  told.alerts.lastError = 'hooks.example.org answered with status 500';
  const failed = told.sectors.find(({ id }) => id === 14);
  Object.assign(failed, {
    phase: 'failed',
    attempts: 5,
    lastError: `the proof does not verify: ${NASTY}`,
    setback: {
      failed: 'commit2',
      reason: 'the proof does not verify',
      attempts: 5,
      next: 'commit1',
      retryAt: null,
      awaitsOperator: true,
    },
  });
  Object.assign(
    told.sectors.find(({ id }) => id === 17),
    {
      attempts: 1,
      setback: {
        failed: 'preCommit1',
        reason: 'the disk is full',
        attempts: 1,
        next: 'preCommit1',
        retryAt: Date.now() + 4 * MINUTE,
        awaitsOperator: false,
      },
    },
  );
  told['sectors/14/explain'] = explanation('sector', '14', {
    because: [
      {
        code: 'sectorFailed',
        text: 'The sector failed: the proof does not verify.',
        whatToDo: 'Order `sealdrop mining retry 14`, or give it up.',
      },
    ],
    eta: undefined,
    next: 'Nothing more happens by itself.',
  });
  return told;
}
