// The pieces of a file with their copies, line by line, and how far a file in a folder is.

import { html, nothing } from 'lit';
import type { Deal, StoredCopy, StoredPiece, WholeFile } from 'sealdrop-client';
import { bytes } from './amounts';
import { shortened } from './copyable';
import { inEnglish } from './problem-box';
import { dealLink } from './route';
import { session } from './session';
import { STEPS } from './steps';
import { moment } from './times';
import { t } from './words';
import { percent } from './words/numbers';

export type RowState = 'waiting' | 'sending' | 'sealing' | 'kept' | 'failed' | 'empty';

/** A state in words, with how much is sent as far as that is worth a word. */
export function rowWord(state: RowState, share: number): string {
  return state === 'sending' && share > 0 ? t.rows.sendingShare(percent(share)) : t.rows[state];
}

/** A piece and its copies. */
export function pieceRow(file: WholeFile, part: StoredPiece) {
  const state = worst([part]);
  return html`<li data-testid="piece-row" data-state=${state}>
    <span class="piece-name">
      ${nameOf(file, part)}
      <span class="note num">${bytes(part.size)}</span>
    </span>
    <span class="piece-copies">
      ${part.copies.length === 0 ? html`<span class="note">${part.problem === undefined ? t.rows.waitsForTurn : inEnglish(part.problem, false)}</span>` : part.copies.map(copyLine)}
    </span>
  </li>`;
}

function nameOf(file: WholeFile, part: StoredPiece): string {
  if (part.file === undefined) return t.rows.theList;
  const entry = file.files[part.file];
  if (!entry) return t.rows.piece;
  // All but the last have one size; those with the same bytes as an earlier one are not in the list.
  const step = Math.max(...file.parts.filter((other) => other.file === part.file).map((other) => other.size));
  const place = Math.floor(part.offset / step) + 1;
  if (entry.pieces <= 1) return entry.path;
  return file.folder ? t.rows.partOf(entry.path, place, entry.pieces) : t.rows.part(place, entry.pieces);
}

function copyLine(copy: StoredCopy) {
  const deal = session.deal(copy.deal);
  // A deal's own news come sooner than what is asked of the whole.
  const state = copy.state === 'under-way' && deal?.state === 'complete' ? 'kept' : copy.state;
  const step = deal && stepState(deal);
  const word = {
    'under-way': step ? rowWord(step, deal ? shareOf(deal) : 0) : t.rows.underWay,
    kept: t.rows.sealed,
    refused: t.rows.refused,
    failed: t.rows.copyFailed,
    lost: t.rows.lost,
  }[state];
  return html`<span class="copy-of">
    <a href=${dealLink(copy.deal)} class="copy-line copy-${state}">${t.rows.copyAt(shortened(copy.miner), word)}</a>
    ${
      copy.checked
        ? html`<span class="note copy-check ${copy.checked.passed ? '' : 'copy-check-failed'}" data-testid="copy-check" data-passed=${copy.checked.passed}>
            ${(copy.checked.passed ? t.rows.cameBack : t.rows.didNotComeBack)(moment(copy.checked.at))}
          </span>`
        : nothing
    }
  </span>`;
}

function shareOf({ transferred, size }: Deal): number {
  return size > 0 ? Math.min(transferred, size) / size : 0;
}

/** How much of some pieces the miners have fetched, as a share of all copies that are under way. */
export function shareSent(parts: StoredPiece[]): number {
  const deals = parts.flatMap(({ copies, size }) => copies.map((copy) => ({ deal: session.deal(copy.deal), size })));
  const under = deals.filter(({ deal }) => deal?.state === 'working');
  const all = under.reduce((sum, { size }) => sum + size, 0);
  const sent = under.reduce((sum, { deal, size }) => sum + Math.min(deal?.transferred ?? 0, size), 0);
  return all > 0 ? sent / all : 0;
}

function stepState(deal: Deal): RowState {
  if (deal.state === 'complete') return 'kept';
  return STEPS.indexOf(deal.step) >= STEPS.indexOf('transferred') ? 'sealing' : 'sending';
}

/** How far the least of some pieces is. */
export function worst(parts: StoredPiece[]): RowState {
  const order: RowState[] = ['failed', 'waiting', 'sending', 'sealing', 'kept'];
  const each = parts.map((part): RowState => {
    if (part.copies.some((copy) => copy.state === 'kept')) return 'kept';
    const under = part.copies.filter((copy) => copy.state === 'under-way');
    const best = under.map((copy) => session.deal(copy.deal)).map((deal) => (deal ? stepState(deal) : 'sending'));
    const furthest = (['kept', 'sealing', 'sending'] as const).find((state) => best.includes(state));
    if (furthest) return furthest;
    return part.problem ? 'failed' : 'waiting';
  });
  // The bytes are those of another file.
  if (each.length === 0) return 'kept';
  return order[Math.min(...each.map((state) => order.indexOf(state)))] ?? 'waiting';
}
