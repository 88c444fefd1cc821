// Where a file is dropped or chosen, and then the docket of the chosen file with the progress of its measuring.

import { html, nothing } from 'lit';
import type { Piece, Progress } from 'sealdrop-client';
import { bytes } from './amounts';
import { seal } from './seal';
import { clock } from './times';
import { View } from './view';

export class DropZone extends View {
  static override properties = {
    file: { attribute: false },
    piece: { attribute: false },
    progress: { attribute: false },
    limit: { attribute: false },
    refused: { attribute: false },
    locked: { attribute: false },
  };
  declare file: File | undefined;
  declare piece: Piece | undefined;
  declare progress: Progress | undefined;
  /** The most bytes that a miner here takes. */
  declare limit: number | undefined;
  /** Whether the file cannot be stored, so that nothing is computed. */
  declare refused: boolean;
  declare locked: boolean;
  private over = false;
  /** What was given and is not taken, in words. */
  private aside: string | undefined;

  protected override updated(changed: Map<string, unknown>): void {
    // The input that had the focus went away with the invitation.
    if (changed.has('file') && this.file && document.activeElement === document.body) {
      this.querySelector('input')?.focus({ preventScroll: true });
    }
  }

  override render() {
    return html`
      <div
        class="drop sheet ${this.over ? 'drop-over' : ''} ${this.file ? 'drop-chosen' : ''}"
        @dragenter=${this.hover}
        @dragover=${this.hover}
        @dragleave=${this.leave}
        @drop=${this.drop}
      >
        ${this.file ? this.docket(this.file) : this.invitation()}
        ${this.aside ? html`<p class="note set-aside" role="status" data-testid="set-aside">${this.aside}</p>` : nothing}
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
        <span class="drop-title">Drop a file here</span>
        <span class="drop-or">or <span class="button">Choose a file</span></span>
        <span class="note">
          ${this.limit === undefined ? 'Any kind of file.' : `Any kind of file, up to ${bytes(this.limit)}.`} Nothing leaves
          this device before you press Store.
        </span>
      </label>
    `;
  }

  private docket(file: File) {
    return html`
      <div class="docket">
        ${seal(this.refused ? 'broken' : 'molten', undefined, 64)}
        <div class="docket-name">
          <strong>${file.name}</strong>
          <span class="note">${bytes(file.size)}${file.type ? ` · ${file.type}` : ''}</span>
        </div>
        <label class="button quiet change ${this.locked ? 'disabled' : ''}">${this.input()}Another file</label>
      </div>
      ${this.refused ? html`<div class="docket-end"></div>` : this.measure()}
    `;
  }

  /** How far the measuring is, and what it found. */
  private measure() {
    const { piece, progress } = this;
    const share = piece ? 1 : progress && progress.total > 0 ? progress.done / progress.total : 0;
    return html`
      <div class="measure">
        <progress max="1" .value=${share} aria-label="Computing the commitment"></progress>
        <p class="measure-line">
          <span role="status">${piece ? 'Measured. This is the file’s commitment (CommP):' : 'Computing the file’s commitment…'}</span>
          <span class="num">
            ${
              piece
                ? nothing
                : progress && progress.done > 0
                  ? `${bytes(progress.done)} of ${bytes(progress.total)} · ${bytes(progress.bytesPerSecond)}/s${left(progress)}`
                  : nothing
            }
          </span>
        </p>
        <p class="measure-value">
          ${
            piece
              ? html`<span data-testid="piece-commp"><sd-copyable .value=${piece.pieceCid} label="piece commitment"></sd-copyable></span>`
              : nothing
          }
        </p>
      </div>
    `;
  }

  private input() {
    return html`<input
      class="unseen"
      type="file"
      data-testid="file-input"
      aria-label="Choose a file to store"
      ?disabled=${this.locked}
      @change=${this.pick}
    />`;
  }

  private readonly pick = (event: Event) => {
    const input = event.target as HTMLInputElement;
    this.take(input.files);
    // So that choosing the same file again counts as a choice.
    input.value = '';
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
    this.take(event.dataTransfer?.files);
  };

  private take(files: FileList | null | undefined): void {
    const [file, ...others] = files ?? [];
    if (!file) return;
    this.aside = this.locked ? BUSY : leftOut(file, others);
    this.requestUpdate();
    if (!this.locked) this.dispatchEvent(new CustomEvent('chosen', { detail: file }));
  }

  private show(over: boolean): void {
    if (this.over === over) return;
    this.over = over;
    this.requestUpdate();
  }
}
customElements.define('sd-drop-zone', DropZone);

const BUSY = 'Nothing was taken: a file is being stored. Give the next one when that is done.';

/** A deal is about one file (finding D3). */
function leftOut(file: File, others: File[]): string | undefined {
  if (others.length === 0) return undefined;
  const rest = others.length === 1 ? `${others[0]?.name} is not` : `the ${others.length} others are not`;
  return `${file.name} is taken and ${rest}: a deal holds one file. Store them one after the other.`;
}

/** The time left, once there is enough of it to be worth a word. */
function left({ secondsLeft }: Progress): string {
  return secondsLeft === undefined || secondsLeft < 1 ? '' : ` · ${clock(secondsLeft * 1000)} left`;
}

/** The drop of wax that falls when a file is held over the zone. */
function droplet() {
  return html`<svg class="droplet" viewBox="0 0 30 44" width="30" height="44">
    <path d="M15 1C21 14 28 22 28 30a13 13 0 0 1-26 0C2 22 9 14 15 1Z"></path>
    <path class="droplet-light" d="M8 29c0-4 2-7 4-11"></path>
  </svg>`;
}
