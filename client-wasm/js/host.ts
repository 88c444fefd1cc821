/**
 * What a browser and Node do differently where the engine is started: workers, and the files beside the package's scripts.
 *
 * Nothing is looked at when this is imported, so that a server may import the package. Node's own modules are asked of the process,
 * which no bundler sees.
 */

import { SealdropError } from './errors.js';
import { isNode, node } from './node.js';

/** Where the package's files are, if they are not beside its scripts. */
export interface AssetOptions {
  /** Folder of the WebAssembly files (`dist/wasm` of the package), with `keys/` in it; `wasm` in that of the workers, when left out. */
  readonly wasmUrl?: string | URL | undefined;
  /** Folder of the worker scripts (`dist` of the package), for bundlers that leave workers alone. */
  readonly workerUrl?: string | URL | undefined;
}

interface NodeFiles {
  readFile(file: URL): Promise<Uint8Array<ArrayBuffer>>;
}

interface NodeThread {
  postMessage(message: unknown, transfer: readonly unknown[]): void;
  terminate(): Promise<number>;
  on(event: 'message' | 'error', listener: (value: never) => void): void;
}

interface NodeThreads {
  readonly Worker: new (url: URL, options: { workerData: unknown; name: string }) => NodeThread;
}

/** Blobs that can be posted to workers, and what lets go of copies that were made for it. */
export interface Postable<T> {
  readonly blobs: readonly (T | Blob)[];
  readonly release: () => Promise<void>;
}

let wasmFolder: string | undefined;
let workerFolder: string | undefined;
/** How a message is made such that it can be posted to a thread of Node. */
let pack = (message: unknown): unknown => message;

/** Has the package's files looked for there, by this thread and by workers that it starts. What is left out stays as it is. */
export function nameAssets({ wasmUrl, workerUrl }: AssetOptions): void {
  workerFolder = workerUrl === undefined ? workerFolder : folder(workerUrl);
  if (wasmUrl !== undefined) {
    wasmFolder = folder(wasmUrl);
  } else if (workerUrl !== undefined) {
    wasmFolder ??= new URL('wasm/', workerFolder).href;
  }
}

/** The same of the files alone, in a worker: as `namedWasmFolder` says where it was started. */
export function takeWasmFolder({ wasmUrl }: { readonly wasmUrl: string | undefined }): void {
  wasmFolder = wasmUrl ?? wasmFolder;
}

/** Has messages to threads of Node packed from now on: there are blobs of files, which cannot be posted as they are. */
export function packMessages(by: (message: unknown) => unknown): void {
  pack = by;
}

/** The same blobs as ones that can be posted. In browsers all can. */
export async function postable<T extends Blob>(blobs: readonly T[]): Promise<Postable<T>> {
  if (isNode()) {
    const { postableInNode } = await import('./node-blobs.js');
    return postableInNode(blobs);
  }
  return { blobs, release: async () => undefined };
}

/** The folder of the WebAssembly files, if it was named; for a worker that is started. */
export function namedWasmFolder(): string | undefined {
  return wasmFolder;
}

function folder(url: string | URL): string {
  const text = String(url);
  return new URL(text.endsWith('/') ? text : `${text}/`, globalThis.location?.href).href;
}

/** A file of the folder with the WebAssembly files; `beside` is where it lies otherwise. */
export function wasmFile(name: string, beside: URL): URL {
  return wasmFolder === undefined ? beside : new URL(name, wasmFolder);
}

/** The bytes of a file of the package. Throws `unsupported` when it cannot be loaded. */
export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  try {
    if (url.protocol === 'file:') {
      return await node<NodeFiles>('node:fs/promises').readFile(url);
    }
    const answer = await fetch(url);
    if (answer.ok) {
      return new Uint8Array(await answer.arrayBuffer());
    }
    throw new Error(`the server answered ${answer.status}`);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const hint = 'Serve the package’s files beside its scripts, or say where they are (`wasmUrl`).';
    throw new SealdropError('unsupported', `${url} cannot be loaded: ${why}`, hint, { cause: thrown });
  }
}

/**
 * Starts a worker script of the package. `usual` is how it is started in a page, in words that bundlers understand: it is not asked where the
 * script is elsewhere.
 */
export function startWorker(file: string, name: string, usual: () => Worker): Worker {
  // Not written as bundlers look for it: they would take a copy of the script for a file without a use.
  const here: string = workerFolder ?? import.meta.url;
  if (isNode()) {
    return nodeWorker(new URL(file, here), name);
  }
  if (workerFolder !== undefined) {
    return foreignWorker(new URL(file, here), name);
  }
  try {
    return usual();
  } catch (thrown) {
    if (!(thrown instanceof DOMException) || thrown.name !== 'SecurityError') {
      throw thrown;
    }
    return foreignWorker(new URL(file, here), name);
  }
}

/** A worker whose script another server may have: browsers start only what is of the page's own origin. */
function foreignWorker(url: URL, name: string): Worker {
  if (url.origin === globalThis.location?.origin) {
    return new Worker(url, { type: 'module', name });
  }
  const script = new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' });
  const own = URL.createObjectURL(script);
  const worker = new Worker(own, { type: 'module', name });
  setTimeout(() => URL.revokeObjectURL(own), 60_000);
  return worker;
}

/** A thread of Node that looks like a worker of the web, as much as is used of it here. */
function nodeWorker(script: URL, name: string): Worker {
  const { Worker: Thread } = node<NodeThreads>('node:worker_threads');
  const thread = new Thread(new URL('node-worker.js', script), { workerData: script.href, name });
  const worker = {
    onmessage: (_: { data: unknown }) => undefined as unknown,
    onerror: (_: { message: string }) => undefined as unknown,
    postMessage: (message: unknown, { transfer = [] }: { transfer?: unknown[] } = {}) =>
      thread.postMessage(pack(message), transfer),
    terminate: () => void thread.terminate(),
  };
  thread.on('message', (data) => worker.onmessage({ data }));
  thread.on('error', (error: Error) => worker.onerror({ message: error.message }));
  return worker as unknown as Worker;
}
