/** Measures the speed of long-running work for whoever watches it. */

import { SealdropError } from './errors.js';
import type { Progress } from './types.js';

/** How much the newest measurement weighs against the speed so far. */
const WEIGHT = 0.3;
/** Measurements over a shorter time are noise. */
const LEAST_MS = 50;

/** Turns byte counts into progress with a smoothed speed. */
export class Meter {
  readonly #watch: ((progress: Progress) => void) | undefined;
  #at = performance.now();
  #done = 0;
  #speed: number | undefined;

  /** Starts the clock. */
  constructor(watch: ((progress: Progress) => void) | undefined) {
    this.#watch = watch;
  }

  /** Takes the count of bytes that are done by now, of `total`. */
  report(done: number, total: number): void {
    const now = performance.now();
    const elapsed = now - this.#at;
    if (elapsed >= LEAST_MS || this.#speed === undefined) {
      const speed = ((done - this.#done) * 1000) / Math.max(elapsed, 1);
      this.#speed = this.#speed === undefined ? speed : this.#speed + WEIGHT * (speed - this.#speed);
      this.#at = now;
      this.#done = done;
    }
    this.#watch?.({ done, total, bytesPerSecond: this.#speed });
  }
}

/** What work that was stopped by its caller throws. */
export function abortedError(): SealdropError {
  return new SealdropError('aborted', 'stopped');
}
