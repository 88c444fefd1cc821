// That a file is encrypted, and who can read it.

import { html, nothing } from 'lit';
import type { WholeFile } from 'sealdrop-client';
import { bytes, count } from './amounts';

/** Beside an encrypted file of this browser. */
export function encryptionPanel({ encryption, folder, size }: WholeFile) {
  if (!encryption) return nothing;
  const { recipients, passphrase, plainSize } = encryption;
  const readers = passphrase
    ? 'whoever knows the passphrase'
    : recipients === 1
      ? 'whoever has its key'
      : `whoever has one of its ${count(recipients)} keys`;
  return html`
    <section class="panel encryption" aria-labelledby="encryption-title" data-testid="encryption">
      <h2 id="encryption-title">Encrypted</h2>
      <p>
        ${folder ? 'These files left' : 'It left'} this browser as ciphertext, ${folder ? 'and so did all names' : 'and so did its name'}.
        Only this browser and ${readers} can read ${folder ? 'them' : 'it'}.
      </p>
      <p class="note">
        This browser opens ${folder ? 'them' : 'it'} by what it keeps in its book. Once that is forgotten or lost, only the
        ${passphrase ? 'passphrase' : 'key'} does.
      </p>
      <dl class="facts stacked">
        <div><dt>Before</dt><dd>${bytes(plainSize)}</dd></div>
        <div><dt>Stored</dt><dd>${bytes(size)} of ciphertext (age)</dd></div>
      </dl>
    </section>
  `;
}
