// What went wrong, in three parts: what, why, what to do next. Every error that a person sees goes through here.

export interface Problem {
  /** What did not work, in words of the page. */
  what: string;
  /** Why, as the client or the miner said it. */
  why: string;
  /** What to do next. */
  next?: string;
  /** The stable code of the client's errors. */
  code?: string;
}

/** Makes a problem of anything that was thrown. */
export function problemOf(what: string, error: unknown): Problem {
  if (error && typeof error === 'object') {
    const { code, message, hint } = error as { code?: unknown; message?: unknown; hint?: unknown };
    return {
      what,
      why: typeof message === 'string' && message ? message : 'No reason was given.',
      next: typeof hint === 'string' && hint ? hint : undefined,
      code: typeof code === 'string' ? code : undefined,
    };
  }
  return { what, why: String(error) };
}

/** Whether the person stopped it: nothing to complain about. */
export function isAborted(error: unknown): boolean {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return code === 'aborted' || name === 'AbortError';
}
