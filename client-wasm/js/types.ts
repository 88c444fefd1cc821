/**
 * The public types of `sealdrop-client`: what a page hands in and what it gets back.
 *
 * Amounts of money are decimal FIL as text (`"0.00025"`), because attoFIL do not fit a `number`. Heights count blocks
 * since genesis. Times are milliseconds since 1970. Sizes are bytes. Commitments are 64 hexadecimal digits.
 */

/** How to open a client. */
export interface OpenOptions {
  /** URL of the chain's JSON-RPC endpoint, such as `http://127.0.0.1:4403/rpc`. */
  readonly chain: string;
  /** Name of the IndexedDB database that keeps the signing key; each network's deals lie in one of their own beside it. */
  readonly database?: string;
}

/** The network that the client talks to. */
export interface NetworkInfo {
  readonly network: string;
  /** Id of the first block: two networks of the same name differ in it. */
  readonly genesis: string;
  readonly height: number;
  readonly blockTimeMs: number;
  /** Digest of the verifying keys that the chain checks proofs with. */
  readonly verifyingKeys: string;
  readonly policy: Policy;
}

/** A network's rules in numbers; spans are in blocks. */
export interface Policy {
  /** Blocks in which every sector is proven once. */
  readonly provingPeriod: number;
  /** Blocks at the end of a proving period in which a proof is accepted on time. */
  readonly challengeWindow: number;
  /** Blocks after a proving period in which its proof is still accepted, for a fee. */
  readonly grace: number;
  /** Blocks that a miner waits in a window before it starts to prove. */
  readonly postDelay: number;
  /** FIL that a sector locks up. */
  readonly sectorCollateral: string;
  /** Blocks from a pre-commit to the block that its seed is drawn from. */
  readonly seedDelay: number;
  /** Blocks between two vouchers of a deal. */
  readonly voucherInterval: number;
  /** Blocks that a payment channel outlives its last voucher. */
  readonly channelExpiryInterval: number;
  /** Sizes of sectors that miners may have. */
  readonly sectorSizes: readonly number[];
}

/** The newest block. */
export interface Head {
  readonly height: number;
  /** The block's id. */
  readonly block: string;
  readonly timeMs: number;
}

/** A span of blocks; `end` is not part of it. */
export interface BlockSpan {
  readonly start: number;
  readonly end: number;
}

/** A committed sector of a miner, as the chain has it. */
export interface SectorInfo {
  readonly id: number;
  readonly commD: string;
  readonly commR: string;
  readonly commRStar: string;
  readonly committedAt: number;
  /** Height of the last accepted proof-of-spacetime that covered it. */
  readonly lastProvenAt?: number;
  /** Accepted proofs-of-spacetime that covered it. */
  readonly proofs: number;
  readonly inProvingSet: boolean;
}

/** A sector that was announced and is not committed yet. */
export interface PreCommitInfo {
  readonly id: number;
  readonly commD: string;
  readonly commR: string;
  readonly height: number;
  readonly ticketEpoch: number;
  readonly seedEpoch: number;
}

/** A storage miner, as the chain has it. */
export interface MinerInfo {
  readonly address: string;
  readonly owner: string;
  readonly worker: string;
  /** libp2p peer id. */
  readonly peerId: string;
  /** Bytes of a sector. */
  readonly sectorSize: number;
  /** File bytes that a sector holds: the largest file that this miner takes. */
  readonly usableBytes: number;
  /** Bytes of proven sectors. */
  readonly power: number;
  /** FIL for one byte in one block; absent when the miner offers nothing at present. */
  readonly price?: string;
  /** Height at which that price no longer stands. */
  readonly priceExpiry?: number;
  readonly collateral: string;
  readonly provingWindow?: BlockSpan;
  readonly sectors: readonly SectorInfo[];
  readonly preCommits: readonly PreCommitInfo[];
  /** Height of the last accepted proof-of-spacetime. */
  readonly lastPost?: number;
  /** Accepted proofs-of-spacetime. */
  readonly posts: number;
  /** Height at which the miner lost its power for a missed proof. */
  readonly slashedAt?: number;
}

/** An interior node of a file's DAG; a file of at most 1 MiB has none. */
export interface PieceNode {
  readonly cid: string;
  readonly bytes: Uint8Array;
}

/** What `prepare` finds out about a file. Plain data: it can be cloned and kept. */
export interface Piece {
  /** Bytes of the file. */
  readonly size: number;
  /** Room that it takes in a sector. */
  readonly paddedSize: number;
  /** The piece commitment. */
  readonly commP: string;
  /** The piece commitment as a CID (`baga6ea4seaq…`). */
  readonly pieceCid: string;
  /** Root of the file's UnixFS DAG: what `ipfs add` with the profile `unixfs-v1-2025` prints. */
  readonly dataCid: string;
  /** Needed to serve the file to the miner. */
  readonly nodes: readonly PieceNode[];
}

/** How far a computation or a transfer is. */
export interface Progress {
  /** Bytes done. */
  readonly done: number;
  /** Bytes in all. */
  readonly total: number;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
  /** What is left at that speed; absent while nothing has moved. */
  readonly secondsLeft?: number;
}

