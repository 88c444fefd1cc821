// The steps of a deal in the order of design §2, and how far each is. Their words are in the catalogues.

import { STEPS, type Step } from 'sealdrop-client';

export { STEPS };

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
