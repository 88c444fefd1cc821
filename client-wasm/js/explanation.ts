/** Why a deal is not done and when it will be: what `explain` returns, the same JSON as `sealdrop client explain --json`. */

/** Stable names of reasons. A later miner may send others, which arrive as `other`. */
export type CauseCode =
  | 'channelOpening'
  | 'waitingForAnswer'
  | 'minerUnreachable'
  | 'minerCannotExplain'
  | 'dealUnknown'
  | 'waitingForData'
  | 'clientAway'
  | 'diskFull'
  | 'waitingForPlace'
  | 'waitingForAutoSeal'
  | 'queuedBehind'
  | 'stepRunning'
  | 'stepSlow'
  | 'stepFailed'
  | 'postFirst'
  | 'messageNotOnChain'
  | 'waitingForSeed'
  | 'chainUnreachable'
  | 'chainNotMakingBlocks'
  | 'postDue'
  | 'sectorFaulty'
  | 'waitingForRelease'
  | 'deletingFiles'
  | 'sectorFailed'
  | 'dealRejected'
  | 'dealFailed'
  | 'timeIsUp'
  | 'intakePaused'
  | 'other';

/** One reason. */
export interface Cause {
  readonly code: CauseCode;
  /** What and why, in words. */
  readonly text: string;
  /** What to do about it; empty when it passes by itself. */
  readonly whatToDo: string;
}

/** One thing that a deal goes through; finer than the `Step`s of a `Deal`. */
export interface ExplainedStep {
  readonly phase:
    | 'channel'
    | 'proposal'
    | 'transfer'
    | 'placing'
    | 'packing'
    | 'closed'
    | 'preCommit1'
    | 'preCommit2'
    | 'preCommitting'
    | 'waitSeed'
    | 'commit1'
    | 'commit2'
    | 'committing'
    | 'other';
  /** `waiting`: it has not begun, or stands in a queue. */
  readonly state: 'done' | 'running' | 'waiting' | 'failed';
  /** When it began. */
  readonly since?: number;
  /** How long it takes in all, in milliseconds, as far as that can be told. */
  readonly expectedMs?: number;
  /** What that number goes by. */
  readonly basis?: string;
}

/** When a deal will be done. */
export interface Eta {
  /** Milliseconds from the explanation's `at`, when nothing else comes first. */
  readonly earliestMs: number;
  /** Milliseconds from the explanation's `at`. */
  readonly expectedMs: number;
  /** What they go by: reads on after "going by". */
  readonly basis: string;
}

/** Why something is not done, and when it will be. The miner's part is unsigned: for showing only. */
export interface Explanation {
  readonly subject: { readonly kind: 'deal' | 'sector'; readonly id: string };
  /** How far it is, in one word; finer than a `Deal`'s `state`. */
  readonly state: string;
  /** Whether nothing more is to come: it is done, over, or has failed. */
  readonly done: boolean;
  /** When this was said. */
  readonly at: number;
  /** What it goes through, in order. */
  readonly steps: readonly ExplainedStep[];
  /** The most pressing cause first; never empty while `done` is false. */
  readonly because: readonly Cause[];
  /** Absent when nobody can tell, and when it is done. */
  readonly eta?: Eta;
  /** What comes next, in a sentence. */
  readonly next: string;
}
