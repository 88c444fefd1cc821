// Why a deal is not done yet, and when it will be: asked of the client again and again while the deal is under way, and
// shown under the running step.

import { html, nothing } from 'lit';
import type { Cause, Deal, Explanation } from 'sealdrop-client';
import { type Problem, problemOf } from './problem';
import { inEnglish, reasonOf, sentence } from './problem-box';
import { session } from './session';
import { span } from './times';
import { View } from './view';
import { engineWords, t } from './words';

/** Milliseconds between two questions, and after one that failed. */
const ASK_MS = 4_000;
/** An answer that is older than this is not shown as what holds now. */
const STALE_MS = 30_000;

/** Reasons that mean trouble, where the others pass by themselves. */
export const TROUBLE: ReadonlySet<Cause['code']> = new Set([
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

/** Milliseconds until a deal is expected to be complete, by what was last heard of it; undefined while nothing is. */
export function timeLeft(id: string): number | undefined {
  if (last?.id !== id || last.told.eta === undefined) return undefined;
  const age = Date.now() - last.heardAt;
  return age > STALE_MS ? undefined : Math.max(0, last.told.eta.expectedMs - age);
}

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
      this.problem = problemOf(() => t.why.failed, error);
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
        ? html`<p class="why-when note" data-testid="why-problem">${reasonOf(this.problem)}</p>`
        : nothing;
    }
    const trouble = told.because.some((cause) => TROUBLE.has(cause.code));
    return html`
      <div class="why ${trouble ? 'why-trouble' : ''}" data-testid="why" data-code=${told.because[0]?.code ?? nothing}>
        <p class="why-when">
          <strong>${when(told, age)}</strong>
          ${told.eta ? html`<span class="note">${t.why.goingBy(inEnglish(told.eta.basis, false))}</span>` : nothing}
        </p>
        <details ?open=${open} @toggle=${this.toggled}>
          <summary>${t.why.title}</summary>
          <ul>
            ${told.because.map(
              (cause) => html`<li data-testid="cause" data-code=${cause.code}>
                ${causeWords(cause)}
              </li>`,
            )}
          </ul>
          <p class="note">${inEnglish(told.next)}</p>
        </details>
      </div>
    `;
  }

  private readonly toggled = (event: Event) => {
    open = (event.target as HTMLDetailsElement).open;
  };
}
customElements.define('sd-why', Why);

/** A cause in the language of the page, with the words of who said it where those are others. */
export function causeWords({ code, text, whatToDo }: Cause) {
  const known = engineWords()?.causes[code];
  const advice = known ? known.whatToDo : whatToDo;
  return html`${sentence(known?.text ?? text)}${advice ? html`<span class="note">${sentence(advice)}</span>` : nothing}
    ${known ? html`<span class="note">${inEnglish(text)}</span>` : nothing}`;
}

/** When it will be done, counted down between two answers. */
function when({ eta }: Explanation, age: number): string {
  if (!eta) return t.why.noEstimate;
  const left = eta.expectedMs - age;
  if (left < 5_000) return t.why.anyMoment;
  const earliest = Math.max(0, eta.earliestMs - age);
  const sooner = eta.expectedMs - eta.earliestMs > 60_000 && earliest < left / 2;
  return sooner ? t.why.inEarliest(span(round(left)), span(round(earliest))) : t.why.in(span(round(left)));
}

/** An estimate is no stopwatch: minutes are told in steps of five seconds, hours in whole minutes. */
function round(ms: number): number {
  const step = ms > 3_600_000 ? 60_000 : 5_000;
  return Math.max(step, Math.round(ms / step) * step);
}
