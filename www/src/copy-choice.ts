// Whether this browser keeps a copy of files that are too large to be copied without a word, so that they go on after a reload by themselves;
// what it costs in room, and how far it is.

import { html, nothing } from 'lit';
import { type Progress, roomForCopy } from 'sealdrop-client';
import { bytes } from './amounts';
import { View } from './view';
import { t } from './words';

export class CopyChoice extends View {
  static override properties = {
    size: { attribute: false },
    known: { attribute: false },
    locked: { attribute: false },
    copying: { attribute: false },
  };
  /** Bytes of all files. */
  declare size: number;
  /** Whether this browser knows where they are on the disk, and can read them again when it is allowed to. */
  declare known: boolean;
  declare locked: boolean;
  declare copying: Progress | undefined;
  private on = false;
  private room: number | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    // One that is made anew is off, whatever the one before it said.
    this.tell(false);
    void roomForCopy().then(
      (room) => this.look(room),
      () => this.look(0),
    );
  }

  private look(room: number): void {
    this.room = room;
    this.requestUpdate();
  }

  override render() {
    const { room, size, copying } = this;
    const fits = room !== undefined && size <= room;
    return html`
      <section class="sheet encrypt" aria-labelledby="copy-title" data-testid="copy-choice" data-fits=${fits}>
        <label class="switch">
          <input type="checkbox" role="switch" data-testid="copy-switch" .checked=${this.on} ?disabled=${this.locked || !fits} @change=${(event: Event) => this.tell((event.target as HTMLInputElement).checked)} />
          <span>
            <strong id="copy-title">${t.copy.title}</strong>
            <span class="note">${this.costs()} ${this.known ? t.copy.withoutKnown : t.copy.without}</span>
          </span>
        </label>
        ${
          copying
            ? html`<progress max=${Math.max(1, copying.total)} .value=${copying.done} aria-label=${t.copy.copying}></progress>
              <p class="note num" role="status" data-testid="copying">${t.copy.copyingOf(bytes(copying.done), bytes(copying.total))}</p>`
            : nothing
        }
      </section>
    `;
  }

  private costs() {
    const { room, size } = this;
    if (room === undefined) return t.copy.looking;
    if (room === 0) return t.copy.impossible;
    return size <= room ? t.copy.takes(bytes(size), bytes(room)) : t.copy.noRoom(bytes(size), bytes(room));
  }

  private tell(on: boolean): void {
    this.on = on;
    this.requestUpdate();
    this.dispatchEvent(new CustomEvent<boolean>('copy', { detail: on }));
  }
}
customElements.define('sd-copy', CopyChoice);
