// The Service Worker behind players and long downloads: answers requests below `play/` with bytes of a stored file, which the page fetches
// and checks. It fetches nothing itself, keeps nothing, and answers nothing else.
//
// `play/KEY` is an empty document, in which the page puts a player; no script runs in it. `play/KEY/media` is the file for it, also in ranges;
// `play/KEY/file` is the file to be saved. The key is known to the page alone that made it, and means nothing when that page is gone.

import { askedRange, type FromPage, type FromPlayer, SCOPE, type Wanted } from './play-messages';

/** What the library of types for pages does not know of a Service Worker. */
interface WorkerScope {
  readonly registration: { readonly scope: string };
  readonly clients: {
    matchAll(options: { type: 'window'; includeUncontrolled: true }): Promise<{ postMessage: Post }[]>;
    claim(): Promise<void>;
  };
  skipWaiting(): Promise<void>;
  addEventListener(kind: string, listener: (event: WorkerEvent) => void): void;
}
type Post = (message: Wanted, transfer: Transferable[]) => void;
interface WorkerEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
  waitUntil(done: Promise<unknown>): void;
}
const worker = self as unknown as WorkerScope;

/** Milliseconds in which a page answers that has the file. */
const ANSWER_MS = 10_000;

/** What a stored file is told to be is never a document or a script. */
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

/** Nothing but media of this very scope may be in the player's document. */
const PLAYER_HEADERS = {
  ...HEADERS,
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
};

worker.addEventListener('install', (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));
// A message keeps the worker alive; there is nothing else in it.
worker.addEventListener('message', () => undefined);
worker.addEventListener('fetch', (event) => {
  const { pathname } = new URL(event.request.url);
  const base = new URL(worker.registration.scope).pathname;
  if (!base.endsWith(SCOPE) || !pathname.startsWith(base)) return;
  const [key = '', what, ...rest] = pathname.slice(base.length).split('/');
  if (rest.length > 0) return;
  if (what === undefined) event.respondWith(Promise.resolve(player()));
  if (what === 'media' || what === 'file') event.respondWith(answer(key, what, event.request));
});

function player(): Response {
  return new Response('<!doctype html><html lang="en"><title>Player</title><body></body></html>', {
    headers: PLAYER_HEADERS,
  });
}

async function answer(key: string, what: 'media' | 'file', request: Request): Promise<Response> {
  // A stored file is never shown as a document.
  if (what === 'media' && request.mode === 'navigate') return refusal(403, 'This is for a player.');
  const source = await find(key);
  if (!source) return refusal(404, 'The page that had this file is gone.');
  const { size, atMost, type, name } = source.file;
  const headers = new Headers({ ...HEADERS, 'accept-ranges': 'bytes', 'content-type': type });
  const asked = what === 'file' ? 'all' : askedRange(request.headers.get('range'), size);
  if (asked === 'nothing') {
    source.port.close();
    headers.set('content-range', `bytes */${size}`);
    return new Response(null, { status: 416, headers });
  }
  if (what === 'file') {
    headers.set('content-type', 'application/octet-stream');
    headers.set('content-disposition', `attachment; filename*=UTF-8''${encodeName(name)}`);
  }
  const { from, to } = asked === 'all' ? { from: 0, to: size } : asked;
  if (!atMost) headers.set('content-length', String(to - from));
  if (asked !== 'all') headers.set('content-range', `bytes ${from}-${to - 1}/${size}`);
  return new Response(body(source.port, from, to), { status: asked === 'all' ? 200 : 206, headers });
}

function encodeName(name: string): string {
  return encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function refusal(status: number, text: string): Response {
  return new Response(text, { status, headers: { ...HEADERS, 'content-type': 'text/plain; charset=utf-8' } });
}

interface Source {
  readonly port: MessagePort;
  readonly file: Extract<FromPage, { kind: 'file' }>;
}

/** Asks all pages of this site who has the file. */
async function find(key: string): Promise<Source | undefined> {
  const pages = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  if (pages.length === 0) return undefined;
  const ports: MessagePort[] = [];
  const found = await new Promise<Source | undefined>((resolve) => {
    const late = setTimeout(() => resolve(undefined), ANSWER_MS);
    for (const page of pages) {
      const { port1, port2 } = new MessageChannel();
      ports.push(port1);
      port1.onmessage = ({ data }: MessageEvent<FromPage>) => {
        if (data.kind !== 'file') return;
        clearTimeout(late);
        resolve({ port: port1, file: data });
      };
      page.postMessage({ sealdrop: 'play', key }, [port2]);
    }
  });
  for (const port of ports) {
    if (port !== found?.port) port.close();
  }
  return found;
}

/** The bytes as the page hands them out: one part at a time, and the next one when it is wanted. */
function body(port: MessagePort, from: number, to: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const say = (message: FromPlayer) => port.postMessage(message);
  const end = () => {
    port.onmessage = null;
    port.close();
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start: () => say({ kind: 'read', from, to }),
      pull: (controller) =>
        new Promise<void>((resolve) => {
          port.onmessage = ({ data }: MessageEvent<FromPage>) => {
            if (data.kind === 'bytes') controller.enqueue(data.bytes);
            if (data.kind === 'end') controller.close();
            if (data.kind === 'problem') controller.error(new Error(data.message));
            if (data.kind === 'end' || data.kind === 'problem') end();
            resolve();
          };
          say({ kind: 'more' });
        }),
      cancel: () => {
        say({ kind: 'stop' });
        end();
      },
    },
    { highWaterMark: 0 },
  );
}
