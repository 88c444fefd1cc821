// The terms of a deal: which miner, for how long, for how much. The quote is the miner's own review, run here, so what
// would be rejected is said before anything is paid.

import { html, nothing } from 'lit';
import type { MinerInfo, MinerRule, Piece, Quote } from 'sealdrop-client';
import { count, fil } from './amounts';
import './miner-choice';
import type { Picked } from './miner-choice';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { blocksAsTime } from './times';
import { View } from './view';

export interface Terms {
  /** A rule takes another miner when the first by it would not take the deal. */
  miner: MinerInfo | MinerRule;
  /** Blocks. */
  duration: number;
}

/** Spans that are offered, in seconds. */
const PRESETS: [string, number][] = [
  ['1 hour', 3_600],
  ['1 day', 86_400],
  ['1 week', 604_800],
];
const DEFAULT_PRESET = 1;

export class TermsForm extends View {
  static override properties = { piece: { attribute: false }, storing: { attribute: false } };
  declare piece: Piece | undefined;
  declare storing: boolean;
  private picked: Picked | undefined;
  /** An index of PRESETS, or a number of blocks of one's own. */
  private preset: number | 'own' = DEFAULT_PRESET;
  /** Undefined while what is typed is no number of blocks. */
  private ownBlocks: number | undefined = 1_000;
  private quote: Quote | undefined;
  private problem: Problem | undefined;
  /** What the quote was asked for, so that it is asked once and late answers to old questions are dropped. */
  private asked = '';

  override render() {
    const duration = this.duration();
    return html`
      <form class="terms sheet" aria-labelledby="terms-title" @submit=${this.submit}>
        <h2 id="terms-title">Terms</h2>
        <fieldset>
          <legend>Miner</legend>
          <sd-miner-choice
            .piece=${this.piece}
            .duration=${duration}
            @picked=${this.pickedMiner}
          ></sd-miner-choice>
        </fieldset>
        <fieldset>
          <legend>For how long</legend>
          <div class="choices">
            ${PRESETS.map(([name, seconds], index) => this.durationChoice(index, name, this.blocks(seconds)))}
            ${this.durationChoice('own', 'Other', undefined)}
          </div>
          <div class="own" ?hidden=${this.preset !== 'own'}>
            <label>Blocks <input type="number" min="1" step="1" value="1000" @input=${this.typed} /></label>
            <span class="note">
              ${this.ownBlocks === undefined ? 'a whole number, 1 or more' : `about ${blocksAsTime(this.ownBlocks, this.blockTime())}`}
            </span>
          </div>
        </fieldset>
        <div class="sum" aria-live="polite">
          <div>
            <span class="note">Price</span>
            <span class="figure" data-testid="price">${this.quote ? fil(this.quote.total) : html`<span class="wait">…</span>`}</span>
          </div>
          <p class="note">
            ${this.schedule(duration)}
          </p>
          <button class="button store" type="submit" data-testid="store-button" ?disabled=${!this.ready()}>
            ${this.storing ? 'Drawing up…' : 'Store'}
          </button>
        </div>
        ${this.trouble()}
      </form>
    `;
  }

  /** How the price is paid, in words. */
  private schedule(duration: number | undefined): string {
    const { quote } = this;
    if (!quote) return this.piece ? 'Checking the terms…' : 'Known as soon as the file is measured.';
    const blocks = `${count(duration ?? 0)} ${duration === 1 ? 'block' : 'blocks'}`;
    if (quote.problem || quote.vouchers === 0) return `${blocks}.`;
    if (quote.vouchers === 1) return `${blocks}, paid with one voucher that falls due at the end.`;
    return `${blocks}, paid with ${count(quote.vouchers)} vouchers that fall due one after the other.`;
  }

  protected override updated(): void {
    void this.ask();
  }

  private durationChoice(preset: number | 'own', name: string, blocks: number | undefined) {
    return html`
      <label class="choice">
        <input
          type="radio"
          name="duration"
          data-testid="duration-choice"
          value=${preset}
          .checked=${this.preset === preset}
          @change=${() => this.choosePreset(preset)}
        />
        <span>${name}<small>${blocks === undefined ? 'in blocks' : `${count(blocks)} blocks`}</small></span>
      </label>
    `;
  }

  private miner(): MinerInfo | undefined {
    return this.picked?.miner;
  }

  private blockTime(): number {
    return session.network?.blockTimeMs ?? 1_000;
  }

  private blocks(seconds: number): number {
    return Math.max(1, Math.round((seconds * 1_000) / this.blockTime()));
  }

  private duration(): number | undefined {
    return this.preset === 'own' ? this.ownBlocks : this.blocks(PRESETS[this.preset]?.[1] ?? 0);
  }

  private ready(): boolean {
    return (
      this.piece !== undefined &&
      this.miner() !== undefined &&
      this.quote !== undefined &&
      !this.quote.problem &&
      !this.storing
    );
  }

  /** Why there is no quote, or why these terms would be refused. */
  private trouble() {
    const nobody = this.picked?.problem;
    if (nobody) return html`<sd-problem .problem=${nobody}></sd-problem>`;
    if (this.problem) return html`<sd-problem .problem=${this.problem} .retry=${this.askAgain}></sd-problem>`;
    const refusal = this.quote?.problem;
    if (!refusal) return nothing;
    if (refusal.code !== 'insufficient-funds') {
      return html`<sd-problem .problem=${problemOf('These terms will not do', refusal)}></sd-problem>`;
    }
    return html`<sd-problem
      .problem=${problemOf('The account holds too little', refusal)}
      .retry=${session.faucetRuns ? undefined : () => void session.faucet()}
      label="Get test FIL"
    ></sd-problem>`;
  }

  /** Asks for a quote when the terms, or what the account holds, have changed. */
  private async ask(): Promise<void> {
    const { piece } = this;
    const [miner, duration] = [this.miner(), this.duration()];
    if (!piece || !miner || !duration || !session.client) return;
    const question = [piece.commP, miner.address, miner.price, duration, session.balance].join(' ');
    if (question === this.asked) return;
    this.asked = question;
    let [quote, problem]: [Quote | undefined, Problem | undefined] = [undefined, undefined];
    try {
      quote = await session.client.quote(piece, miner, duration);
    } catch (error) {
      problem = problemOf('The terms could not be checked', error);
    }
    if (question !== this.asked) return;
    [this.quote, this.problem] = [quote, problem];
    this.dispatchEvent(new CustomEvent('quoted', { detail: quote?.total }));
    this.requestUpdate();
  }

  private readonly askAgain = () => {
    this.asked = '';
    this.requestUpdate();
  };

  private readonly pickedMiner = (event: CustomEvent<Picked>) => {
    this.picked = event.detail;
    this.termsChanged();
  };

  private choosePreset(preset: number | 'own'): void {
    this.preset = preset;
    this.termsChanged();
  }

  private readonly typed = (event: Event) => {
    const blocks = (event.target as HTMLInputElement).valueAsNumber;
    this.ownBlocks = Number.isSafeInteger(blocks) && blocks > 0 ? blocks : undefined;
    this.termsChanged();
  };

  private termsChanged(): void {
    this.quote = this.problem = undefined;
    this.asked = '';
    this.requestUpdate();
  }

  private readonly submit = (event: Event) => {
    event.preventDefault();
    const [miner, duration] = [this.miner(), this.duration()];
    if (!miner || !duration || !this.ready()) return;
    this.dispatchEvent(new CustomEvent<Terms>('agreed', { detail: { miner: this.picked?.rule ?? miner, duration } }));
  };
}
customElements.define('sd-terms', TermsForm);
