// The deal book: every file and deal of this browser, the newest first. The deals of a file's pieces stand on the file's page.

import { html } from 'lit';
import type { Deal, StoredFile } from 'sealdrop-client';
import { bytes } from './amounts';
import { shortened } from './copyable';
import { isRefunding } from './payments';
import { dealLink, fileLink, STORE } from './route';
import { seal } from './seal';
import { session } from './session';
import { moment } from './times';
import { View } from './view';
import { t } from './words';

export class DealBook extends View {
  override render() {
    const { deals } = session;
    return html`
      <div class="page-title">
        <h1>${t.book.title}</h1>
        <p>${t.book.lead}</p>
      </div>
      ${deals === undefined ? html`<p class="empty wait">${t.common.openingBook}</p>` : deals.length + session.files.length === 0 ? empty() : ledger()}
    `;
  }
}
customElements.define('sd-deal-book', DealBook);

function empty() {
  return html`
    <div class="empty sheet">
      ${seal('molten', undefined, 88)}
      <h2>${t.book.none}</h2>
      <p>${t.book.noneMeans}</p>
      <p><a class="button" href=${STORE}>${t.book.storeOne}</a></p>
    </div>
  `;
}

function ledger() {
  return html`<ol class="ledger sheet" aria-label=${t.book.list}>${entries()}</ol>`;
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
  if (isOver(file)) return { look: 'broken', word: t.book.timeOver, kind: 'failed' };
  const { progress, problem } = file;
  switch (progress.state) {
    case 'kept':
      return { look: 'sealed', word: t.book.fileKept, kind: 'complete' };
    case 'failed':
      return { look: 'broken', word: t.book.notKept, kind: 'failed' };
    case 'incomplete':
      return { look: 'sealed', word: t.book.fewerCopies, kind: 'failed' };
    default:
      return {
        look: 'molten',
        word: problem ? t.book.delayed : progress.transferred < progress.bytes ? t.book.sending : t.book.sealing,
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
          ${[file.folder ? t.common.folder : '', bytes(file.size), moment(file.createdAt), t.common.pieces(progress.pieces), copies > 1 ? t.common.copies(copies) : ''].filter(Boolean).join(' · ')}
        </span>
      </div>
      <div class="entry-state">
        <span class="state state-${kind}">${word}</span>
        <span class="note">${t.book.sealedOf(progress.copiesKept, progress.copiesWanted)}</span>
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
        <a href=${dealLink(deal.id)}>${deal.name || t.common.unnamed}</a>
        <span class="note">${[bytes(deal.size), moment(deal.createdAt), t.book.miner(shortened(deal.miner))].join(' · ')}</span>
      </div>
      <div class="entry-state">
        <span class="state state-${deal.state}">${deal.state === 'failed' ? t.book.failed : t.steps[deal.step].name}</span>
        <span class="note">
          ${
            deal.state === 'failed'
              ? isRefunding(deal)
                ? t.book.moneyBack
                : t.book.seeWhy
              : deal.state === 'working'
                ? t.steps[deal.step].next
                : t.book.proofs(proofs, html`<span data-testid="proof-count">${proofs}</span>`)
          }
        </span>
      </div>
    </li>
  `;
}
