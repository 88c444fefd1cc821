// The way back: fetches the file from the miner, checked against its id in this browser, and saves it.

import { html, nothing } from 'lit';
import type { Deal, Progress } from 'sealdrop-client';
import { toBlob } from 'sealdrop-client';
import { bytes } from './amounts';
import { isAborted, type Problem, problemOf } from './problem';
import { session } from './session';
import { STEPS } from './steps';
import { View } from './view';
import { t } from './words';

/** How long the saved file's address is kept for the browser to read it. */
const KEEP_MS = 60_000;

export class TakeBack extends View {
  static override properties = { deal: { attribute: false } };
  declare deal: Deal;
  private progress: Progress | undefined;
  private problem: Problem | undefined;
  private running: AbortController | undefined;
  private saved = false;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.running?.abort();
  }

  override render() {
    const { deal, progress } = this;
    const ready = deal.state !== 'failed' && STEPS.indexOf(deal.step) >= STEPS.indexOf('complete');
    return html`
      <section class="panel take-back ${ready ? 'take-back-ready' : ''}" aria-labelledby="take-back-title">
        <h2 id="take-back-title">${t.back.title}</h2>
        <p class="note">
          ${ready ? t.back.ready : t.back.notYet}
        </p>
        <div class="row">
          <button type="button" class="button" data-testid="download-button" ?disabled=${!ready || this.running !== undefined} @click=${this.download}>
            ${this.running ? t.back.fetching : t.common.download}
          </button>
          ${this.running ? html`<button type="button" class="quiet" @click=${() => this.running?.abort()}>${t.common.stop}</button>` : nothing}
        </div>
        ${
          this.running
            ? html`<progress max=${deal.size} .value=${progress?.done ?? 0} aria-label=${t.back.fetched}></progress>
              <p class="live">
                ${
                  progress?.done
                    ? html`<span class="num">${t.common.of(bytes(progress.done), bytes(deal.size))}</span>`
                    : t.back.asked
                }
              </p>`
            : nothing
        }
        <p class="saved" role="status" data-testid=${this.saved ? 'download-done' : nothing}>
          ${this.saved ? t.back.verified : ''}
        </p>
        <sd-problem .problem=${this.problem} .retry=${this.download}></sd-problem>
      </section>
    `;
  }

  private readonly download = async () => {
    const { deal } = this;
    if (!session.client || this.running) return;
    const running = new AbortController();
    this.running = running;
    this.progress = this.problem = undefined;
    this.saved = false;
    this.requestUpdate();
    try {
      const stream = session.client.retrieve(deal.id, {
        signal: running.signal,
        onProgress: (progress) => {
          this.progress = progress;
          this.requestUpdate();
        },
      });
      save(await toBlob(stream, deal.type), deal.name || 'sealdrop-file');
      this.saved = true;
    } catch (error) {
      if (!isAborted(error)) this.problem = problemOf(() => t.back.failed, error);
    }
    this.running = undefined;
    this.requestUpdate();
  };
}
customElements.define('sd-take-back', TakeBack);

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_MS);
}
