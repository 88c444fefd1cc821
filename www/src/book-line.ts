// A line of the deal book: a deal, a file, or a folder that opens to what is in it.

import { html, nothing } from 'lit';
import type { Deal, FolderEntry, StoredFile } from 'sealdrop-client';
import { bytes } from './amounts';
import { dealWord, type Entry, foundInside, isOver, stateOf } from './book-entries';
import { shortened } from './copyable';
import { isRefunding } from './payments';
import { type Problem, problemOf } from './problem';
import { dealLink, fileLink } from './route';
import { seal } from './seal';
import { session } from './session';
import { moment } from './times';
import { View } from './view';
import { t } from './words';

/** Files of a folder that the book shows; all of them stand on the folder's page. */
const INSIDE = 50;
/** Names that are said of the files because of which a folder was found. */
const FOUND = 3;

/** A line of the book. */
export function bookLine(entry: Entry, search = '') {
  const { file, deal } = entry;
  return file ? fileLine(file, foundInside(entry, search)) : deal ? dealLine(deal) : nothing;
}

function fileLine(file: StoredFile, found: readonly string[]) {
  const { look, word, kind } = stateOf(file);
  const { progress, copies } = file;
  const facts = [
    file.folder ? t.common.folder : '',
    bytes(file.encryption?.plainSize ?? file.size),
    file.encryption ? t.common.encrypted : '',
    moment(file.createdAt),
    t.common.pieces(progress.pieces),
    copies > 1 ? t.common.copies(copies) : '',
  ];
  return html`
    <li class="entry ${file.folder ? 'entry-folder' : ''}" data-testid="file-item" data-state=${isOver(file) ? 'ended' : progress.state}>
      ${seal(look, look === 'sealed' ? file.file : undefined, 46)}
      <div class="entry-name">
        <a href=${fileLink(file.file)}>${file.name}</a>
        <span class="note">${facts.filter(Boolean).join(' · ')}</span>
        ${found.length > 0 ? html`<span class="note file-path" data-testid="found-inside">${t.book.foundInside(found.slice(0, FOUND).join(', '), found.length - FOUND)}</span>` : nothing}
      </div>
      <div class="entry-state">
        <span class="state state-${kind}">${word}</span>
        <span class="note">${t.book.sealedOf(progress.copiesKept, progress.copiesWanted)}</span>
      </div>
      ${file.folder ? html`<sd-folder class="entry-inside" .file=${file.file} .name=${file.name}></sd-folder>` : nothing}
    </li>
  `;
}

function dealLine(deal: Deal) {
  const look = deal.state === 'failed' ? 'broken' : deal.state === 'complete' ? 'sealed' : 'molten';
  return html`
    <li class="entry" data-testid="deal-item" data-step=${deal.step} data-state=${deal.state}>
      ${seal(look, deal.proof?.commR, 46)}
      <div class="entry-name">
        <a href=${dealLink(deal.id)}>${deal.name || t.common.unnamed}</a>
        <span class="note">${[bytes(deal.size), moment(deal.createdAt), t.book.miner(shortened(deal.miner))].join(' · ')}</span>
      </div>
      <div class="entry-state">
        <span class="state state-${deal.state}">${dealWord(deal)}</span>
        <span class="note">${goingOn(deal)}</span>
      </div>
    </li>
  `;
}

/** What is going on with a deal, or what it has come to. */
function goingOn(deal: Deal) {
  if (deal.state === 'failed') return isRefunding(deal) ? t.book.moneyBack : t.book.seeWhy;
  if (deal.state === 'working') return t.steps[deal.step].next;
  const proofs = deal.proving?.proofs ?? 0;
  return t.book.proofs(proofs, html`<span data-testid="proof-count">${proofs}</span>`);
}

/** What is in a folder: asked for when it is opened, and not before. */
class Folder extends View {
  static override properties = { file: {}, name: {} };
  declare file: string;
  declare name: string;
  private files: readonly FolderEntry[] | undefined;
  private problem: Problem | undefined;

  override render() {
    const { files } = this;
    return html`
      <details data-testid="folder" @toggle=${this.opened}>
        <summary>${t.book.contents} <span class="unseen">${this.name}</span></summary>
        ${
          files
            ? html`<ul class="inside">
                ${files.slice(0, INSIDE).map(({ path, size, plainSize }) => html`<li><span class="file-path">${path}</span> <span class="note num">${bytes(plainSize ?? size)}</span></li>`)}
              </ul>
              <p class="note"><a href=${fileLink(this.file)}>${t.book.inside(files.length)}</a></p>`
            : this.problem
              ? html`<sd-problem .problem=${this.problem}></sd-problem>`
              : html`<p class="wait">${t.common.openingBook}</p>`
        }
      </details>
    `;
  }

  private readonly opened = async (event: Event) => {
    if (!(event.target as HTMLDetailsElement).open || this.files) return;
    this.problem = undefined;
    try {
      this.files = (await (await session.connected()).file(this.file))?.files ?? [];
    } catch (error) {
      this.problem = problemOf(() => t.file.notLookedAt, error);
    }
    this.requestUpdate();
  };
}
customElements.define('sd-folder', Folder);
