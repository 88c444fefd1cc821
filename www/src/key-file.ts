// A key as a file, in the form that `age-keygen` writes and `age -d -i` takes.

import type { NewKey } from 'sealdrop-client';
import { t } from './words';

/** Its name. */
export const KEY_FILE = 'sealdrop-key.txt';
/** Bytes of a key file, at most: more than 64 identities with comments take. */
export const KEY_FILE_BYTES = 64 << 10;
/** How long its address is kept for the browser to read it. */
const KEEP_MS = 60_000;

export function keyFile({ identity, recipient }: NewKey): string {
  // For programs: the form of age.
  return [
    `# created: ${new Date().toISOString().slice(0, 19)}Z`,
    `# ${t.encrypt.keyFileNote}`,
    `# public key: ${recipient}`,
    identity,
    '',
  ].join('\n');
}

/** Saves a text as a download. */
export function saveText(name: string, text: string): void {
  saveBlob(name, new Blob([text], { type: 'text/plain' }));
}

/** Saves bytes as a download. */
export function saveBlob(name: string, blob: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_MS);
}
