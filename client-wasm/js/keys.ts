/** Keys and what is hidden with them, on the page's side: each call has a worker of its own (`key-worker.ts`). */

import type { OpeningKey } from './age.js';
import { SealdropError } from './errors.js';
import { startWorker } from './host.js';
import { callOnce } from './one-call.js';
import type { MadeManifest, ManifestRequest, OpenedManifest } from './protocol.js';
import type { EncryptTo, NewKey, OpenWith } from './types.js';

/** Whom files are encrypted to. */
export interface Recipients {
  readonly recipients?: readonly string[];
  readonly passphrase?: string;
}

/** The functions of the worker. */
export interface KeyCalls {
  newIdentity(): Promise<NewKey>;
  /** A key for each file, of so many bytes. */
  newEncryption(
    to: Recipients,
    sizes: readonly number[],
  ): Promise<readonly { readonly state: string; readonly size: number }[]>;
  /** A manifest that hides its names from all but these. */
  makeManifest(request: ManifestRequest, to: Recipients): Promise<MadeManifest>;
  /** What is in a manifest, under its own names as far as the key opens them. */
  openManifest(manifest: Uint8Array, key: OpeningKey | undefined): Promise<OpenedManifest>;
}

/** Calls a function of a worker that ends with it. */
export async function withKeys<M extends keyof KeyCalls>(
  method: M,
  ...args: Parameters<KeyCalls[M]>
): Promise<Awaited<ReturnType<KeyCalls[M]>>> {
  const worker = startWorker(
    'key-worker.js',
    'sealdrop-keys',
    () => new Worker(new URL('./key-worker.js', import.meta.url), { type: 'module', name: 'sealdrop-keys' }),
  );
  return (await callOnce<KeyCalls>(worker, 'key', method, args)) as Awaited<ReturnType<KeyCalls[M]>>;
}

/** Whom files are encrypted to, and the key that was made for it. */
export async function recipientsOf(encrypt: EncryptTo): Promise<{ to: Recipients; key?: NewKey }> {
  if (globalThis.crypto?.subtle === undefined) {
    throw new SealdropError(
      'unsupported',
      'this page was loaded without HTTPS, and the browser lets it check no ciphertext before it is sent',
      'Open the page over HTTPS or from this machine.',
    );
  }
  if (encrypt === 'new-key') {
    const key = await withKeys('newIdentity');
    return { to: { recipients: [key.recipient] }, key };
  }
  return { to: 'passphrase' in encrypt ? { passphrase: encrypt.passphrase } : { recipients: encrypt.recipients } };
}

/** The key that a file is to be opened with; undefined where none was given. */
export function openingKey({ identity, passphrase }: OpenWith): OpeningKey | undefined {
  if (identity !== undefined) {
    return { kind: 'identity', text: identity };
  }
  return passphrase === undefined ? undefined : { kind: 'passphrase', text: passphrase };
}
