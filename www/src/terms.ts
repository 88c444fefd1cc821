// The terms: which miner, for how long, how many copies, for how much. Of one deal the quote is the miner's own review, run here; of
// files in many pieces it is one sum for all of their deals. What would be rejected is said before anything is paid.

import { html, nothing } from 'lit';
import type { FilesQuote, MinerInfo, MinerRule, Order, Piece, Prepared, Quote } from 'sealdrop-client';
import { fil } from './amounts';
import './miner-choice';
import type { Picked } from './miner-choice';
import { plainTerms } from './plain-terms';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { blocksAsTime } from './times';
import { View } from './view';
import { t } from './words';
import { unit } from './words/numbers';

export interface Terms {
  /** A rule takes another miner when the first by it would not take the deal. */
  miner: MinerInfo | MinerRule;
  /** Blocks. */
  duration: number;
  copies: number;
  /** FIL that all deals together may cost: what is consented to. */
  most: bigint | undefined;
}

/** Spans that are offered, in seconds. */
const PRESETS = [3_600, 86_400, 604_800];
const DEFAULT_PRESET = 1;
/** Copies that are offered, as far as there are as many miners. */
const COPIES = [1, 2, 3];

export class TermsForm extends View {
  static override properties = {
    piece: { attribute: false },
    prepared: { attribute: false },
    storing: { attribute: false },
    held: { attribute: false },
  };
  /** Of a file that is one piece. */
  declare piece: Piece | undefined;
  declare prepared: Prepared | undefined;
  declare storing: boolean;
  /** Why nothing may be stored yet. */
  declare held: (() => string) | undefined;
  private picked: Picked | undefined;
  /** An index of PRESETS, or a number of blocks of one's own. */
  private preset: number | 'own' = DEFAULT_PRESET;
  /** Undefined while what is typed is no number of blocks. */
  private ownBlocks: number | undefined = 1_000;
  private copies = 1;
  private quote: Quote | undefined;
  /** Of files in many pieces, or with several copies. */
  private filesQuote: FilesQuote | undefined;
  private problem: Problem | undefined;
  /** What the quote was asked for, so that it is asked once and late answers to old questions are dropped. */
  private asked = '';

  override render() {
    const duration = this.duration();
    return html`
      <form class="terms sheet" aria-labelledby="terms-title" @submit=${this.submit}>
        <h2 id="terms-title">${t.terms.title}</h2>
        <fieldset>
          <legend>${t.terms.miner}</legend>
          <sd-miner-choice
            .piece=${this.piece ?? this.largest()}
            .duration=${duration}
            @picked=${this.pickedMiner}
          ></sd-miner-choice>
        </fieldset>
        <fieldset>
          <legend>${t.terms.howLong}</legend>
          <div class="choices">
            ${PRESETS.map((seconds, index) => this.durationChoice(index, presetName(seconds), this.blocks(seconds)))}
            ${this.durationChoice('own', t.terms.other, undefined)}
          </div>
          <div class="own" ?hidden=${this.preset !== 'own'}>
            <label>${t.terms.blocks} <input type="number" min="1" step="1" value="1000" @input=${this.typed} /></label>
            <span class="note">
              ${this.ownBlocks === undefined ? t.terms.wholeNumber : t.common.about(blocksAsTime(this.ownBlocks, this.blockTime()))}
            </span>
          </div>
        </fieldset>
        ${this.copyChoice()}
        ${this.plain(duration)}
        <div class="sum" aria-live="polite">
          <div>
            <span class="note">${this.filesQuote && this.filesQuote.least !== this.filesQuote.most ? t.terms.priceAtMost : t.terms.price}</span>
            <span class="figure" data-testid="price">${this.price() ?? html`<span class="wait">…</span>`}</span>
          </div>
          <p class="note">
            ${this.schedule(duration)}
          </p>
          <button class="button store" type="submit" data-testid="store-button" ?disabled=${!this.ready()}>
            ${this.storing ? t.terms.drawingUp : t.terms.store}
          </button>
          ${this.held ? html`<p class="held" data-testid="held">${this.held()}</p>` : nothing}
        </div>
        ${this.trouble()}
      </form>
    `;
  }

  /** What is agreed to, in sentences. */
  private plain(duration: number | undefined) {
    const [miner, quote, files] = [this.miner(), this.quote, this.filesQuote];
    const price = quote?.total ?? (files && files.miners > 0 ? files.most : undefined);
    if (!miner || !duration || price === undefined || (quote ?? files)?.problem) return nothing;
    return plainTerms({ price, atMost: files !== undefined, miner, duration });
  }

  /** How many miners keep each piece; one miner that was named keeps one. */
  private copyChoice() {
    const miners = session.miners?.length ?? 0;
    if (miners < 2) return nothing;
    const rule = this.picked?.rule !== undefined;
    return html`
      <fieldset>
        <legend>${t.terms.howMany}</legend>
        <div class="choices">
          ${COPIES.filter((copies) => copies <= miners).map(
            (copies) => html`<label class="choice">
              <input
                type="radio"
                name="copies"
                data-testid="copies-choice"
                value=${copies}
                .checked=${this.copiesNow() === copies}
                ?disabled=${copies > 1 && !rule}
                @change=${() => this.chooseCopies(copies)}
              />
              <span>${t.terms.minersKeep(copies)}<small>${copies === 1 ? t.terms.oneCopy : t.terms.survives(copies - 1)}</small></span>
            </label>`,
          )}
        </div>
        ${rule ? nothing : html`<p class="note">${t.terms.byRule}</p>`}
      </fieldset>
    `;
  }

