/**
 * Makes and opens what has to do with keys, for one call: then it ends. A passphrase takes 256 MiB and seconds, and a module gives no
 * memory back.
 */

import { engine } from './engine.js';
import { problemOf } from './errors.js';
import { nameAssets } from './host.js';
import type { FromKeys, KeyCalls, ToKeys } from './keys.js';
import { makeManifest, newEncryption, newIdentity, openManifest } from './wasm/sealdrop_client.js';

const calls: KeyCalls = {
  newIdentity: async () => newIdentity(),
  newEncryption: async (to, sizes) => newEncryption({ ...to, sizes }),
  makeManifest: async (request, to) => makeManifest(request, to),
  openManifest: async (manifest, key) => openManifest(manifest, key?.text, key?.kind === 'passphrase'),
};

function post(message: FromKeys): void {
  self.postMessage(message);
}

self.onmessage = async ({ data }: MessageEvent<ToKeys>) => {
  try {
    nameAssets(data);
    await engine();
    const call = calls[data.method] as (...args: readonly unknown[]) => Promise<unknown>;
    post({ kind: 'value', value: await call(...data.args) });
  } catch (thrown) {
    post({ kind: 'problem', problem: problemOf(thrown) });
  }
};
