// The settings: each with what it means, in units as people know them. Only what was changed is sent, all of it at once.

import { html, nothing } from 'lit';
import { ActingView } from './acting';
import { count } from './amounts';
import { attoOf, decimalFil, perByteBlock, perGibMonth } from './operator-amounts';
import { changeOf, type Drafts, FIELDS, type Field, GROUPS, shownOf } from './operator-fields';
import { operator } from './operator-state';
import type { ChangedSettings, Settings } from './operator-types';
import { waiting } from './operator-view';
import { PageError } from './problem';
import { sentence } from './problem-box';
import { blocksAsTime, span } from './times';
import { spoken, type Text, textOf } from './words';
import { o } from './words/operator';

export class OperatorSettings extends ActingView {
  private drafts: Drafts = {};
  /** The price as it was typed for a GiB and a month. */
  private monthly: string | undefined;
  private said: Text = '';

  protected override sources(): readonly EventTarget[] {
    return [operator, spoken];
  }

  protected override willUpdate(): void {
    if (this.isConnected) operator.want(['mining', 'settings', 'proofs']);
  }

  override render() {
    const settings = operator.get('settings');
    if (!settings) return waiting('settings');
    const may = operator.may('admin');
    const { change, wrong } = changeOf(settings, this.drafts);
    const changed = Object.keys(change).length;
    return html`
      <form class="op-settings" aria-label=${o.places.settings} novalidate @submit=${this.save}>
        ${may ? nothing : html`<p class="op-warning" data-testid="settings-needs">${sentence(o.needs.admin)}</p>`}
        ${GROUPS.map(
          (group) => html`<fieldset class="sheet op-part" ?disabled=${!may}>
            <legend>${o.settings.groups[group]}</legend>
            ${FIELDS.filter((field) => field.group === group).map((field) => this.field(field, settings, wrong.includes(field.key)))}
          </fieldset>`,
        )}
        <div class="op-save ${changed + wrong.length > 0 ? 'op-save-open' : ''}">
          <p role="status" data-testid="settings-said">${wrong.length > 0 ? o.settings.wrong(wrong.length) : changed > 0 ? o.settings.changes(changed) : textOf(this.said)}</p>
          <div class="row">
            <button type="submit" class="button" data-testid="settings-save" ?disabled=${!may || this.busy || changed === 0 || wrong.length > 0 || operator.standing !== 'live'}>${this.busy ? o.doing : o.settings.save}</button>
            <button type="button" class="quiet" data-testid="settings-discard" ?disabled=${this.busy || changed + wrong.length === 0} @click=${this.discard}>${o.settings.discard}</button>
          </div>
        </div>
        <sd-problem .problem=${this.problem}></sd-problem>
      </form>
    `;
  }

  private field(field: Field, settings: Settings, isWrong: boolean) {
    const { key } = field;
    const words = o.settings.fields[key];
    const typed = this.drafts[key];
    const isChanged = typed !== undefined;
    if (field.kind === 'switch') {
      const is = (typed ?? String(settings[key])) === 'true';
      return html`<div class="op-setting ${isChanged ? 'op-setting-changed' : ''}">
        <label class="op-switch"><input type="checkbox" data-testid="setting-${key}" .checked=${is} aria-describedby="about-${key}" @change=${(event: Event) => this.type(key, String((event.target as HTMLInputElement).checked))} /> <span>${words.name}</span></label>
        <p class="note" id="about-${key}">${words.means}</p>
      </div>`;
    }
    const text = typed ?? shownOf(field, settings);
    return html`<div class="op-setting ${isChanged ? 'op-setting-changed' : ''}">
      <label class="field">${words.name}
        <span class="op-unit"><input inputmode="decimal" data-testid="setting-${key}" maxlength="40" autocomplete="off" spellcheck="false" aria-describedby="about-${key}" aria-invalid=${isWrong ? 'true' : nothing}
          .value=${text} @input=${(event: Event) => this.type(key, (event.target as HTMLInputElement).value)} /><span>${o.settings.units[field.unit]}</span></span>
      </label>
      ${key === 'price' ? this.perMonth(text) : nothing}
      <p class="note" id="about-${key}">${isWrong ? html`<strong class="op-bad">${o.settings.noNumber}</strong> ` : nothing}${words.means} ${this.aside(field, text)}</p>
    </div>`;
  }

  /** The price as people know prices: the two fields are one. */
  private perMonth(text: string) {
    const blockMs = operator.get('proofs')?.blockMs ?? undefined;
    if (blockMs === undefined) return html`<p class="note">${o.settings.noMonth}</p>`;
    const price = attoOf(text);
    const shown = this.monthly ?? (price === undefined ? '' : decimalFil(perGibMonth(price, blockMs)));
    return html`<label class="field">${o.settings.perMonth}
      <span class="op-unit"><input inputmode="decimal" data-testid="setting-monthly" maxlength="40" autocomplete="off" spellcheck="false" .value=${shown}
        @input=${(event: Event) => this.typeMonthly((event.target as HTMLInputElement).value, blockMs)} /><span>${o.settings.units.filGibMonth}</span></span>
    </label>`;
  }

  /** What a number comes to: blocks as time, nothing as the machine's own choice. */
  private aside({ unit, isAuto }: Field, text: string): string {
    const value = Number(text.replace(',', '.'));
    if (!Number.isFinite(value)) return '';
    if (isAuto && value === 0) return o.settings.auto[isAuto];
    const blockMs = operator.get('proofs')?.blockMs ?? undefined;
    if (unit === 'blocks' && blockMs !== undefined) return o.settings.isAbout(blocksAsTime(value, blockMs));
    if (unit === 'hours' && value > 0) return o.settings.is(span(value * 3_600_000));
    return '';
  }

  private type(key: keyof Settings, text: string): void {
    const settings = operator.get('settings');
    const field = FIELDS.find((each) => each.key === key);
    if (!settings || !field) return;
    const { [key]: _, ...others } = this.drafts;
    this.drafts = text === shownOf(field, settings) ? others : { ...others, [key]: text };
    if (key === 'price') this.monthly = undefined;
    this.said = '';
    this.problem = undefined;
    this.requestUpdate();
  }

  private typeMonthly(text: string, blockMs: number): void {
    const price = attoOf(text);
    this.type('price', price === undefined ? text : decimalFil(perByteBlock(price, blockMs)));
    this.monthly = text;
  }

  private readonly discard = () => {
    this.drafts = {};
    this.monthly = undefined;
    this.said = '';
    this.problem = undefined;
    this.requestUpdate();
  };

  private readonly save = (event: Event) => {
    event.preventDefault();
    const settings = operator.get('settings');
    if (!settings || !operator.may('admin') || this.busy) return;
    const { change, wrong } = changeOf(settings, this.drafts);
    if (wrong.length > 0 || Object.keys(change).length === 0) return;
    void this.act(
      () => o.settings.refused,
      async () => {
        const changed = await operator.order<ChangedSettings>('settings', { body: change });
        if (!changed.settings)
          throw new PageError(
            'internal',
            () => o.strange(200),
            () => o.strangeNext,
          );
        operator.learn('settings', changed.settings);
        this.drafts = {};
        this.monthly = undefined;
        const { askHeight } = changed;
        this.said = () => (askHeight === null ? o.settings.saved : o.settings.savedAsk(count(askHeight)));
      },
    );
  };
}
customElements.define('sd-op-settings', OperatorSettings);
