/** The worker that checks proofs: one after the other, so that the page stays free meanwhile. Started by `verify.ts`. */

import { plainProblemOf, SealdropError } from './errors.js';
import { readAsset, takeWasmFolder, wasmFile } from './host.js';
import type { FromVerifier, ToVerifier } from './verify.js';
import { VerifyModule } from './verify-module.js';

/** Where the keys are, in words that bundlers understand. */
const KEYS: Readonly<Record<string, () => URL>> = {
  'keys/porep-2KiB.vk': () => new URL('./wasm/keys/porep-2KiB.vk', import.meta.url),
  'keys/porep-8MiB.vk': () => new URL('./wasm/keys/porep-8MiB.vk', import.meta.url),
  'keys/porep-512MiB.vk': () => new URL('./wasm/keys/porep-512MiB.vk', import.meta.url),
  'keys/window-2KiB.vk': () => new URL('./wasm/keys/window-2KiB.vk', import.meta.url),
  'keys/window-8MiB.vk': () => new URL('./wasm/keys/window-8MiB.vk', import.meta.url),
  'keys/window-512MiB.vk': () => new URL('./wasm/keys/window-512MiB.vk', import.meta.url),
};

async function readKey(file: string): Promise<Uint8Array> {
  const beside = KEYS[file];
  if (beside === undefined) {
    throw new SealdropError('unsupported', `${file} is no key of the package`);
  }
  return readAsset(wasmFile(file, beside()));
}

async function load(): Promise<VerifyModule> {
  const beside = new URL('./wasm/sealdrop_verify_module.wasm', import.meta.url);
  return VerifyModule.load(await readAsset(wasmFile('sealdrop_verify_module.wasm', beside)), readKey);
}

let module: Promise<VerifyModule> | undefined;

/** Loads the module; a failure is tried again with the next proof. */
function loaded(): Promise<VerifyModule> {
  module ??= load();
  module.catch(() => {
    module = undefined;
  });
  return module;
}

/** Ends with the last check that was asked for. */
let busy: Promise<void> = Promise.resolve();

async function check(order: Exclude<ToVerifier, { kind: 'start' }>): Promise<FromVerifier> {
  const { id } = order;
  try {
    const ready = await loaded();
    const verdict = await (order.kind === 'seal' ? ready.seal(order.claim) : ready.window(order.claim));
    return { id, verdict };
  } catch (thrown) {
    return { id, problem: plainProblemOf(thrown) };
  }
}

self.onmessage = ({ data }: MessageEvent<ToVerifier>) => {
  if (data.kind === 'start') {
    takeWasmFolder(data);
    return;
  }
  busy = busy.then(async () => self.postMessage(await check(data)));
};
