// Which miner: by a rule, or by hand from the list. The list says what each asks for, how far it is, what it has room for, and
// what it answers to the question whether it would take this deal now. The rules are the client's, not the page's.

import { html, nothing } from 'lit';
import type { MinerAnswer, MinerInfo, MinerRule, Piece, Survey } from 'sealdrop-client';
import { bytes, pricePerMibDay } from './amounts';
import { type Problem, problemOf } from './problem';
import { inEnglish } from './problem-box';
import { session } from './session';
import { span } from './times';
import { View } from './view';
import { t } from './words';
import type { Part } from './words/say';

/** What was picked: the miner, and the rule that it follows from unless a person named it. */
export interface Picked {
  miner: MinerInfo | undefined;
  rule: MinerRule | undefined;
  /** Why no miner follows from the rule. */
  problem: Problem | undefined;
}

/** How often miners are asked anew while the list is looked at. */
const SURVEY_MS = 15_000;
/** More miners than these scroll by themselves, so that the price stays in sight. */
const FEW = 4;
/** A hint of a second's fraction says more than "0 seconds". */
const SOON_MS = 1_000;

const MODES: readonly (MinerRule | 'own')[] = ['cheapest', 'nearest', 'spread', 'own'];

export class MinerChoice extends View {
  static override properties = { piece: { attribute: false }, duration: { attribute: false } };
  declare piece: Piece | undefined;
  /** Blocks. */
  declare duration: number | undefined;
  /** Until a person says otherwise, a link's miner is meant, or else the cheapest. */
  private said: MinerRule | 'own' | undefined;
  private named: string | undefined;
  private survey: Survey | undefined;
  private failed: Problem | undefined;
  /** What is being asked, so that late answers to old questions are dropped. */
  private asked = '';
  private askedAt = 0;
  private told = '';

  override render() {
    const { miners } = session;
    if (miners === undefined) return html`<p class="wait">${t.miners.asking}</p>`;
    if (miners.length === 0) {
      return html`<p>${t.miners.none}</p>`;
    }
    const { miner } = this.picked();
    return html`
      ${miners.length > 1 ? this.rules() : nothing}
      <div class="miners ${miners.length > FEW ? 'many' : ''}" data-testid="miners">${this.sorted(miners).map((each) => this.card(each, each.address === miner?.address))}</div>
      ${this.passedOver()}
    `;
  }

  private rules() {
    const choice = (mode: MinerRule | 'own') => html`
      <label class="choice">
        <input
          type="radio"
          name="miner-rule"
          data-testid="miner-rule"
          value=${mode}
          .checked=${this.mode === mode}
          @change=${() => this.follow(mode)}
        />
        <span>${t.miners[mode].name}<small>${t.miners[mode].meaning}</small></span>
      </label>
    `;
    return html`<div class="choices miner-rules" role="radiogroup" aria-label=${t.miners.how}>
      ${MODES.map(choice)}
    </div>`;
  }

  private card(miner: MinerInfo, chosen: boolean) {
    const answer = this.answer(miner);
    const price = miner.price === undefined ? t.network.noOffer : pricePerMibDay(miner.price, this.blockTime());
    return html`
      <label class="miner ${chosen ? 'chosen' : ''}" data-testid="miner-card" data-miner=${miner.address}>
        <input type="radio" name="miner" data-testid="miner-choice" .checked=${chosen} @change=${() => this.name(miner)} />
        <span class="miner-name"><code>${miner.address}</code></span>
        <span class="miner-price">${price}</span>
        <span class="miner-facts">
          <span>${t.miners.sectors(bytes(miner.sectorSize))}</span>
          <span>${miner.power > 0 ? t.miners.proven(bytes(miner.power)) : t.miners.nothingProven}</span>
          ${answer?.room === undefined ? nothing : html`<span>${answer.room > 0 ? t.miners.room(bytes(answer.room)) : t.miners.noRoom}</span>`}
          ${answer?.distanceMs === undefined ? nothing : html`<span>${t.miners.away(distance(answer.distanceMs))}</span>`}
        </span>
        ${this.word(miner, answer)}
      </label>
    `;
  }

  /** What the miner says, in words. */
  private word(miner: MinerInfo, answer: MinerAnswer | undefined) {
    const line = (kind: string, text: Part) =>
      html`<span class="miner-word miner-${kind}" data-testid="miner-answer" data-says=${kind}>${text}</span>`;
    if (miner.slashedAt !== undefined) return line('no', t.miners.slashed);
    if (miner.price === undefined) return line('unasked', t.miners.noOffer);
    if (this.piece && this.piece.size > miner.usableBytes) {
      return line('no', t.miners.tooLarge(bytes(miner.usableBytes)));
    }
    if (answer === undefined) return line('wait', this.survey ? t.miners.notAsked : t.miners.beingAsked);
    switch (answer.says) {
      case 'yes':
        return line('yes', t.miners.yes);
      case 'no': {
        // The miner's reason may say it itself.
        const known = answer.retryMs === undefined || answer.reason.includes('again');
        const why = inEnglish(answer.reason, false);
        const again = span(Math.max(answer.retryMs ?? 0, SOON_MS));
        return line('no', known ? t.miners.no(why) : t.miners.noUntil(why, again));
      }
      case 'silent':
        return line('silent', t.miners.silent(inEnglish(answer.reason, false)));
      default:
        return line('unasked', t.miners.unasked);
    }
  }

