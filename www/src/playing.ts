// Files of which a player or a download reads bytes: the page's side of the Service Worker (`play-worker.ts`). What it hands out was checked.

import { ALIVE, type FromPage, type FromPlayer, SCOPE, type Wanted } from './play-messages';
import { PageError } from './problem';
import { t } from './words';

/** A file that is offered, and how bytes of it are had. */
export interface Offered {
  readonly size: number;
  /** Whether it may have fewer bytes than that. */
  readonly atMost?: boolean;
  readonly type: string;
  readonly name: string;
  /** The bytes from the first to the one behind the last, each checked before it is handed out. */
  readonly read: (from: number, to: number, signal: AbortSignal) => ReadableStream<Uint8Array<ArrayBuffer>>;
  /** So many more bytes were handed out. */
  readonly onBytes?: (bytes: number) => void;
  /** A read has come to its end; with what it failed for. */
  readonly onEnd?: (problem?: unknown) => void;
}

/** Milliseconds in which the browser starts the Service Worker. */
const START_MS = 15_000;
/** Milliseconds between two messages that keep it alive; browsers end one that hears nothing for half a minute. */
const ALIVE_MS = 10_000;

/** Why players cannot seek here, in words; undefined where they can. */
export function hindrance(): string | undefined {
  if (!globalThis.isSecureContext) return t.preview.insecure;
  if (!('serviceWorker' in navigator)) return t.preview.noWorkerHere;
  return undefined;
}

const offered = new Map<string, Offered>();
let starting: Promise<ServiceWorkerRegistration> | undefined;

/** Starts the Service Worker, or finds it running. Rejects where the browser gives none. */
function start(): Promise<ServiceWorkerRegistration> {
  starting ??= register().catch((error: unknown) => {
    starting = undefined;
    throw error;
  });
  return starting;
}

async function register(): Promise<ServiceWorkerRegistration> {
  const why = hindrance();
  if (why !== undefined) throw new PageError('unsupported', why, () => t.preview.downloadInstead);
  navigator.serviceWorker.addEventListener('message', hear);
  navigator.serviceWorker.startMessages();
  try {
    const registration = await navigator.serviceWorker.register(new URL('play-worker.js', location.href), {
      scope: new URL(SCOPE, location.href).pathname,
      updateViaCache: 'none',
    });
    await active(registration);
    return registration;
  } catch (error) {
    navigator.serviceWorker.removeEventListener('message', hear);
    const why = error instanceof Error ? error.message : String(error);
    throw new PageError(
      'unsupported',
      () => t.preview.workerFails(why),
      () => t.preview.downloadInstead,
    );
  }
}

async function active(registration: ServiceWorkerRegistration): Promise<void> {
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  if (!worker || worker.state === 'activated') return;
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(t.preview.workerLate)), START_MS);
    worker.addEventListener('statechange', () => {
      if (worker.state !== 'activated' && worker.state !== 'redundant') return;
      clearTimeout(late);
      if (worker.state === 'activated') resolve();
      // Another version is at work already.
      else if (registration.active) resolve();
      else reject(new Error(t.preview.workerGone));
    });
  });
}

/** Offers a file until it is taken back. */
export async function offer(
  file: Offered,
): Promise<{ document: string; media: string; download: string; end: () => void }> {
  const registration = await start();
  const key = crypto.randomUUID();
  offered.set(key, file);
  const alive = setInterval(() => registration.active?.postMessage(ALIVE), ALIVE_MS);
  const at = new URL(`${SCOPE}${key}`, location.href).href;
  return {
    document: at,
    media: `${at}/media`,
    download: `${at}/file`,
    end: () => {
      clearInterval(alive);
      offered.delete(key);
    },
  };
}

/** The Service Worker asks who has a file. */
function hear({ data, ports: [port] }: MessageEvent<Wanted>): void {
  const file = data?.sealdrop === 'play' ? offered.get(data.key) : undefined;
  if (!file || !port) return;
  const say = (message: FromPage, transfer: Transferable[] = []) => port.postMessage(message, transfer);
  const stop = new AbortController();
  let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  const more = async () => {
    try {
      const { done, value } = (await reader?.read()) ?? { done: true };
      if (done || value === undefined) {
        say({ kind: 'end' });
        file.onEnd?.();
        return;
      }
      file.onBytes?.(value.length);
      say({ kind: 'bytes', bytes: value }, [value.buffer]);
    } catch (error) {
      if (!stop.signal.aborted) file.onEnd?.(error);
      say({ kind: 'problem', message: error instanceof Error ? error.message : String(error) });
    }
  };
  port.onmessage = ({ data: wanted }: MessageEvent<FromPlayer>) => {
    if (wanted.kind === 'read') reader = file.read(wanted.from, wanted.to, stop.signal).getReader();
    if (wanted.kind === 'more') void more();
    if (wanted.kind === 'stop') {
      stop.abort();
      void reader?.cancel().catch(() => undefined);
      port.close();
      file.onEnd?.(new DOMException('it was stopped', 'AbortError'));
    }
  };
  say({ kind: 'file', size: file.size, atMost: file.atMost ?? false, type: file.type, name: file.name });
}
