// That a file is encrypted, and who can read it.

import { html, nothing } from 'lit';
import type { WholeFile } from 'sealdrop-client';
import { bytes } from './amounts';
import { t } from './words';

/** Beside an encrypted file of this browser. */
export function encryptionPanel({ encryption, folder, size }: WholeFile) {
  if (!encryption) return nothing;
  const { recipients, passphrase, plainSize } = encryption;
  return html`
    <section class="panel encryption" aria-labelledby="encryption-title" data-testid="encryption">
      <h2 id="encryption-title">${t.encryption.title}</h2>
      <p>
        ${t.encryption.left(folder)} ${t.encryption.readers(recipients, passphrase, folder)}
      </p>
      <p class="note">
        ${t.encryption.opens(folder, passphrase)}
      </p>
      <dl class="facts stacked">
        <div><dt>${t.encryption.before}</dt><dd>${bytes(plainSize)}</dd></div>
        <div><dt>${t.encryption.stored}</dt><dd>${t.encryption.ciphertext(bytes(size))}</dd></div>
      </dl>
    </section>
  `;
}
