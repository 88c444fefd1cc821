// What went wrong, in three parts: what, why, what to do next. Every error that a person sees goes through here.

import type { ErrorCode } from 'sealdrop-client';
import { engineWords, type Text, t } from './words';

export interface Problem {
  /** What did not work, in words of the page. */
  what: Text;
  /** Why, as the client or the miner said it, or in words of the page. */
  why: Text;
  /** What to do next. */
  next?: Text;
  /** The stable code of the client's errors. */
  code?: string;
  /** Whether why and next are the client's own words: it speaks English alone. */
  foreign?: boolean;
}

/** Makes a problem of anything that was thrown. */
export function problemOf(what: Text, error: unknown): Problem {
  if (error && typeof error === 'object') {
    if (error instanceof PageError) return { what, why: error.why, next: error.next, code: error.code };
    const { code, message, hint } = error as { code?: unknown; message?: unknown; hint?: unknown };
    const says = typeof message === 'string' && message !== '';
    return {
      what,
      why: says ? message : () => t.common.noReason,
      next: typeof hint === 'string' && hint ? hint : undefined,
      code: typeof code === 'string' ? code : undefined,
      foreign: says,
    };
  }
  return { what, why: String(error), foreign: true };
}

/** An error of the page itself, in its own words. */
export class PageError extends Error {
  constructor(
    readonly code: ErrorCode,
    readonly why: Text,
    readonly next?: Text,
  ) {
    super(typeof why === 'string' ? why : why());
  }
}

/** What is said of an error of the client in the language of the page, by its code; undefined where its own words are to be shown. */
export function translated({ code, foreign }: Problem): { why: string; next?: string } | undefined {
  const problems = foreign ? engineWords()?.problems : undefined;
  return problems && code !== undefined && Object.hasOwn(problems, code) ? problems[code as ErrorCode] : undefined;
}

/** Whether the person stopped it: nothing to complain about. */
export function isAborted(error: unknown): boolean {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return code === 'aborted' || name === 'AbortError';
}
