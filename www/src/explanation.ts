// Why a deal is not done yet, and when it will be: asked of the client again and again while the deal is under way, and
// shown under the running step.

import { html, nothing } from 'lit';
import type { Cause, Deal, Explanation } from 'sealdrop-client';
import { type Problem, problemOf } from './problem';
import { sentence } from './problem-box';
import { session } from './session';
import { span } from './times';
import { View } from './view';

/** Milliseconds between two questions, and after one that failed. */
const ASK_MS = 4_000;
/** An answer that is older than this is not shown as what holds now. */
const STALE_MS = 30_000;

/** Reasons that mean trouble, where the others pass by themselves. */
const TROUBLE: ReadonlySet<Cause['code']> = new Set([
  'minerUnreachable',
  'clientAway',
  'diskFull',
  'stepSlow',
  'stepFailed',
  'chainUnreachable',
  'chainNotMakingBlocks',
  'sectorFaulty',
  'sectorFailed',
  'timeIsUp',
]);

/** The last answer: when a deal comes to its next step, another element shows it. */
let last: { id: string; told: Explanation; heardAt: number } | undefined;
/** Whether the causes are unfolded, on whatever deal. */
let open = false;

export class Why extends View {
  static override properties = { deal: { attribute: false } };
  declare deal: Deal;
  private problem: Problem | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  protected override ticks(): boolean {
    return true;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.ask();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.timer);
  }

  private async ask(): Promise<void> {
    const { id } = this.deal;
    try {
      const told = await (await session.connected()).explain(id);
      last = { id, told, heardAt: Date.now() };
      this.problem = undefined;
    } catch (error) {
      this.problem = problemOf('The reason could not be fetched', error);
    }
    if (!this.isConnected) return;
    this.requestUpdate();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.ask(), ASK_MS);
  }

  override render() {
    const heard = last?.id === this.deal.id ? last : undefined;
    const told = heard?.told;
    const age = Date.now() - (heard?.heardAt ?? 0);
    if (!told || told.done || age > STALE_MS) {
      // Only a deal that is under way is asked about: without an answer there is nothing to add to its step.
      return this.problem && age > STALE_MS
        ? html`<p class="why-when note" data-testid="why-problem">${this.problem.why}</p>`
        : nothing;
    }
    const trouble = told.because.some((cause) => TROUBLE.has(cause.code));
    return html`
      <div class="why ${trouble ? 'why-trouble' : ''}" data-testid="why" data-code=${told.because[0]?.code ?? nothing}>
        <p class="why-when">
          <strong>${when(told, age)}</strong>
          ${told.eta ? html`<span class="note">going by ${told.eta.basis}</span>` : nothing}
        </p>
        <details ?open=${open} @toggle=${this.toggled}>
          <summary>Why is it not done yet?</summary>
          <ul>
            ${told.because.map(
              (cause) => html`<li data-testid="cause" data-code=${cause.code}>
                ${sentence(cause.text)}${cause.whatToDo ? html`<span class="note">${sentence(cause.whatToDo)}</span>` : nothing}
              </li>`,
            )}
          </ul>
          <p class="note">${told.next}</p>
        </details>
      </div>
    `;
  }

  private readonly toggled = (event: Event) => {
    open = (event.target as HTMLDetailsElement).open;
  };
}
customElements.define('sd-why', Why);

/** When it will be done, counted down between two answers. */
function when({ eta }: Explanation, age: number): string {
  if (!eta) return 'There is no estimate yet';
  const left = eta.expectedMs - age;
  if (left < 5_000) return 'It should be complete any moment';
  const earliest = Math.max(0, eta.earliestMs - age);
  const sooner = eta.expectedMs - eta.earliestMs > 60_000 && earliest < left / 2;
  return `Complete in about ${span(round(left))}${sooner ? `, at the earliest in ${span(round(earliest))}` : ''}`;
}

/** An estimate is no stopwatch: minutes are told in steps of five seconds, hours in whole minutes. */
function round(ms: number): number {
  const step = ms > 3_600_000 ? 60_000 : 5_000;
  return Math.max(step, Math.round(ms / step) * step);
}
