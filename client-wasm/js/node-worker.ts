/**
 * What a thread of Node lacks of a worker of the web, before the script that it was started for runs in it. Only this thread is changed.
 *
 * Started by `host.ts` alone.
 */

import { node } from './node.js';
import { unpacked } from './node-blobs.js';

interface Port {
  postMessage(message: unknown, transfer: readonly unknown[]): void;
  on(event: 'message', listener: (data: unknown) => void): void;
}

interface Process {
  on(event: 'unhandledRejection', listener: (reason: unknown) => void): void;
}

const { process } = globalThis as unknown as { process: Process };
const { parentPort, workerData } = node<{ parentPort: Port; workerData: string }>('node:worker_threads');
interface Scope {
  [name: string]: unknown;
  postMessage: unknown;
  onmessage?: (event: { data: unknown }) => void;
}

const scope = globalThis as unknown as Scope;

const lacking: Record<string, unknown> = {
  self: globalThis,
  // A program is no page: nothing of what browsers keep pages from holds for it.
  origin: 'null',
  isSecureContext: true,
  navigator: {},
};
for (const [name, value] of Object.entries(lacking)) {
  if (!(name in globalThis)) {
    scope[name] = value;
  }
}
scope.postMessage = (message: unknown, { transfer = [] }: { transfer?: unknown[] } = {}) =>
  parentPort.postMessage(message, transfer);

// What browsers show only to those who look for it; a program's output is its own.
console.debug = () => undefined;
// As in a browser, it ends nothing.
process.on('unhandledRejection', (reason) => console.error(reason));

/** Messages are handed on in order, and none before the script listens. */
let listening: () => void = () => undefined;
let handed = new Promise<void>((resolve) => {
  listening = resolve;
});
parentPort.on('message', (data) => {
  handed = handed.then(async () => {
    const whole = await unpacked(data);
    // Nobody waits for the answer: what comes next may be that it is not wanted any more.
    void scope.onmessage?.({ data: whole });
  });
  handed = handed.catch((thrown: unknown) => console.error(thrown));
});

await import(workerData);
listening();
