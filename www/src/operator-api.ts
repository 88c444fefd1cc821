// Requests to the daemon that serves this page, with the operator's token, and the stream of its news.

import { legible } from './legible';
import { PageError } from './problem';
import { o } from './words/operator';

const BASE = '/api/v1/miner/';
/** Milliseconds that the daemon has for an answer; an order may wait for a block. */
const ANSWER_MS = 20_000;
const ORDER_MS = 300_000;
/** The daemon gives a sign of life every 15 s; without one for so long the line is dead. */
const SILENCE_MS = 40_000;
/** Longest event, in characters: one names a few topics. */
const LONGEST_EVENT = 65_536;
/** Longest text of an error that is shown, in characters. */
const LONGEST_ERROR = 1_000;

/** The token is not a good one, or not any more. */
export class NotOperator extends Error {}

/** What the daemon says no to, in its own words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export interface Order {
  readonly body?: unknown;
  /** A file's bytes, in place of JSON. */
  readonly bytes?: Blob;
}

/** What is asked with a GET, or ordered with a POST. */
export async function ask<T>(token: string, path: string, order?: Order, signal?: AbortSignal): Promise<T> {
  const limit = AbortSignal.timeout(order ? ORDER_MS : ANSWER_MS);
  const answer = await send(token, path, order, signal ? AbortSignal.any([signal, limit]) : limit);
  const body = await answer.text().catch(() => undefined);
  if (body === undefined) throw away();
  const said = parsed(body);
  if (answer.ok && said !== undefined) return said as T;
  if (answer.status === 401) throw new NotOperator();
  const { error } = (said ?? {}) as { error?: unknown };
  if (typeof error === 'string' && error) throw new Refused(answer.status, legible(error.slice(0, LONGEST_ERROR)));
  throw new PageError(
    'internal',
    () => o.strange(answer.status),
    () => o.strangeNext,
  );
}

/** Follows the daemon's news until the stream ends, and throws why; `hear` is told of the topics, first of none when the stream is open. */
export async function follow(token: string, hear: (topics: string[]) => void, signal: AbortSignal): Promise<never> {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE_MS);
  try {
    const answer = await send(token, 'events', undefined, AbortSignal.any([signal, silent.signal]));
    if (answer.status === 401) throw new NotOperator();
    if (!answer.ok || !answer.body)
      throw new PageError(
        'internal',
        () => o.strange(answer.status),
        () => o.strangeNext,
      );
    hear([]);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw away();
      });
      if (done)
        throw new PageError(
          'internal',
          () => o.ended,
          () => o.noAnswerNext,
        );
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MS);
      const events = (rest + value.replaceAll('\r', '')).split('\n\n');
      rest = events.pop() ?? '';
      if (rest.length > LONGEST_EVENT)
        throw new PageError(
          'internal',
          () => o.strange(answer.status),
          () => o.strangeNext,
        );
      for (const event of events) {
        const topics = topicsOf(event);
        if (topics.length > 0) hear(topics);
      }
    }
  } finally {
    clearTimeout(timer);
    silent.abort();
  }
}

async function send(token: string, path: string, order: Order | undefined, signal: AbortSignal): Promise<Response> {
  const json = order?.body === undefined ? undefined : JSON.stringify(order.body);
  const headers: Record<string, string> = { authorization: `Bearer ${token}` };
  if (json !== undefined) headers['content-type'] = 'application/json';
  try {
    return await fetch(new URL(BASE + path, location.origin), {
      method: order ? 'POST' : 'GET',
      headers,
      body: order?.bytes ?? json,
      signal,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
  } catch {
    throw away();
  }
}

const away = () =>
  new PageError(
    'internal',
    () => o.noAnswer,
    () => o.noAnswerNext,
  );

function topicsOf(event: string): string[] {
  const data = event
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trim())
    .join('\n');
  const { topics } = (parsed(data) ?? {}) as { topics?: unknown };
  return Array.isArray(topics) ? topics.filter((each) => typeof each === 'string') : [];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
