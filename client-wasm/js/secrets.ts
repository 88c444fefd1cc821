/** What this browser keeps of encrypted files: their keys, bound to what they encrypted before anything of it leaves. In the network worker. */

import type { EncryptionRequest } from './protocol.js';
import { type Deals, keysGone, type SealedContents } from './store.js';
import { bindEncryption } from './wasm/sealdrop_client.js';

/** What is said of an encryption where the file is shown. */
export function viewOf({ name, recipients, passphrase, plainSize }: EncryptionRequest) {
  return { name, recipients, passphrase, plainSize };
}

/** The keys of files that were hashed, each with the root of its ciphertext. Throws `file-lost` where one encrypted another file before. */
export async function sealedContents(store: Deals, request: EncryptionRequest): Promise<SealedContents> {
  const { keys, shown, paths, roots, plainSizes } = request;
  const kept = await store.keys(keys);
  const files = new Map(kept?.files.map((file) => [file.path, file]));
  return {
    shown,
    files: paths.map((path, at) => {
      const file = files.get(path);
      if (file === undefined) {
        throw keysGone();
      }
      const state = bindEncryption(file.state, roots[at] ?? '');
      return { state, size: file.size, plainSize: plainSizes[at] ?? 0 };
    }),
  };
}
