/**
 * Makes and opens what has to do with keys, for one call: then it ends. A passphrase takes 256 MiB and seconds, and a module gives no
 * memory back.
 */

import { engine } from './engine.js';
import type { KeyCalls } from './keys.js';
import { answerOnce } from './one-call.js';
import { makeManifest, newEncryption, newIdentity, openManifest } from './wasm/sealdrop_client.js';

const calls: KeyCalls = {
  newIdentity: async () => newIdentity(),
  newEncryption: async (to, sizes) => newEncryption({ ...to, sizes }),
  makeManifest: async (request, to) => makeManifest(request, to),
  openManifest: async (manifest, key) => openManifest(manifest, key?.text, key?.kind === 'passphrase'),
};

answerOnce(calls, engine);
