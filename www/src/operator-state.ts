// What the page knows of the daemon for its operator: asked for as views want it, anew when the daemon says that it changed, and told apart by when
// it was heard. What is not heard now is never taken for what holds now.

import { ask, follow, NotOperator, type Order } from './operator-api';
import { forgetToken, keepToken, tokenOfSession } from './operator-token';
import type { Answers, Scope } from './operator-types';

/** Which news concern which answer; those without any are asked for again and again. */
const TOPICS: Readonly<Record<string, readonly string[]>> = {
  mining: ['health', 'deals', 'sectors', 'jobs', 'head', 'settings'],
  status: ['deals', 'sectors', 'head', 'settings'],
  deals: ['deals'],
  sectors: ['sectors'],
  proofs: ['head'],
  earnings: ['deals'],
  settings: ['settings'],
  configuration: ['settings'],
  explain: ['deals', 'sectors', 'jobs', 'head'],
};
/** Milliseconds between two questions where no news come, and at most where they do: something may be late without being said. */
const POLLS: Readonly<Record<string, number>> = { log: 3_000, machine: 5_000, peers: 5_000, alerts: 10_000 };
const POLL_MS = 15_000;
/** Least milliseconds between two questions for the same. */
const LEAST_MS = 1_000;
/** Milliseconds before the line is tried again, doubled each time up to the most. */
const FIRST_WAIT_MS = 1_000;
const MOST_WAIT_MS = 30_000;
/** Most deals that are listed. */
export const MOST_DEALS = 500;
const QUERIES: Readonly<Record<string, string>> = { deals: `?limit=${MOST_DEALS}` };

/** What was heard of one thing. */
export interface Heard<T> {
  readonly value?: T;
  /** When, in milliseconds since 1970. */
  readonly at?: number;
  /** Why it could not be heard anew. */
  readonly problem?: unknown;
}

/**
 * How it stands between the page and the daemon: no token yet; connecting for the first time; the daemon tells what happens; it does not; it took
 * the token for none of its.
 */
export type Standing = 'no-token' | 'connecting' | 'live' | 'away' | 'refused';

interface Asked {
  heard: Heard<unknown>;
  isUnderWay: boolean;
  isStale: boolean;
  askedAt: number;
}

class OperatorState extends EventTarget {
  standing: Standing = 'no-token';
  scope: Scope | undefined;
  /** Why there is no line, and when it is tried again. */
  problem: unknown;
  retryAt: number | undefined;
  /** Milliseconds by which the daemon's clock is ahead of this one. */
  private ahead = 0;
  private token: string | undefined;
  private readonly asked = new Map<string, Asked>();
  private wanted: readonly string[] = [];
  /** Ends everything that is under way with this token. */
  private line: AbortController | undefined;
  private retry: (() => void) | undefined;
  private readonly tick = () => this.askWhatIsDue();
  private timer: ReturnType<typeof setInterval> | undefined;

  /** Begins, with the token of the session if there is one; called when the operator's page is shown. */
  open(): void {
    const token = tokenOfSession();
    if (token === undefined) {
      this.close();
      this.standing = this.standing === 'refused' ? 'refused' : 'no-token';
      this.changed();
      return;
    }
    if (token === this.token && this.line) return;
    this.close();
    if (token !== this.token) this.asked.clear();
    this.token = token;
    this.standing = 'connecting';
    this.line = new AbortController();
    this.timer = setInterval(this.tick, 500);
    addEventListener('online', this.tryNow);
    void this.keepLine(token, this.line.signal);
    this.changed();
  }

  /** Ends the line; what was heard stays, with its time. */
  close(): void {
    this.line?.abort();
    this.line = undefined;
    clearInterval(this.timer);
    removeEventListener('online', this.tryNow);
  }

  /** Uses a token that was typed. */
  use(token: string): void {
    keepToken(token);
    this.standing = 'connecting';
    this.open();
  }

  /** Forgets token and everything that was heard with it. */
  forget(standing: 'no-token' | 'refused' = 'no-token'): void {
    this.close();
    forgetToken();
    this.token = this.scope = undefined;
    this.asked.clear();
    this.standing = standing;
    this.changed();
  }

  readonly tryNow = (): void => this.retry?.();

  /** Whether the token may do this. */
  may(scope: Scope): boolean {
    const order: readonly Scope[] = ['read', 'operate', 'admin'];
    return this.scope !== undefined && order.indexOf(this.scope) >= order.indexOf(scope);
  }

  /** The time for which what is shown holds: it stands still while nothing is heard. */
  get here(): number {
    return this.standing === 'live' ? Date.now() : (this.asOf ?? Date.now());
  }

  /** The same by the daemon's clock, as far as that is known. */
  get now(): number {
    return this.here + this.ahead;
  }

  /** What was heard last. */
  heard<Path extends keyof Answers & string>(path: Path): Heard<Answers[Path]> {
    return (this.asked.get(path)?.heard ?? {}) as Heard<Answers[Path]>;
  }

