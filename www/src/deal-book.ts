// The deal book: every file and deal of this browser, the newest first. The deals of a file's pieces stand on the file's page.

import { html } from 'lit';
import type { Deal, StoredFile } from 'sealdrop-client';
import { bytes, count } from './amounts';
import { shortened } from './copyable';
import { isRefunding } from './payments';
import { dealLink, fileLink, STORE } from './route';
import { seal } from './seal';
import { session } from './session';
import { STEP_WORDS } from './steps';
import { moment } from './times';
import { View } from './view';

export class DealBook extends View {
  override render() {
    const { deals } = session;
    return html`
      <div class="page-title">
        <h1>Deal book</h1>
        <p>Every file that this browser stored, and its deals. The book is kept here, not on a server.</p>
      </div>
      ${deals === undefined ? html`<p class="empty wait">Opening the deal book…</p>` : deals.length + session.files.length === 0 ? empty() : ledger()}
    `;
  }
}
customElements.define('sd-deal-book', DealBook);

function empty() {
  return html`
    <div class="empty sheet">
      ${seal('molten', undefined, 88)}
      <h2>No deals yet</h2>
      <p>Store a file, and its deal is entered here: what was promised, where it lies, and how often it was proven.</p>
      <p><a class="button" href=${STORE}>Store a file</a></p>
    </div>
  `;
}

function ledger() {
  return html`<ol class="ledger sheet" aria-label="Files and deals, newest first">${entries()}</ol>`;
}

/** The lines of the book, the newest first. */
export function entries() {
  const known = new Set(session.files.map((file) => file.file));
  const single = (session.deals ?? []).filter((deal) => deal.partOf === undefined || !known.has(deal.partOf));
  const lines = [
    ...session.files.map((file) => ({ at: file.createdAt, line: () => fileEntry(file) })),
    ...single.map((deal) => ({ at: deal.createdAt, line: () => entry(deal) })),
  ];
  return lines.sort((a, b) => b.at - a.at).map(({ line }) => line());
}

/** Whether a file that was stored need not be kept any more. */
export function isOver({ progress, ends }: StoredFile): boolean {
  const wasStored = progress.state === 'kept' || progress.state === 'incomplete';
  return wasStored && session.height !== undefined && session.height >= ends;
}

/** How a file is, in a word of the page. */
export function stateOf(file: StoredFile): {
  look: 'molten' | 'sealed' | 'broken';
  word: string;
  kind: string;
} {
  if (isOver(file)) return { look: 'broken', word: 'time is over', kind: 'failed' };
  const { progress, problem } = file;
  switch (progress.state) {
    case 'kept':
      return { look: 'sealed', word: 'kept', kind: 'complete' };
    case 'failed':
      return { look: 'broken', word: 'not kept', kind: 'failed' };
    case 'incomplete':
      return { look: 'sealed', word: 'fewer copies', kind: 'failed' };
    default:
      return {
        look: 'molten',
        word: problem ? 'delayed' : progress.transferred < progress.bytes ? 'sending' : 'sealing',
        kind: 'working',
      };
  }
}

/** One line of a file or folder. */
function fileEntry(file: StoredFile) {
  const { look, word, kind } = stateOf(file);
  const { progress, copies } = file;
  return html`
    <li class="entry" data-testid="file-item" data-state=${isOver(file) ? 'ended' : progress.state}>
      ${seal(look, look === 'sealed' ? file.file : undefined, 46)}
      <div class="entry-name">
        <a href=${fileLink(file.file)}>${file.name}</a>
        <span class="note">
          ${file.folder ? 'folder · ' : ''}${bytes(file.size)} · ${moment(file.createdAt)} · ${count(progress.pieces)} ${progress.pieces === 1 ? 'piece' : 'pieces'}${copies > 1 ? ` · ${copies} copies` : ''}
        </span>
      </div>
      <div class="entry-state">
        <span class="state state-${kind}">${word}</span>
        <span class="note">${count(progress.copiesKept)} of ${count(progress.copiesWanted)} sealed</span>
      </div>
    </li>
  `;
}

/** One line of a deal. */
function entry(deal: Deal) {
  const look = deal.state === 'failed' ? 'broken' : deal.state === 'complete' ? 'sealed' : 'molten';
  const proofs = deal.proving?.proofs ?? 0;
  return html`
    <li class="entry" data-testid="deal-item" data-step=${deal.step} data-state=${deal.state}>
      ${seal(look, deal.proof?.commR, 46)}
      <div class="entry-name">
        <a href=${dealLink(deal.id)}>${deal.name || 'Unnamed file'}</a>
        <span class="note">${bytes(deal.size)} · ${moment(deal.createdAt)} · miner ${shortened(deal.miner)}</span>
      </div>
      <div class="entry-state">
        <span class="state state-${deal.state}">${deal.state === 'failed' ? 'failed' : deal.step}</span>
        <span class="note">
          ${
            deal.state === 'failed'
              ? isRefunding(deal)
                ? 'its money is on its way back'
                : 'see why, and try again'
              : deal.state === 'working'
                ? STEP_WORDS[deal.step].next
                : html`<span data-testid="proof-count">${proofs}</span> ${proofs === 1 ? 'proof' : 'proofs'} of spacetime`
          }
        </span>
      </div>
    </li>
  `;
}
