/** The worker that checks proofs: one after the other, so that the page stays free meanwhile. Started by `verify.ts`. */

import { problemOf, SealdropError } from './errors.js';
import type { FromVerifier, ToVerifier } from './verify.js';
import { VerifyModule } from './verify-module.js';

const FOLDER = new URL('./wasm/', import.meta.url);

async function read(file: string): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await fetch(new URL(file, FOLDER));
  if (!answer.ok) {
    throw new SealdropError('unsupported', `${file} cannot be loaded: the server answered ${answer.status}`);
  }
  return new Uint8Array(await answer.arrayBuffer());
}

let module: Promise<VerifyModule> | undefined;

/** Loads the module; a failure is tried again with the next proof. */
function loaded(): Promise<VerifyModule> {
  module ??= read('sealdrop_verify_module.wasm').then((bytes) => VerifyModule.load(bytes, read));
  module.catch(() => {
    module = undefined;
  });
  return module;
}

/** Ends with the last check that was asked for. */
let busy: Promise<void> = Promise.resolve();

async function check(order: ToVerifier): Promise<FromVerifier> {
  const { id } = order;
  try {
    const ready = await loaded();
    const verdict = await (order.kind === 'seal' ? ready.seal(order.claim) : ready.window(order.claim));
    return { id, verdict };
  } catch (thrown) {
    return { id, problem: problemOf(thrown) };
  }
}

self.onmessage = ({ data }: MessageEvent<ToVerifier>) => {
  busy = busy.then(async () => self.postMessage(await check(data)));
};