/** Options of long-running calls. */
export interface RunOptions {
  /** Ends the work; the promise rejects with the code `aborted`. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** A part of a file that is hashed. Plain data: keep it, and hand it in again to go on later. */
export interface HashedSlice {
  /** Names the division of the file: slices of different heights do not belong together. */
  readonly height: number;
  readonly index: number;
  /** Root and leaves of the slice, 32 bytes for each MiB. */
  readonly names: Uint8Array;
}

/** Options of `computePiece`. */
export interface PieceOptions extends RunOptions {
  /** Workers at once, at most; by default as many as the processor has cores, up to eight. */
  readonly workers?: number;
  /** Slices of this very file from an earlier call: they are not read again. Those that do not fit the file's size are left out. */
  readonly saved?: readonly HashedSlice[];
  /** Called with each slice that was hashed, in the order in which they are done. */
  readonly onSlice?: (slice: HashedSlice) => void;
}

/** What a deal would cost, and whether the miner would take it. */
export interface Quote {
  /** FIL for the whole deal. */
  readonly total: string;
  /** Vouchers that the payment is split into. */
  readonly vouchers: number;
  /** Why the deal cannot be made; absent when it can. */
  readonly problem?: Problem;
}

/** What to store and for how long. */
export interface StoreOptions {
  /** Blocks. */
  readonly duration: number;
  /** Name to show; a `File`'s own name when left out. */
  readonly name?: string;
  /** Whether a second deal with the same miner about the same file is meant; without it, `store` throws `duplicate`. */
  readonly allowDuplicates?: boolean;
}

/** Something that went wrong, in words: what and why, then what to do. */
export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
  /** What to do about it; may be empty. */
  readonly hint: string;
  /** With the code `rejected`: the stable number of the miner's rule, when it was found before anything was sent. */
  readonly rejection?: number;
}

/** Stable codes of what can go wrong. */
export type ErrorCode =
  | 'aborted'
  | 'bad-argument'
  | 'busy'
  | 'chain-refused'
  | 'chain-unreachable'
  | 'closed'
  | 'deal-failed'
  | 'duplicate'
  | 'empty-file'
  | 'faucet'
  | 'file-lost'
  | 'file-too-large'
  | 'file-unreadable'
  | 'insufficient-funds'
  | 'internal'
  | 'miner-misbehaved'
  | 'miner-unknown'
  | 'miner-unreachable'
  | 'no-ask'
  | 'not-found'
  | 'not-stored-yet'
  | 'not-working'
  | 'refund-pending'
  | 'rejected'
  | 'retrieval-corrupt'
  | 'retrieval-failed'
  | 'self-deal'
  | 'storage'
  | 'unsupported';

/** The steps of a deal, in order. */
export type Step =
  | 'drafted'
  | 'channel'
  | 'signed'
  | 'accepted'
  | 'transferred'
  | 'staged'
  | 'sealing'
  | 'complete'
  | 'proven';

/** All steps in order. */
export const STEPS: readonly Step[] = [
  'drafted',
  'channel',
  'signed',
  'accepted',
  'transferred',
  'staged',
  'sealing',
  'complete',
  'proven',
];

/** When a step was reached. */
export interface StepRecord {
  readonly step: Step;
  /** Absent while the step lies ahead. */
  readonly at?: number;
}

/** Where a complete deal's piece lies; the inclusion proof was checked before this is shown. */
export interface SectorProof {
  readonly sectorId: number;
  readonly commD: string;
  readonly commR: string;
  readonly commRStar: string;
  /** CID of the commitSector message. */
  readonly commitmentMessage: string;
}

/** How the chain sees the proving of a deal's sector. */
export interface Proving {
  /** First height of the current window. */
  readonly windowStart: number;
  /** First height after it. */
  readonly windowEnd: number;
  /** Height of the last accepted proof that covered the sector. */
  readonly lastProvenAt?: number;
  /** Accepted proofs that covered the sector. */
  readonly proofs: number;
}

/** A miner's signed answer about a deal. */
export interface Answer {
  /** `unknown` when the miner has no such deal. */
  readonly state: 'unknown' | 'rejected' | 'accepted' | 'started' | 'failed' | 'staged' | 'complete';
  /** The miner's reason; empty when there is none. */
  readonly message: string;
  readonly at: number;
}

/** The money of a failed attempt on its way back. */
export interface Refund {
  /** Id of the attempt's payment channel. */
  readonly channel: number;
  /** FIL that come, or came, back. */
  readonly amount: string;
  /**
   * `cancelling`: the channel is being cancelled · `waiting`: it ends at `until`, which leaves the miner time to redeem
   * what it has earned · `reclaiming`: the money is being taken out of it · `returned`: it is in the account.
   */
  readonly state: 'cancelling' | 'waiting' | 'reclaiming' | 'returned';
  /** Height at which the channel ends, while that is waited for. */
  readonly until?: number;
  /** Whether the chain refused to cancel the channel, because the miner has shown that it stores the file. */
  readonly earned: boolean;
  /** What hinders it at present; it is tried again by itself. */
  readonly error?: Problem;
}

