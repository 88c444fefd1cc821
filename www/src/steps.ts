// The steps of a deal in words, in the order of design §2. The journey and the deal book both read them.

import type { Step } from 'sealdrop-client';

export interface StepWords {
  /** When it is done. */
  done: string;
  /** While it is being done. */
  doing: string;
  /** One plain sentence about what it means. */
  meaning: string;
  /** What is going on once this step is reached. */
  next: string;
}

export const STEPS: Step[] = [
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

export const STEP_WORDS: Record<Step, StepWords> = {
  drafted: {
    done: 'Proposal drawn up',
    doing: 'Drawing up the proposal',
    meaning:
      'Your browser measures the file, computes its commitment, and checks the terms with the miner’s own rules.',
    next: 'opening the payment channel',
  },
  channel: {
    done: 'Payment channel opened',
    doing: 'Opening a payment channel',
    meaning:
      'The price is set aside on the chain. Signed vouchers give the miner a claim on it bit by bit, while it proves that it stores the file.',
    next: 'signing',
  },
  signed: {
    done: 'Vouchers and proposal signed',
    doing: 'Signing vouchers and proposal',
    meaning: 'This happens here, with a key that never leaves this browser.',
    next: 'waiting for the miner’s answer',
  },
  accepted: {
    done: 'Accepted by the miner',
    doing: 'Waiting for the miner’s answer',
    meaning: 'The miner reviews every term and answers with its signature.',
    next: 'sending the file',
  },
  transferred: {
    done: 'File transferred',
    doing: 'Sending the file',
    meaning:
      'The miner asks for the blocks it lacks and checks each one on arrival, so a broken connection loses nothing.',
    next: 'being checked by the miner',
  },
  staged: {
    done: 'Checked and placed in a sector',
    doing: 'The miner checks the file',
    meaning: 'The miner must compute the same commitment from what arrived; then the file gets its place in a sector.',
    next: 'being sealed',
  },
  sealing: {
    done: 'Sealed, and announced on the chain',
    doing: 'Sealing the sector',
    meaning:
      'The sector is encoded, layer upon layer, into a copy of the miner’s own, and its commitment goes on the chain.',
    next: 'the seal is being proven',
  },
  complete: {
    done: 'Complete: proven on the chain',
    doing: 'Proving the seal',
    meaning:
      'The miner proves that it did that work; the chain verifies the proof, and your browser that your file is inside the sector.',
    next: 'waiting for the first proof of spacetime',
  },
  proven: {
    done: 'First proof of spacetime',
    doing: 'Waiting for the first proof of spacetime',
    meaning: 'In every proving window the miner must show, with fresh randomness, that it still holds the sector.',
    next: 'proven again in every window',
  },
};

export type Status = 'done' | 'now' | 'later' | 'failed';

/**
 * How far a step is. A deal's step is the last one that it reached; the one after it is under way. The step `sealing`
 * is reached when the chain knows of the sealed sector.
 */
export function statusOf(step: Step, reached: Step, failed: boolean): Status {
  const current = underWay(reached);
  if (STEPS.indexOf(step) < STEPS.indexOf(current)) return 'done';
  if (step !== current) return 'later';
  if (reached === 'proven') return 'done';
  return failed ? 'failed' : 'now';
}

/** The step that is being worked on. */
export function underWay(reached: Step): Step {
  return STEPS[STEPS.indexOf(reached) + 1] ?? reached;
}