  /** The answer, as it was heard last. */
  get<Path extends keyof Answers & string>(path: Path): Answers[Path] | undefined {
    return this.heard(path).value;
  }

  /** When the oldest of what is shown was heard. */
  get asOf(): number | undefined {
    const times = this.wanted.map((path) => this.asked.get(path)?.heard.at).filter((at) => at !== undefined);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  /** Why something that is shown could not be heard anew. */
  get failed(): unknown {
    return this.wanted.map((path) => this.asked.get(path)?.heard.problem).find((problem) => problem !== undefined);
  }

  /** Says what the page shows now: that is kept up to date. */
  want(paths: readonly string[]): void {
    if (paths.join(' ') === this.wanted.join(' ')) return;
    this.wanted = paths;
    for (const path of paths) if (!TOPICS[kindOf(path)]) this.stale(path);
    this.askWhatIsDue();
  }

  /** Gives an order; what may have changed by it is asked for anew. */
  async order<T>(path: string, order: Order = {}): Promise<T> {
    const { token } = this;
    if (token === undefined) throw new NotOperator();
    try {
      return await ask<T>(token, path, order);
    } catch (error) {
      if (error instanceof NotOperator) this.forget('refused');
      throw error;
    } finally {
      for (const wanted of this.asked.keys()) this.stale(wanted);
      this.askWhatIsDue();
    }
  }

  /** Puts in what an order answered, before anything is asked anew. */
  learn<Path extends keyof Answers & string>(path: Path, value: Answers[Path]): void {
    this.entry(path).heard = { value, at: Date.now() };
    this.changed();
  }

  private async keepLine(token: string, signal: AbortSignal): Promise<void> {
    let wait = FIRST_WAIT_MS;
    while (!signal.aborted) {
      try {
        this.scope = (await ask<{ scope: Scope }>(token, 'whoami', undefined, signal)).scope;
        await follow(
          token,
          (topics) => {
            if (topics.length === 0) wait = FIRST_WAIT_MS;
            this.heardOf(topics);
          },
          signal,
        );
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof NotOperator) return this.forget('refused');
        this.problem = error;
      }
      if (signal.aborted) return;
      this.standing = 'away';
      this.retryAt = Date.now() + wait;
      this.changed();
      await this.pause(wait, signal);
      wait = Math.min(MOST_WAIT_MS, wait * 2);
    }
  }

  /** News; of no topic when the line was just opened, after which anything may be different. */
  private heardOf(topics: readonly string[]): void {
    const isNew = topics.length === 0;
    if (isNew) {
      this.standing = 'live';
      this.problem = this.retryAt = undefined;
    }
    for (const path of this.asked.keys()) {
      if (isNew || (TOPICS[kindOf(path)] ?? []).some((topic) => topics.includes(topic))) this.stale(path);
    }
    this.askWhatIsDue();
    if (isNew) this.changed();
  }

  private pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise<void>((done) => {
      const timer = setTimeout(done, ms);
      this.retry = () => {
        clearTimeout(timer);
        done();
      };
      signal.addEventListener('abort', () => done(), { once: true });
    }).then(() => {
      this.retry = undefined;
    });
  }

  private askWhatIsDue(): void {
    if (this.standing !== 'live' && this.standing !== 'connecting') return;
    const now = Date.now();
    for (const path of this.wanted) {
      const entry = this.entry(path);
      const age = now - entry.askedAt;
      const isDue = age >= (POLLS[kindOf(path)] ?? POLL_MS) || (entry.isStale && age >= LEAST_MS);
      if (!entry.isUnderWay && isDue && this.line) void this.hear(path, entry, this.line.signal);
    }
  }

  private async hear(path: string, entry: Asked, signal: AbortSignal): Promise<void> {
    const { token = '' } = this;
    Object.assign(entry, { isUnderWay: true, isStale: false, askedAt: Date.now() });
    const at = Date.now();
    try {
      const value = await ask(token, path + (QUERIES[path] ?? ''), undefined, signal);
      entry.heard = { value, at };
      if (path === 'machine') this.ahead = (value as Answers['machine']).now - (at + Date.now()) / 2;
    } catch (problem) {
      if (problem instanceof NotOperator && !signal.aborted) return this.forget('refused');
      if (!signal.aborted) entry.heard = { ...entry.heard, problem };
    }
    entry.isUnderWay = false;
    if (!signal.aborted) this.changed();
  }

  private entry(path: string): Asked {
    let entry = this.asked.get(path);
    if (!entry) {
      entry = { heard: {}, isUnderWay: false, isStale: true, askedAt: 0 };
      this.asked.set(path, entry);
    }
    return entry;
  }

  private stale(path: string): void {
    this.entry(path).isStale = true;
  }

  private changed(): void {
    this.dispatchEvent(new Event('change'));
  }
}

/** `deals/CID` is like `deals`, the log of one level like that of another, any explanation like another. */
function kindOf(path: string): string {
  return path.endsWith('/explain') ? 'explain' : (path.split(/[/?]/)[0] ?? path);
}

export const operator = new OperatorState();
