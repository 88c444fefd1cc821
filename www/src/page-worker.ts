// The Service Worker that opens the page without a network. It keeps the page's files, one cache for each build, and answers for nothing else:
// not for the chain, not for the daemon's own requests, not for `play/`, which is the other Service Worker's (`play-worker.ts`).
//
// While there is a network the page itself comes from its server, so that it is never older than the daemon that it talks to; files that have
// the digest of their content in their name come from the cache. A new build is kept beside the one that is open, and takes over when the
// person says so (`installing.ts`).

import { ACTIVATE } from './worker-messages';

/** All files of this build, by the build. */
declare const FILES: readonly string[];
/** A digest of all of them. */
declare const VERSION: string;

interface WorkerScope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(kind: string, listener: (event: WorkerEvent) => void): void;
}
interface WorkerEvent {
  readonly request: Request;
  readonly data: unknown;
  respondWith(response: Promise<Response>): void;
  waitUntil(done: Promise<unknown>): void;
}
const worker = self as unknown as WorkerScope;

const PREFIX = 'sealdrop-page-';
const CACHE = PREFIX + VERSION;
const PAGE = 'index.html';
/** Milliseconds that a server has to answer before the page opens from the cache: one that hangs is as good as none. */
const ANSWER_MS = 5_000;

worker.addEventListener('install', (event) => event.waitUntil(keep()));
worker.addEventListener('activate', (event) => event.waitUntil(takeOver()));
worker.addEventListener('message', (event) => {
  if (event.data === ACTIVATE) void worker.skipWaiting();
});
worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const name = nameOf(request);
  if (name === undefined) return;
  const isFixed = name.startsWith('assets/');
  event.respondWith(isFixed ? cachedFirst(request, name) : servedFirst(request, name));
});

async function keep(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll(FILES.map((name) => new Request(addressOf(name), { cache: 'no-cache' })));
}

async function takeOver(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  await worker.clients.claim();
}

const addressOf = (name: string) => new URL(name, worker.registration.scope).href;

/** The file of this build that is asked for. */
function nameOf(request: Request): string | undefined {
  if (request.method !== 'GET' || !request.url.startsWith(worker.registration.scope)) return undefined;
  const { pathname } = new URL(request.url);
  const name = pathname.slice(new URL(worker.registration.scope).pathname.length) || PAGE;
  return FILES.includes(name) ? name : undefined;
}

async function cachedFirst(request: Request, name: string): Promise<Response> {
  const kept = await caches.match(addressOf(name));
  return kept ?? fetch(request);
}

async function servedFirst(request: Request, name: string): Promise<Response> {
  const cache = await caches.open(CACHE);
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.status === 200 && !answer.redirected) await cache.put(addressOf(name), answer.clone());
    if (answer.status < 500) return answer;
    return (await cache.match(addressOf(name))) ?? answer;
  } catch (error) {
    const kept = await cache.match(addressOf(name));
    if (kept) return kept;
    throw error;
  }
}
