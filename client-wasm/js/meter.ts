/** Measures the speed of long-running work for whoever watches it. */

import { SealdropError } from './errors.js';
import type { Progress } from './types.js';

/** The speed is that of about so many milliseconds before now: steady enough to tell the time left by. */
const MEMORY_MS = 3_000;
/** Least milliseconds between two reports: more often nobody can read them. */
const LEAST_MS = 50;

/** Turns byte counts into progress with a smoothed speed. */
export class Meter {
  readonly #watch: ((progress: Progress) => void) | undefined;
  readonly #start = performance.now();
  #at = this.#start;
  #done: number;
  #speed: number | undefined;

  /** Starts the clock, with `done` bytes that were done before. */
  constructor(watch: ((progress: Progress) => void) | undefined, done = 0) {
    this.#watch = watch;
    this.#done = done;
  }

  /** So many more bytes were done before the clock started. */
  skip(bytes: number): void {
    this.#done += bytes;
  }

  /** Takes the count of bytes that are done by now, of `total`. */
  report(done: number, total: number): void {
    const now = performance.now();
    const elapsed = now - this.#at;
    if (elapsed < LEAST_MS && this.#speed !== undefined && done < total) {
      return;
    }
    const speed = ((done - this.#done) * 1000) / Math.max(elapsed, 1);
    // At first the mean of all there is; later what is older fades.
    const weight = Math.max(1 - Math.exp(-elapsed / MEMORY_MS), elapsed / Math.max(now - this.#start, 1));
    this.#speed = this.#speed === undefined ? speed : this.#speed + Math.min(weight, 1) * (speed - this.#speed);
    this.#at = now;
    this.#done = done;
    const left = this.#speed > 0 ? { secondsLeft: (total - done) / this.#speed } : {};
    this.#watch?.({ done, total, bytesPerSecond: this.#speed, ...left });
  }
}

/** What work that was stopped by its caller throws. */
export function abortedError(): SealdropError {
  return new SealdropError('aborted', 'stopped');
}
