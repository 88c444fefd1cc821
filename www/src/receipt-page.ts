// A receipt from anybody, checked in this tab with nothing but the file: no chain is asked, and no miner.

import { html, nothing } from 'lit';
import { type MeasuredData, type Passport, resumePiece, verifyReceipt } from 'sealdrop-client';
import { networks } from 'sealdrop-client/account';
import './copyable';
import { passportRows } from './passport-rows';
import { type Problem, problemOf } from './problem';
import { View } from './view';
import { spoken, t } from './words';

export class ReceiptPage extends View {
  /** Nothing here is of the session. */
  protected override sources() {
    return [spoken];
  }

  private receipt: File | undefined;
  /** The file that the receipt is about, where it is at hand. */
  private file: File | undefined;
  private passport: Passport | undefined;
  private problem: Problem | undefined;
  private busy: 'checking' | 'measuring' | undefined;
  private over = false;
  /** Counts what was chosen: what is older is not shown any more. */
  private turn = 0;

  override render() {
    const { passport, receipt } = this;
    return html`
      <div class="page-title">
        <h1>${t.receipt.title}</h1>
        <p>${t.receipt.lead}</p>
      </div>
      <div class="receipt" data-testid="receipt-page" aria-busy=${this.busy !== undefined}
        @dragenter=${this.hover} @dragover=${this.hover} @dragleave=${this.leave} @drop=${this.drop}>
        <label class="receipt-drop sheet ${this.over ? 'drop-over' : ''} ${receipt ? 'receipt-chosen' : ''}">
          <input type="file" accept=".receipt" class="unseen" data-testid="receipt-input" aria-label=${t.receipt.choose} @change=${this.chosen} />
          ${
            receipt
              ? html`<strong class="receipt-name" data-testid="receipt-name">${receipt.name}</strong><span class="button quiet">${t.receipt.other}</span>`
              : html`<span class="drop-title">${t.receipt.drop}</span><span class="drop-or">${t.receipt.orChoose(html`<span class="button">${t.receipt.choose}</span>`)}</span>`
          }
        </label>
        <p class="wait" role="status">${this.busy ? t.receipt[this.busy] : nothing}</p>
        <sd-problem .problem=${this.problem}></sd-problem>
        ${passport ? this.result(passport) : nothing}
      </div>
    `;
  }

  private result(passport: Passport) {
    return html`
      <section class="panel" aria-labelledby="receipt-result">
        <h2 id="receipt-result">${t.receipt.which}</h2>
        ${passportRows(passport, this.facts(passport))}
      </section>
    `;
  }

  /** Which deal it is of, and the way to hold its file against it. */
  private facts({ deal }: Passport) {
    return html`
      ${deal ? html`<div><dt>${t.receipt.deal}</dt><dd data-testid="receipt-deal" data-deal=${deal}><sd-copyable .value=${deal} .label=${t.receipt.deal} short></sd-copyable></dd></div>` : nothing}
      <div>
        <dt>${t.receipt.file}</dt>
        <dd class="receipt-file">
          <span>${this.file?.name ?? t.receipt.fileMeans}</span>
          <label class="button quiet"><input type="file" class="unseen" data-testid="receipt-data" aria-label=${t.receipt.chooseFile} @change=${this.measured} />${t.receipt.chooseFile}</label>
        </dd>
      </div>
    `;
  }

  private readonly hover = (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    this.show(true);
  };

  private readonly leave = (event: DragEvent) => {
    if (!(event.currentTarget as HTMLElement).contains(event.relatedTarget as Node | null)) this.show(false);
  };

  private readonly drop = (event: DragEvent) => {
    event.preventDefault();
    this.show(false);
    this.take(event.dataTransfer?.files[0]);
  };

  private show(over: boolean): void {
    if (this.over === over) return;
    this.over = over;
    this.requestUpdate();
  }

  private readonly chosen = (event: Event) => this.take(fileIn(event));

  private take(receipt: File | undefined): void {
    if (!receipt) return;
    this.receipt = receipt;
    this.file = undefined;
    void this.check(receipt);
  }

  private readonly measured = (event: Event) => {
    const file = fileIn(event);
    if (!file || !this.receipt) return;
    this.file = file;
    void this.check(this.receipt, file);
  };

  private async check(receipt: File, file?: File): Promise<void> {
    this.turn += 1;
    const { turn } = this;
    const isNewest = () => turn === this.turn;
    this.busy = file ? 'measuring' : 'checking';
    this.problem = undefined;
    if (!file) this.passport = undefined;
    this.requestUpdate();
    let { passport } = this;
    let problem: Problem | undefined;
    try {
      const data: MeasuredData | undefined = file && (await resumePiece(file));
      if (isNewest()) passport = await verifyReceipt(receipt, { data, networks: await networks().catch(() => []) });
    } catch (error) {
      problem = problemOf(() => (file ? t.receipt.notMeasured : t.receipt.notChecked), error);
    }
    if (!isNewest()) return;
    [this.busy, this.passport, this.problem] = [undefined, passport, problem];
    this.requestUpdate();
  }
}
customElements.define('sd-receipt', ReceiptPage);

/** What was chosen; choosing the same again counts as a choice. */
function fileIn(event: Event): File | undefined {
  const input = event.target as HTMLInputElement;
  const file = input.files?.[0];
  input.value = '';
  return file;
}