/** A payer's signed promise to pay. */
export interface Voucher {
  readonly payer: string;
  /** Who is paid. */
  readonly target: string;
  /** Id of the payer's channel that it is paid from. */
  readonly channel: number;
  /** FIL, cumulative over the channel: redeeming a voucher pays what it exceeds the last redeemed one by. */
  readonly amount: string;
  /** First height at which it may be redeemed. */
  readonly validAt: number;
  /** Whether the payee must show on the chain that it stores the file. */
  readonly conditional: boolean;
  /**
   * `ahead`: its height is still to come · `due`: it may be redeemed now · `redeemed`: the channel has paid as much ·
   * `expired`: the channel ended before that · `settled`: the channel is gone · `invalid`: the chain would pay nothing for it.
   */
  readonly state: 'ahead' | 'due' | 'redeemed' | 'expired' | 'settled' | 'invalid';
  /** Its text form (`z…`), which `sealdrop` and `importVouchers` read. */
  readonly text: string;
}

/** A payment channel. */
export interface Channel {
  readonly id: number;
  /** Who is paid; absent once the channel is closed. */
  readonly target?: string;
  /** FIL that were set aside. */
  readonly amount: string;
  /** FIL that the target has taken. */
  readonly redeemed: string;
  /** First height at which nothing can be redeemed; absent once the channel is closed. */
  readonly eol?: number;
  /** `closed`: it is gone from the chain, and what was left went back to the payer. */
  readonly state: 'open' | 'cancelled' | 'ended' | 'closed';
}

/** How a deal is paid, at one height of the chain. */
export interface Payments {
  readonly height: number;
  /** FIL for the whole deal; 0 for a free one. */
  readonly total: string;
  /** FIL that have fallen due, redeemed or not. */
  readonly due: string;
  /** FIL that the miner has redeemed. */
  readonly redeemed: string;
  /** Absent for a free deal, and until the channel is open. */
  readonly channel?: Channel;
  /** In the order in which they fall due; none for a free deal, before it is signed, and after it failed. */
  readonly vouchers: readonly Voucher[];
}

/** A storage deal as this browser keeps it. */
export interface Deal {
  /** Local id; stable from the first moment. */
  readonly id: string;
  /** CID of the signed proposal, once there is one. */
  readonly dealCid?: string;
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  /** MIME type of the file; may be empty. */
  readonly type: string;
  readonly createdAt: number;
  readonly dataCid: string;
  readonly pieceCid: string;
  readonly commP: string;
  /** The miner's address. */
  readonly miner: string;
  /** Blocks. */
  readonly duration: number;
  /** FIL for the whole deal. */
  readonly total: string;
  /** The last step reached. */
  readonly step: Step;
  readonly state: 'working' | 'complete' | 'failed';
  /** Why the deal failed, in the miner's or the chain's words. */
  readonly reason?: string;
  /** Bytes that the miner has fetched from here. */
  readonly transferred?: number;
  /** All steps in order; those reached have a time. */
  readonly steps: readonly StepRecord[];
  readonly proof?: SectorProof;
  readonly proving?: Proving;
  /** The money of failed attempts, the oldest first; taken back by itself while a page is open. */
  readonly refunds: readonly Refund[];
  /** The miner's last answer whose signature was right. */
  readonly answer?: Answer;
  /** What hinders the deal at present. A `working` deal with an error is being retried. */
  readonly error?: Problem;
  /** Whether this browser is connected to the miner right now. */
  readonly connected: boolean;
}

/**
 * What a check comes to. `holds`: shown · `pending`: cannot be shown yet, and nothing is overdue · `over`: the deal has
 * run its time, so it is owed no more · `fails`: shown to be wrong, or overdue.
 */
export type Verdict = 'holds' | 'pending' | 'over' | 'fails';

/** One check of `verify`. */
export interface Check {
  /** Whether its state is `holds`. */
  readonly ok: boolean;
  readonly state: Verdict;
  /** What was compared with what, and what came of it. */
  readonly detail: string;
}

/** What `verify` found, each part checked here against the chain, without trusting the miner. */
export interface Verification {
  /** That of the worst part: `fails`, then `pending`, then `over`. */
  readonly state: Verdict;
  /** The piece lies in the data that commD commits to. */
  readonly inclusion: Check;
  /** The commitSector message is on the chain, was applied, and commits this sector of this miner. */
  readonly commitMessage: Check;
  /** The chain's record of the sector has the same commitments. */
  readonly commitments: Check;
  /** The miner actor says that the piece is in its sector: what the deal's vouchers are conditional on. */
  readonly actor: Check;
  /** A proof-of-spacetime that covers the sector was accepted, and the last one is not overdue. */
  readonly proven: Check;
}

/** The events of a client and what their listeners get. */
export interface Events {
  /** A deal changed, or bytes were transferred. */
  deal: Deal;
  /** There is a new block. */
  head: Head;
  /** Something outside of a single deal went wrong, such as an unreachable chain. */
  problem: Problem;
}
