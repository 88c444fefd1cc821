// Which miner: by a rule, or by hand from the list. The list says what each asks for, how far it is, what it has room for, and
// what it answers to the question whether it would take this deal now. The rules are the client's, not the page's.

import { html, nothing } from 'lit';
import type { MinerAnswer, MinerInfo, MinerRule, Piece, Survey } from 'sealdrop-client';
import { bytes, pricePerMibDay } from './amounts';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { span } from './times';
import { View } from './view';

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

const RULES: [MinerRule, string, string][] = [
  ['cheapest', 'Cheapest', 'the lowest price'],
  ['nearest', 'Nearest', 'the quickest answer'],
  ['spread', 'Spread', 'evenly over all'],
];

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
    if (miners === undefined) return html`<p class="wait">Asking the chain for miners…</p>`;
    if (miners.length === 0) {
      return html`<p>No miner has announced itself on this network yet. Start one, and it appears here by itself.</p>`;
    }
    const { miner } = this.picked();
    return html`
      ${miners.length > 1 ? this.rules() : nothing}
      <div class="miners ${miners.length > FEW ? 'many' : ''}" data-testid="miners">${this.sorted(miners).map((each) => this.card(each, each.address === miner?.address))}</div>
      ${this.passedOver()}
    `;
  }

  private rules() {
    const choice = (mode: MinerRule | 'own', name: string, meaning: string) => html`
      <label class="choice">
        <input
          type="radio"
          name="miner-rule"
          data-testid="miner-rule"
          value=${mode}
          .checked=${this.mode === mode}
          @change=${() => this.follow(mode)}
        />
        <span>${name}<small>${meaning}</small></span>
      </label>
    `;
    return html`<div class="choices miner-rules" role="radiogroup" aria-label="How the miner is chosen">
      ${RULES.map(([rule, name, meaning]) => choice(rule, name, meaning))} ${choice('own', 'My choice', 'from the list')}
    </div>`;
  }

  private card(miner: MinerInfo, chosen: boolean) {
    const answer = this.answer(miner);
    const price = miner.price === undefined ? 'no offer at present' : pricePerMibDay(miner.price, this.blockTime());
    return html`
      <label class="miner ${chosen ? 'chosen' : ''}" data-testid="miner-card" data-miner=${miner.address}>
        <input type="radio" name="miner" data-testid="miner-choice" .checked=${chosen} @change=${() => this.name(miner)} />
        <span class="miner-name"><code>${miner.address}</code></span>
        <span class="miner-price">${price}</span>
        <span class="miner-facts">
          <span>${bytes(miner.sectorSize)} sectors</span>
          <span>${miner.power > 0 ? `${bytes(miner.power)} proven` : 'nothing proven yet'}</span>
          ${answer?.room === undefined ? nothing : html`<span>${answer.room > 0 ? `room for ${bytes(answer.room)}` : 'no room at present'}</span>`}
          ${answer?.distanceMs === undefined ? nothing : html`<span>${distance(answer.distanceMs)} away</span>`}
        </span>
        ${this.word(miner, answer)}
      </label>
    `;
  }

  /** What the miner says, in words. */
  private word(miner: MinerInfo, answer: MinerAnswer | undefined) {
    const line = (kind: string, text: string) =>
      html`<span class="miner-word miner-${kind}" data-testid="miner-answer" data-says=${kind}>${text}</span>`;
    if (miner.slashedAt !== undefined) return line('no', 'has missed a proof and takes no deals');
    if (miner.price === undefined) return line('unasked', 'offers no storage at present');
    if (this.piece && this.piece.size > miner.usableBytes) {
      return line('no', `takes no file larger than ${bytes(miner.usableBytes)}`);
    }
    if (answer === undefined) return line('wait', this.survey ? 'was not asked' : 'asking whether it takes this now…');
    switch (answer.says) {
      case 'yes':
        return line('yes', 'would take this now');
      case 'no': {
        // The miner's reason may say it itself.
        const known = answer.retryMs === undefined || answer.reason.includes('again');
        const again = known ? '' : `; ask again in about ${span(Math.max(answer.retryMs ?? 0, SOON_MS))}`;
        return line('no', `takes none now: ${answer.reason}${again}`);
      }
      case 'silent':
        return line('silent', `does not answer: ${answer.reason}`);
      default:
        return line('unasked', 'does not say beforehand whether it takes deals');
    }
  }

  /** Why the rule's choice is not the first by the rule. */
  private passedOver() {
    const passed = this.mode === 'own' ? [] : (this.survey?.passedOver ?? []);
    if (passed.length === 0 || !this.survey?.miner) return nothing;
    const who = passed.length === 1 ? 'One miner comes' : `${passed.length} miners come`;
    return html`<p class="note passed-over" data-testid="passed-over">
      ${who} before it by this rule and would not take the deal now; should this one refuse, too,
      the next is taken, at its own price, before anything is paid.
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
    if (survey?.problem) return { ...none, rule, problem: problemOf('No miner takes this now', survey.problem) };
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
      failed = problemOf('The miners could not be asked', error);
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
  return ms < 1 ? 'under 1 ms' : `${Math.round(ms)} ms`;
}