  private copiesNow(): number {
    return this.picked?.rule === undefined ? 1 : this.copies;
  }

  private chooseCopies(copies: number): void {
    this.copies = copies;
    this.termsChanged();
  }

  /** The piece that the miners are asked about. */
  private largest(): Piece | undefined {
    const pieces = this.prepared?.files.flatMap((file) => file.pieces) ?? [];
    return pieces.reduce<Piece | undefined>(
      (most, piece) => (most && most.size >= piece.size ? most : piece),
      undefined,
    );
  }

  /** Whether it is one deal. */
  private isOne(): boolean {
    return this.piece !== undefined && this.copiesNow() === 1;
  }

  private price(): string | undefined {
    if (this.quote) return fil(this.quote.total);
    return this.filesQuote && this.filesQuote.miners > 0 ? fil(this.filesQuote.most) : undefined;
  }

  /** What the deals of many pieces come to, in words. */
  private allDeals({ deals, pieces, least, most, miners, problem }: FilesQuote): string {
    if (miners === 0 || problem) return '';
    const all = t.terms.allDeals(deals, pieces, this.copiesNow());
    return least === most ? all : `${all} ${t.terms.atLeast(fil(least))}`;
  }

  /** How the price is paid, in words. */
  private schedule(duration: number | undefined): string {
    const { quote } = this;
    if (this.filesQuote) return this.allDeals(this.filesQuote);
    if (!quote) return this.piece || this.prepared ? t.terms.checking : t.terms.notMeasured;
    const blocks = t.common.blocks(duration ?? 0);
    if (quote.problem || quote.vouchers === 0) return t.terms.onlyBlocks(blocks);
    return quote.vouchers === 1 ? t.terms.oneVoucher(blocks) : t.terms.vouchers(blocks, quote.vouchers);
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
        <span>${name}<small>${blocks === undefined ? t.terms.inBlocks : t.common.blocks(blocks)}</small></span>
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
    return this.preset === 'own' ? this.ownBlocks : this.blocks(PRESETS[this.preset] ?? 0);
  }

  private ready(): boolean {
    const quote = this.quote ?? this.filesQuote;
    const measured = this.piece ?? this.prepared;
    return (
      measured !== undefined &&
      this.miner() !== undefined &&
      quote !== undefined &&
      !quote.problem &&
      !this.storing &&
      !this.held
    );
  }

  /** Why there is no quote, or why these terms would be refused. */
  private trouble() {
    const nobody = this.picked?.problem;
    if (nobody) return html`<sd-problem .problem=${nobody}></sd-problem>`;
    if (this.problem) return html`<sd-problem .problem=${this.problem} .retry=${this.askAgain}></sd-problem>`;
    const refusal = (this.quote ?? this.filesQuote)?.problem;
    if (!refusal) return nothing;
    if (refusal.code !== 'insufficient-funds') {
      return html`<sd-problem .problem=${problemOf(() => t.terms.willNotDo, refusal)}></sd-problem>`;
    }
    return html`<sd-problem
      .problem=${problemOf(() => t.terms.tooLittle, refusal)}
      .retry=${session.faucetRuns ? undefined : () => void session.faucet()}
      .label=${t.terms.faucet}
    ></sd-problem>`;
  }

  /** Asks for a quote when the terms, or what the account holds, have changed. */
  private async ask(): Promise<void> {
    const { piece, prepared } = this;
    const { client } = session;
    const [miner, duration] = [this.miner(), this.duration()];
    if (!(piece ?? prepared) || !miner || !duration || !client) return;
    const what = this.isOne() ? piece?.commP : `${prepared?.id} ${this.copiesNow()} ${this.picked?.rule}`;
    const question = [what, miner.address, miner.price, duration, session.balance].join(' ');
    if (question === this.asked) return;
    this.asked = question;
    let [quote, files, problem]: [Quote | undefined, FilesQuote | undefined, Problem | undefined] = [
      undefined,
      undefined,
      undefined,
    ];
    try {
      if (piece && this.isOne()) quote = await client.quote(piece, { miner, duration });
      else if (prepared) files = await client.quote(prepared, this.order(miner, duration));
    } catch (error) {
      problem = problemOf(() => t.terms.notChecked, error);
    }
    if (question !== this.asked) return;
    [this.quote, this.filesQuote, this.problem] = [quote, files, problem];
    this.dispatchEvent(new CustomEvent('quoted', { detail: quote?.total ?? files?.most }));
    this.requestUpdate();
  }

  private order(miner: MinerInfo, duration: number): Order {
    return { miner: this.picked?.rule ?? miner, duration, copies: this.copiesNow(), withManifest: true };
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
    this.quote = this.filesQuote = this.problem = undefined;
    this.asked = '';
    this.requestUpdate();
  }

  private readonly submit = (event: Event) => {
    event.preventDefault();
    const [miner, duration] = [this.miner(), this.duration()];
    if (!miner || !duration || !this.ready()) return;
    const terms = {
      miner: this.picked?.rule ?? miner,
      duration,
      copies: this.copiesNow(),
      most: this.filesQuote?.most,
    };
    this.dispatchEvent(new CustomEvent<Terms>('agreed', { detail: terms }));
  };
}
customElements.define('sd-terms', TermsForm);

/** A span that is offered, in the unit that gives it a small number. */
function presetName(seconds: number): string {
  const [name, size] = (
    [
      ['week', 604_800],
      ['day', 86_400],
      ['hour', 3_600],
    ] as const
  ).find(([, size]) => seconds >= size) ?? ['second', 1];
  return unit(seconds / size, name);
}
