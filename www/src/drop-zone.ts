// Where files and folders are dropped or chosen, and then the docket of what was chosen with the progress of its measuring.

import { html, nothing } from 'lit';
import type { EachProgress, Prepared, Progress } from 'sealdrop-client';
import { bytes } from './amounts';
import { type Chosen, chosenIn, droppedIn } from './choosing-files';
import { problemOf } from './problem';
import { seal } from './seal';
import { clock } from './times';
import { View } from './view';
import { t, textOf } from './words';
import { percent } from './words/numbers';

/** Lines of a folder's list that are shown before somebody asks for the others. */
const LINES = 200;

export class DropZone extends View {
  static override properties = {
    chosen: { attribute: false },
    prepared: { attribute: false },
    commitment: { attribute: false },
    progress: { attribute: false },
    each: { attribute: false },
    limit: { attribute: false },
    refused: { attribute: false },
    locked: { attribute: false },
  };
  declare chosen: Chosen | undefined;
  declare prepared: Prepared | undefined;
  /** The piece commitment of a file that is one piece. */
  declare commitment: string | undefined;
  declare progress: Progress | undefined;
  /** How far each file is, by its index. */
  declare each: Map<number, EachProgress> | undefined;
  /** The most bytes that a file may have here, where files cannot be cut. */
  declare limit: number | undefined;
  /** Whether it cannot be stored, so that nothing is computed. */
  declare refused: boolean;
  declare locked: boolean;
  private over = false;
  private whole = false;
  /** Why nothing was taken, in words. */
  private aside: (() => string) | undefined;

  protected override updated(changed: Map<string, unknown>): void {
    // The input that had the focus went away with the invitation.
    if (changed.has('chosen') && this.chosen && document.activeElement === document.body) {
      this.querySelector('input')?.focus({ preventScroll: true });
    }
  }

  override render() {
    return html`
      <div
        class="drop sheet ${this.over ? 'drop-over' : ''} ${this.chosen ? 'drop-chosen' : ''}"
        @dragenter=${this.hover}
        @dragover=${this.hover}
        @dragleave=${this.leave}
        @drop=${this.drop}
      >
        ${this.chosen ? this.docket(this.chosen) : this.invitation()}
        ${this.aside ? html`<p class="note set-aside" role="status" data-testid="set-aside">${this.aside()}</p>` : nothing}
      </div>
    `;
  }

  private invitation() {
    return html`
      <label class="drop-label">
        ${this.input()}
        <span class="drop-art" aria-hidden="true">
          <i class="drop-target"></i>
          <i class="drop-seal">${seal('sealed', undefined, 104)}</i>
          ${droplet()}
        </span>
        <span class="drop-title">${t.drop.title}</span>
        <span class="drop-or">${t.drop.orChoose(html`<span class="button">${t.drop.choose}</span>`)}</span>
        <span class="note">
          ${this.limit === undefined ? t.drop.anySize : t.drop.upTo(bytes(this.limit))}
        </span>
      </label>
      <label class="drop-folder plain">${this.input(true)}${t.drop.chooseFolder}</label>
    `;
  }

  private docket(chosen: Chosen) {
    const { files } = chosen;
    const type = chosen.folder ? '' : files[0]?.file.type;
    return html`
      <div class="docket">
        ${seal(this.refused ? 'broken' : 'molten', undefined, 64)}
        <div class="docket-name">
          <strong data-testid="chosen-name">${chosen.name}</strong>
          <span class="note" data-testid="chosen-facts">
            ${[chosen.folder ? t.common.files(files.length) : '', bytes(chosen.size), type, this.pieces()].filter(Boolean).join(' · ')}
          </span>
        </div>
        <label class="button quiet change ${this.locked ? 'disabled' : ''}">${this.input()}${t.drop.others}</label>
      </div>
      ${this.refused ? html`<div class="docket-end"></div>` : this.measure()}
      ${chosen.folder ? this.list(chosen) : nothing}
    `;
  }

  /** Into how many pieces it is cut, once that is known and worth a word. */
  private pieces(): string {
    const files = this.prepared?.files ?? [];
    const pieces = files.reduce((sum, file) => sum + file.pieces.length, 0);
    return pieces > Math.max(1, files.length) || (this.chosen?.folder && pieces > 0) ? t.common.pieces(pieces) : '';
  }

