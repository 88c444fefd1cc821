/** The one error class of the package, and how it crosses the border between workers. */

import type { ErrorCode, Obstacle, Problem } from './types.js';

/** What an error may have beside its code and words. */
export interface MoreOfError {
  /** The stable number of the miner's rule. */
  readonly rejection?: number | undefined;
  readonly obstacle?: Obstacle | undefined;
  /** The browser's or the system's own error. */
  readonly cause?: unknown;
}

/** What every function of this package throws: a stable code, what and why, what to do, and as `cause` what it comes from. */
export class SealdropError extends Error implements Problem {
  override readonly name = 'SealdropError';
  readonly code: ErrorCode;
  readonly hint: string;
  declare readonly rejection?: number;
  declare readonly obstacle?: Obstacle;

  constructor(code: ErrorCode, message: string, hint = '', { rejection, obstacle, ...why }: MoreOfError = {}) {
    super(message, why);
    this.code = code;
    this.hint = hint;
    if (rejection !== undefined) {
      this.rejection = rejection;
    }
    if (obstacle !== undefined) {
      this.obstacle = obstacle;
    }
  }

  /** The error that was sent as plain data, and what it comes from where that is known. */
  static from({ code, message, hint, rejection, obstacle }: Problem, cause?: unknown): SealdropError {
    return new SealdropError(code, message, hint, { rejection, obstacle, ...(cause === undefined ? {} : { cause }) });
  }
}

/** Anything thrown, as plain data that can be posted. */
export function problemOf(thrown: unknown): Problem {
  return thrown instanceof DOMException ? storageProblem(thrown) : plainProblemOf(thrown);
}

/** The same where neither the browser's storage nor a file is touched: bundles have no words about them then. */
export function plainProblemOf(thrown: unknown): Problem {
  if (isProblem(thrown)) {
    const { code, message, hint, rejection, obstacle } = thrown;
    return {
      code,
      message,
      hint,
      ...(rejection === undefined ? {} : { rejection }),
      ...(obstacle === undefined ? {} : { obstacle }),
    };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: 'internal', message, hint: '' };
}

/** What to tell about an exception of the browser's storage or file access. */
function storageProblem(exception: DOMException): Problem {
  switch (exception.name) {
    case 'NotReadableError':
    case 'NotFoundError':
      return {
        code: 'file-unreadable',
        message: `the file cannot be read: ${exception.message}`,
        hint: 'It may have been moved, changed or removed since it was chosen: choose it again.',
      };
    case 'QuotaExceededError':
      return {
        code: 'storage',
        message: `the browser has no room for the file: ${exception.message}`,
        hint: 'Free some disk space, or remove finished deals.',
      };
    case 'AbortError':
      return { code: 'aborted', message: 'stopped', hint: '' };
    default:
      return {
        code: 'storage',
        message: `the browser's storage failed: ${exception.name}: ${exception.message}`,
        hint: 'Leave the private window, or allow this site to store data.',
      };
  }
}

/** What an error that is sent as plain data comes from, as far as it can be posted. */
export function causeOf(thrown: unknown): Error | DOMException | undefined {
  const cause = thrown instanceof SealdropError ? thrown.cause : thrown;
  return cause instanceof Error || cause instanceof DOMException ? cause : undefined;
}

function isProblem(thrown: unknown): thrown is Problem {
  if (typeof thrown !== 'object' || thrown === null) {
    return false;
  }
  const { code, message, hint } = thrown as Partial<Record<keyof Problem, unknown>>;
  return typeof code === 'string' && typeof message === 'string' && typeof hint === 'string';
}
