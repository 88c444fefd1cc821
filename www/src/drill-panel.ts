// Drills: whether copies come back. They are tried by themselves while the page is open; here one is tried now.

import { html, nothing } from 'lit';
import type { Drilled, WholeFile } from 'sealdrop-client';
import { shortened } from './copyable';
import { type Problem, problemOf } from './problem';
import { inEnglish } from './problem-box';
import { session } from './session';
import { View } from './view';
import { t } from './words';

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
        <h2 id="drills-title">${t.drills.title}</h2>
        <p class="note">
          ${t.drills.lead}
        </p>
        <button type="button" class="quiet" data-testid="drill-now" ?disabled=${this.busy} @click=${this.drill}>
          ${this.busy ? t.drills.fetching : t.drills.now}
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
      this.problem = problemOf(() => t.drills.failed, error);
    }
    this.busy = false;
    this.requestUpdate();
  };
}
customElements.define('sd-drills', DrillPanel);

function words({ miner, verdict, strikes, reason }: Drilled) {
  const who = shortened(miner);
  switch (verdict) {
    case 'kept':
      return t.drills.kept(who);
    case 'doubtful':
      return t.drills.doubtful(who, strikes, inEnglish(reason ?? '', false));
    default:
      return t.drills.lost(who, inEnglish(reason ?? ''));
  }
}