  /** How far the measuring is, and what it found. */
  private measure() {
    const { progress, commitment } = this;
    const done = this.prepared !== undefined || commitment !== undefined;
    const share = done ? 1 : progress && progress.total > 0 ? progress.done / progress.total : 0;
    return html`
      <div class="measure" data-done=${done}>
        <progress max="1" .value=${share} aria-label=${t.drop.computing}></progress>
        <p class="measure-line">
          <span role="status">
            ${!done ? t.drop.computingNow : commitment ? t.drop.measuredCommP : t.drop.measuredId}
          </span>
          <span class="num">
            ${
              !done && progress && progress.done > 0
                ? [
                    t.common.of(bytes(progress.done), bytes(progress.total)),
                    t.common.perSecond(bytes(progress.bytesPerSecond)),
                    left(progress),
                  ]
                    .filter(Boolean)
                    .join(' · ')
                : nothing
            }
          </span>
        </p>
        <p class="measure-value">
          ${
            commitment
              ? html`<span data-testid="piece-commp"><sd-copyable .value=${commitment} .label=${t.drop.pieceCommitment}></sd-copyable></span>`
              : this.prepared
                ? html`<span data-testid="files-id"><sd-copyable .value=${this.prepared.id} .label=${t.drop.id}></sd-copyable></span>`
                : nothing
          }
        </p>
      </div>
    `;
  }

  /** The files of a folder, and how far each is measured. */
  private list({ files, name }: Chosen) {
    const within = (path: string) => (path.startsWith(`${name}/`) ? path.slice(name.length + 1) : path);
    const shown = this.whole ? files : files.slice(0, LINES);
    return html`
      <ol class="file-list" aria-label=${t.drop.files} data-testid="chosen-files">
        ${shown.map(({ path, file }, index) => {
          const each = this.each?.get(index);
          const done = this.prepared !== undefined || file.size === 0 || each?.done === each?.total;
          const share = each && each.total > 0 ? each.done / each.total : 0;
          return html`<li>
            <span class="file-path">${within(path)}</span>
            <span class="note num">${bytes(file.size)}</span>
            <span class="file-mark" role="img" aria-label=${done && (each || this.prepared) ? t.drop.measured : t.drop.waiting}>
              ${done && (each || this.prepared) ? '✓' : share > 0 ? percent(share) : '·'}
            </span>
          </li>`;
        })}
      </ol>
      ${
        shown.length < files.length
          ? html`<p class="file-more"><button type="button" class="plain" @click=${this.showAll}>${t.drop.showAll(files.length)}</button></p>`
          : nothing
      }
    `;
  }

  private readonly showAll = () => {
    this.whole = true;
    this.requestUpdate();
  };

  private input(folder = false) {
    return html`<input
      class="unseen"
      type="file"
      multiple
      ?webkitdirectory=${folder}
      data-testid=${folder ? 'folder-input' : 'file-input'}
      aria-label=${folder ? t.drop.chooseFolderTo : t.drop.chooseFilesTo}
      ?disabled=${this.locked}
      @change=${this.pick}
    />`;
  }

  private readonly pick = (event: Event) => {
    const input = event.target as HTMLInputElement;
    const { files } = input;
    void this.take(async () => chosenIn(files)).finally(() => {
      // So that choosing the same file again counts as a choice.
      input.value = '';
    });
  };

  private readonly hover = (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    this.show(true);
  };

  private readonly leave = (event: DragEvent) => {
    const zone = event.currentTarget as HTMLElement;
    if (!zone.contains(event.relatedTarget as Node | null)) this.show(false);
  };

  private readonly drop = (event: DragEvent) => {
    event.preventDefault();
    this.show(false);
    // The browser tells what was dropped only now.
    const dropped = droppedIn(event.dataTransfer);
    void this.take(() => dropped);
  };

  private async take(read: () => Promise<Chosen | undefined>): Promise<void> {
    let chosen: Chosen | undefined;
    this.aside = undefined;
    try {
      chosen = await read();
      if (chosen === undefined) this.aside = () => t.drop.noFile;
    } catch (error) {
      const { why } = problemOf('', error);
      this.aside = () => t.drop.notTaken(textOf(why));
    }
    if (this.locked) this.aside = () => t.drop.busy;
    this.whole = false;
    this.requestUpdate();
    if (chosen && !this.locked) this.dispatchEvent(new CustomEvent('chosen', { detail: chosen }));
  }

  private show(over: boolean): void {
    if (this.over === over) return;
    this.over = over;
    this.requestUpdate();
  }
}
customElements.define('sd-drop-zone', DropZone);

/** The time left, once there is enough of it to be worth a word. */
function left({ secondsLeft }: Progress): string {
  return secondsLeft === undefined || secondsLeft < 1 ? '' : t.drop.left(clock(secondsLeft * 1000));
}

/** The drop of wax that falls when a file is held over the zone. */
function droplet() {
  return html`<svg class="droplet" viewBox="0 0 30 44" width="30" height="44">
    <path d="M15 1C21 14 28 22 28 30a13 13 0 0 1-26 0C2 22 9 14 15 1Z"></path>
    <path class="droplet-light" d="M8 29c0-4 2-7 4-11"></path>
  </svg>`;
}
