// Drills: whether copies come back. They are tried by themselves while the page is open; here one is tried now.

import { html, nothing } from 'lit';
import type { Drilled, WholeFile } from 'sealdrop-client';
import { shortened } from './copyable';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { View } from './view';

export class DrillPanel extends View {
  static override properties = { file: { attribute: false } };
  declare file: WholeFile;
  private busy = false;
  private last: Drilled | undefined;
  private problem: Problem | undefined;

  override render() {
    const { file } = this;
    if (file.progress.copiesKept === 0) return nothing;
    return html`
      <section class="panel drills" aria-labelledby="drills-title">
        <h2 id="drills-title">Does it come back?</h2>
        <p class="note">
          While this page is open, some bytes of one copy are fetched every hour and checked. A copy that fails three times in a row is
          lost, and replaced within the price that you agreed to.
        </p>
        <button type="button" class="quiet" data-testid="drill-now" ?disabled=${this.busy} @click=${this.drill}>
          ${this.busy ? 'Fetching…' : 'Check a copy now'}
        </button>
        <p role="status" class="note" data-testid=${this.last ? 'drill-done' : nothing} data-verdict=${this.last?.verdict ?? nothing}>${this.last ? words(this.last) : ''}</p>
        <sd-problem .problem=${this.problem}></sd-problem>
      </section>
    `;
  }

  private readonly drill = async () => {
    this.busy = true;
    this.problem = this.last = undefined;
    this.requestUpdate();
    try {
      const client = await session.connected();
      this.last = await client.drill(this.file.file);
      this.dispatchEvent(new CustomEvent('drilled'));
    } catch (error) {
      this.problem = problemOf('No copy could be checked', error);
    }
    this.busy = false;
    this.requestUpdate();
  };
}
customElements.define('sd-drills', DrillPanel);

function words({ miner, verdict, strikes, reason }: Drilled): string {
  const who = `Miner ${shortened(miner)}`;
  switch (verdict) {
    case 'kept':
      return `${who} gave what was asked for, and it is right.`;
    case 'doubtful':
      return `${who} did not give it, ${strikes === 1 ? 'once' : 'twice in a row'}: ${reason}. It is asked again in ten minutes.`;
    default:
      return `${who} did not give it three times in a row: its copy counts as lost. ${reason}`;
  }
}
