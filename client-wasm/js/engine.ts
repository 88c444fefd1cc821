/** The engine's module, loaded once in a worker. */

import { readAsset, wasmFile } from './host.js';
import { isNode } from './node.js';
import init from './wasm/sealdrop_client.js';

let loaded: Promise<unknown> | undefined;

/** Resolves when the module can be called. A failure is tried again the next time. */
export function engine(): Promise<unknown> {
  loaded ??= load().catch((error: unknown) => {
    loaded = undefined;
    throw error;
  });
  return loaded;
}

async function load(): Promise<unknown> {
  const url = wasmFile('sealdrop_client_bg.wasm', new URL('./wasm/sealdrop_client_bg.wasm', import.meta.url));
  // The module's own way streams it, which Node cannot from a file.
  return init({ module_or_path: isNode() ? await readAsset(url) : url });
}