  /** Why the rule's choice is not the first by the rule. */
  private passedOver() {
    const passed = this.mode === 'own' ? [] : (this.survey?.passedOver ?? []);
    if (passed.length === 0 || !this.survey?.miner) return nothing;
    return html`<p class="note passed-over" data-testid="passed-over">
      ${t.miners.passedOver(passed.length)}
    </p>`;
  }

  protected override updated(): void {
    void this.ask();
    this.tell();
  }

  protected override ticks(): boolean {
    return true;
  }

  private get mode(): MinerRule | 'own' {
    return this.said ?? (session.choice.miner ? 'own' : 'cheapest');
  }

  /** The miner that the terms are about now. */
  private picked(): Picked {
    const miners = session.miners ?? [];
    const none = { miner: undefined, rule: undefined, problem: undefined };
    if (this.mode === 'own' || miners.length === 1) {
      const named = miners.find((miner) => miner.address === (this.named ?? session.choice.miner));
      return { ...none, miner: named ?? miners.find((miner) => this.fits(miner)) ?? miners[0] };
    }
    const rule = this.mode;
    if (this.failed) return { ...none, rule, problem: this.failed };
    const { survey } = this;
    if (survey?.problem) return { ...none, rule, problem: problemOf(() => t.miners.noneTakes, survey.problem) };
    return { ...none, rule, miner: miners.find((miner) => miner.address === survey?.miner) };
  }

  private fits(miner: MinerInfo): boolean {
    return miner.price !== undefined && (this.piece?.size ?? 0) <= miner.usableBytes;
  }

  private answer(miner: MinerInfo): MinerAnswer | undefined {
    return this.survey?.answers.find((answer) => answer.miner === miner.address);
  }

  private sorted(miners: MinerInfo[]): MinerInfo[] {
    const order = (this.survey?.answers ?? []).map((answer) => answer.miner);
    const place = ({ address }: MinerInfo) => (order.includes(address) ? order.indexOf(address) : order.length);
    return [...miners].sort((a, b) => place(a) - place(b) || a.address.localeCompare(b.address));
  }

  private blockTime(): number {
    return session.network?.blockTimeMs ?? 1_000;
  }

  /** Asks the miners when the question has changed, and now and then. */
  private async ask(): Promise<void> {
    const { client, miners } = session;
    if (!client || !miners?.length) return;
    const rule = this.mode === 'own' ? 'cheapest' : this.mode;
    const offers = miners.map(({ address, price }) => `${address}:${price}`).join(' ');
    const question = [rule, this.piece?.commP, this.duration, offers].join(' ');
    if (question === this.asked && Date.now() - this.askedAt < SURVEY_MS) return;
    this.asked = question;
    this.askedAt = Date.now();
    let [survey, failed]: [Survey | undefined, Problem | undefined] = [undefined, undefined];
    try {
      survey = await client.survey(rule, { piece: this.piece, duration: this.duration });
    } catch (error) {
      failed = problemOf(() => t.miners.notAskable, error);
    }
    if (question !== this.asked || !this.isConnected) return;
    [this.survey, this.failed] = [survey, failed];
    this.requestUpdate();
  }

  /** Tells the form when something else is picked than before. */
  private tell(): void {
    const picked = this.picked();
    const { miner, rule, problem } = picked;
    const told = [miner?.address, miner?.price, rule, problem?.code, problem?.why].join(' ');
    if (told === this.told) return;
    this.told = told;
    this.showChosen();
    this.dispatchEvent(new CustomEvent<Picked>('picked', { detail: picked }));
  }

  /** In a list that scrolls, the chosen one is in sight; the page stays where it is. */
  private showChosen(): void {
    const list = this.querySelector<HTMLElement>('.miners.many');
    const chosen = list?.querySelector<HTMLElement>('.miner.chosen');
    if (list && chosen) list.scrollTop = chosen.offsetTop - list.offsetTop;
  }

  private follow(mode: MinerRule | 'own'): void {
    // What was the rule's choice is one's own until another is named.
    if (mode === 'own') this.named = this.picked().miner?.address;
    this.said = mode;
    this.requestUpdate();
  }

  private name(miner: MinerInfo): void {
    this.said = 'own';
    this.named = miner.address;
    this.requestUpdate();
  }
}
customElements.define('sd-miner-choice', MinerChoice);

function distance(ms: number): string {
  return ms < 1 ? t.miners.underOneMs : t.miners.milliseconds(Math.round(ms));
}
