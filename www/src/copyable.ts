// A long identifier: shown whole or shortened in the middle, copied with one press.

import { html, nothing } from 'lit';
import { View } from './view';
import { spoken, t } from './words';

const SHOWN_MS = 1_500;

export class Copyable extends View {
  static override properties = { value: {}, label: {}, short: { type: Boolean } };
  declare value: string;
  /** What it is, for people who hear the page. */
  declare label: string;
  declare short: boolean;
  private said: 'copied' | 'selected' | undefined;

  /** There are many of them, and none shows anything of the session. */
  protected override sources() {
    return [spoken];
  }

  override render() {
    const { value, short } = this;
    if (!value) return nothing;
    return html`
      <span class="copyable">
        <code title=${value}>${short ? shortened(value) : value}</code>
        <button type="button" class="copy" aria-label=${t.common.copyOf(this.label)} @click=${this.copy}>
          ${this.said ? t.common[this.said] : t.common.copy}
        </button>
        <span class="unseen" role="status">${this.said ? t.common.status(this.label, t.common[this.said]) : ''}</span>
      </span>
    `;
  }

  private copy = async () => {
    try {
      await navigator.clipboard.writeText(this.value);
      this.said = 'copied';
    } catch {
      // Without permission for the clipboard, select the text so that it can be copied by hand.
      const code = this.querySelector('code');
      if (code) getSelection()?.selectAllChildren(code);
      this.said = 'selected';
    }
    this.requestUpdate();
    setTimeout(() => {
      this.said = undefined;
      this.requestUpdate();
    }, SHOWN_MS);
  };
}
customElements.define('sd-copyable', Copyable);

/** The two ends of a long identifier. */
export function shortened(value: string): string {
  return value.length <= 20 ? value : `${value.slice(0, 10)}…${value.slice(-8)}`;
}
