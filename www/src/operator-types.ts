// What the daemon answers its operator, as `miner-native/miner/src/operator` has it. Amounts are FIL as decimal text, times milliseconds since 1970.

import type { Explanation } from 'sealdrop-client';

export type Scope = 'read' | 'operate' | 'admin';

/** What a sector goes through, in order, then how it ends. */
export const PHASES = [
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
] as const;
export const ENDS = ['expired', 'released', 'removed', 'failed'] as const;
export type Phase = (typeof PHASES)[number] | (typeof ENDS)[number];

export interface Settings {
  price: string;
  askBlocks: number;
  minDuration: number;
  maxDuration: number;
  autoSealMs: number;
  transferLimitMs: number;
  mining: boolean;
  redeem: boolean;
  slash: boolean;
  memoryMib: number;
  commit2Slots: number;
  ownProver: boolean;
  stagingMaxBytes: number;
  stagingMaxDeals: number;
  keepUnsealed: boolean;
  scrubEveryMs: number;
  scrubBytesPerSecond: number;
}

export interface ChangedSettings {
  settings: Settings;
  askMessage: string | null;
  askHeight: number | null;
}

export interface Problem {
  service: string;
  text: string;
  since: number;
}

export interface ServiceHealth {
  name: string;
  state: 'up' | 'restarting' | 'down' | 'stopped';
  since: number;
  restarts: number;
  panics: number;
  lastError: string | null;
  lastErrorAt: number | null;
  lastSignOfLife: number;
  isLate: boolean;
}

export interface Health {
  ok: boolean;
  problems: Problem[];
  services: ServiceHealth[];
}

export interface Job {
  sector: number | null;
  step: string;
  state: { queued: { behind: number } } | { running: { sinceMs: number } };
  expectedMs: number | null;
  waitMs: number | null;
  basis: string;
}

export interface AddressStatus {
  address: string;
  reach: 'public' | 'private' | 'loopback' | 'nowhere';
  answers: boolean | null;
  fault?: { code: string; text: string; advice: string };
  triedAt?: number;
  tookMs?: number;
  outside?: { by: string; reached: boolean; at: number };
}

export interface MiningStatus {
  mining: boolean;
  address: string;
  height: number;
  power: number;
  totalPower: number;
  collateral: string;
  provingWindow: [number, number] | null;
  sealing: number;
  packing: { sector: number; used: number; size: number; fill: number }[];
  stuck: number[];
  intake: {
    open: boolean;
    reason: string | null;
    waitingBytes: number;
    maxBytes: number;
    waitingDeals: number;
    maxDeals: number;
  };
  proving: {
    sectors: number;
    expectedMs: number | null;
    basis: string;
    windowMs: number | null;
    warning: string | null;
  };
  scrub: { sectors: number; lastAt: number | null; restored: number; damage: { sector: number; text: string }[] };
  ownProver: { enabled: boolean; kernel: string; proofs: number; refusals: number; lastRefusal: string | null };
  jobs: Job[];
  health: Health;
  refused: Record<string, number>;
  addresses: AddressStatus[];
  link: string | null;
}

export interface PostSummary {
  windowEnd: number;
  height: number;
  message: string;
  sectors: number[];
  at: number;
}

export interface MinerStatus {
  address: string;
  owner: string;
  worker: string;
  peerId: string;
  multiaddrs: string[];
  sectorSize: number;
  height: number;
  price: string;
  mining: boolean;
  settings: Settings;
  ask: { id: number; price: string; expiry: number } | null;
  deals: Record<string, number>;
  lastPost: PostSummary | null;
  earned: string;
}

export interface Sector {
  id: number;
  phase: Phase;
  since: number;
  estimateMs: number | null;
  used: number;
  size: number;
  fill: number;
  pieces: { deal: string; dataCid: string; size: number }[];
  history: { phase: Phase; at: number }[];
  attempts: number;
  lastError: string | null;
  setback: {
    failed: Phase;
    reason: string;
    attempts: number;
    next: Phase | null;
    retryAt: number | null;
    awaitsOperator: boolean;
  } | null;
  commR: string | null;
}

export interface DealSummary {
  deal: string;
  state: string;
  stage: string;
  message: string;
  client: string;
  piece: string;
  size: number;
  totalPrice: string;
  duration: number;
  channel: number | null;
  sector: number | null;
  createdAt: number;
  endsAt: number | null;
  redeemed: string;
}

export interface Voucher {
  index: number;
  amount: string;
  validAt: number;
  condition: string | null;
  isRedeemed: boolean;
}

export interface DealDetail extends DealSummary {
  transferred: number;
  phase: Phase | null;
  phaseSince: number | null;
  phaseEstimateMs: number | null;
  vouchers: Voucher[];
  redemptions: {
    amount: string;
    gained: string | null;
    message: string | null;
    height: number | null;
    error: string | null;
  }[];
}

export interface RedeemOutcome {
  voucher: Voucher;
  gain: string;
  gas: number;
  message: string | null;
  height: number | null;
}

export interface Proofs {
  height: number;
  window: { start: number; end: number } | null;
  nextWindow: { start: number; end: number } | null;
  blockMs: number | null;
  made: PostSummary[];
  missed: { windowEnd: number }[];
}

export interface Earnings {
  earned: string;
  outstanding: string;
  /** Whether that is of all deals and channels; false where there are more than the daemon looks through. */
  isWhole: boolean;
  channels: { payer: string; channel: number; deals: number; promised: string; redeemed: string }[];
}

export interface Machine {
  version: string;
  startedAt: number;
  now: number;
  home: string;
  cores: number;
  disk: { free: number; total: number | null; staging: number };
  memory: { available: number | null; total: number | null; own: number | null };
}

export interface Peers {
  total: number;
  connections: { peer: string; address: string; isDialed: boolean; since: number }[];
}

export type Level = 'error' | 'warn' | 'info' | 'debug' | 'trace';

export interface LogTail {
  filter: string;
  lines: { at: number; level: Level; target: string; text: string }[];
}

export interface Alerts {
  webhook: string | null;
  lastSent: number | null;
  lastError: string | null;
  pending: number;
}

export interface Configuration {
  entries: { key: string; value: string; source: string; changesAtStart: boolean }[];
}

/** The answer to each path below `/api/v1/miner/`. */
export interface Answers {
  whoami: { scope: Scope };
  mining: MiningStatus;
  status: MinerStatus;
  deals: DealSummary[];
  sectors: Sector[];
  proofs: Proofs;
  earnings: Earnings;
  settings: Settings;
  machine: Machine;
  peers: Peers;
  alerts: Alerts;
  configuration: Configuration;
  [log: `log?${string}`]: LogTail;
  [deal: `deals/${string}`]: DealDetail;
  [why: `${string}/explain`]: Explanation;
}
