/** Several verifications as one: how each part is at its worst. */

import type { Check, Verdict, Verification } from './types.js';

/** From bad to good. */
const ORDER: readonly Verdict[] = ['fails', 'pending', 'over', 'holds'];

export function worstOf(one: Verification, other: Verification): Verification {
  const worst = (a: Check, b: Check): Check => (ORDER.indexOf(b.state) < ORDER.indexOf(a.state) ? b : a);
  return {
    state: ORDER.indexOf(other.state) < ORDER.indexOf(one.state) ? other.state : one.state,
    inclusion: worst(one.inclusion, other.inclusion),
    commitMessage: worst(one.commitMessage, other.commitMessage),
    commitments: worst(one.commitments, other.commitments),
    actor: worst(one.actor, other.actor),
    proven: worst(one.proven, other.proven),
  };
}
