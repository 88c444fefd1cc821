// A button that gives the daemon an order: it asks first where the order cannot be taken back, says what came of it, and why it cannot be pressed.

import { html, nothing, type PropertyValues } from 'lit';
import { ActingView } from './acting';
import { operator } from './operator-state';
import { sentence } from './problem-box';
import { spoken, type Text, t, textOf } from './words';
import { o } from './words/operator';

export interface OrderButton {
  /** For tests. */
  readonly id: string;
  readonly label: string;
  readonly needs: 'operate' | 'admin';
  /** What the page says when it could not be done. */
  readonly failed: Text;
  /** What it means, where it is asked first, and what the answer is. */
  readonly asks?: { readonly title: string; readonly means: unknown; readonly yes: string };
  readonly isMain?: boolean;
  readonly isOff?: boolean;
  /** The id of what says already which token it needs, where several orders stand together. */
  readonly whyAt?: string;
  /** Does it; what it gives back is said afterwards. */
  run(): Promise<Text>;
}

export class Order extends ActingView {
  static override properties = { order: { attribute: false } };
  declare order: OrderButton;
  private asking = false;
  private done: Text = '';
  private focusNext: string | undefined;

  protected override sources(): readonly EventTarget[] {
    return [operator, spoken];
  }

  override render() {
    const { order } = this;
    const may = operator.may(order.needs);
    const isOff = !may || this.busy || order.isOff === true || operator.standing !== 'live';
    return html`
      ${
        this.asking && order.asks && may
          ? this.question(order, order.asks, isOff)
          : html`<button type="button" class=${order.isMain ? 'button' : 'quiet'} data-testid=${order.id} ?disabled=${isOff}
              aria-describedby=${may ? nothing : (order.whyAt ?? `${order.id}-why`)} @click=${this.press}>${this.busy ? o.doing : order.label}</button>`
      }
      ${may || order.whyAt ? nothing : html`<span class="note op-why" id="${order.id}-why">${sentence(o.needs[order.needs])}</span>`}
      <p class="saved" role="status" data-testid="${order.id}-said">${textOf(this.done)}</p>
      <sd-problem .problem=${this.problem}></sd-problem>
    `;
  }

  private question(order: OrderButton, asks: NonNullable<OrderButton['asks']>, isOff: boolean) {
    return html`
      <div class="op-question" role="group" aria-labelledby="${order.id}-title" @keydown=${this.key}>
        <p class="op-question-title" id="${order.id}-title" tabindex="-1">${asks.title}</p>
        <div class="op-means">${asks.means}</div>
        <div class="row">
          <button type="button" class="button" data-testid="${order.id}-yes" ?disabled=${isOff} @click=${this.go}>${this.busy ? o.doing : asks.yes}</button>
          <button type="button" class="quiet" data-testid="${order.id}-no" ?disabled=${this.busy} @click=${this.drop}>${t.common.cancel}</button>
        </div>
      </div>
    `;
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    if (!this.focusNext) return;
    this.querySelector<HTMLElement>(this.focusNext)?.focus();
    this.focusNext = undefined;
  }

  private readonly press = () => {
    this.done = '';
    if (!this.order.asks) return this.go();
    this.asking = true;
    this.problem = undefined;
    this.focusNext = '.op-question-title';
    this.requestUpdate();
  };

  private readonly drop = () => {
    this.asking = false;
    this.focusNext = 'button';
    this.requestUpdate();
  };

  private readonly key = (event: KeyboardEvent) => {
    // For programs: a key's name.
    if (event.key === 'Escape' && !this.busy) this.drop();
  };

  private readonly go = () => {
    const { order } = this;
    void this.act(order.failed, async () => {
      this.done = '';
      const said = await order.run();
      this.done = said;
      if (this.asking) this.focusNext = 'button';
      this.asking = false;
    });
  };
}
customElements.define('sd-order', Order);
