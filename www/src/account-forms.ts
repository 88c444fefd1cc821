// What the forms about the account have in common.

import { html } from 'lit';
import { PageError } from './problem';
import { t } from './words';

/** What a form's fields hold; undefined for one that is empty or not there. */
export function fieldsOf(event: Event): (name: string) => string | undefined {
  const fields = new FormData(event.target as HTMLFormElement);
  return (name) => {
    const value = fields.get(name);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
}

/** A field for a passphrase. */
export function passwordField(name: string, label: string, autocomplete: string, least = 1, required = true) {
  return html`<label class="field">${label}
    <input type="password" name=${name} ?required=${required} minlength=${least} maxlength="256" autocomplete=${autocomplete as AutoFill} data-testid="account-${name}" />
  </label>`;
}

/** The problem of two passphrases that differ. */
export function different(): Error {
  return new PageError(
    'bad-argument',
    () => t.wallet.lock.differ.why,
    () => t.wallet.lock.differ.next,
  );
}
