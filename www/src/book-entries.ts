// The lines of the deal book: which there are, which of them a search finds, in which order. The book shows them, the store page the newest.

import type { Deal, StoredFile } from 'sealdrop-client';
import { folderNames } from './folder-names';
import { session } from './session';
import { STEPS } from './steps';
import { t } from './words';
import { locale } from './words/language';

/** What a person looks for in the book: what goes on, what is stored, what needs them, what is past. */
export type Standing = 'working' | 'kept' | 'trouble' | 'over';
export const STANDINGS: readonly Standing[] = ['working', 'kept', 'trouble', 'over'];

export type Order = 'newest' | 'oldest' | 'byName' | 'largest';
export const ORDERS: readonly Order[] = ['newest', 'oldest', 'byName', 'largest'];

/** What the book is asked for. */
export interface Wanted {
  /** Words that all have to be in an entry; none finds all. */
  readonly search: string;
  readonly standing: Standing | undefined;
  readonly order: Order;
}

/** A line of the book: a file or folder in several deals, or a single deal. */
export type Entry = { readonly key: string; readonly at: number; readonly size: number; readonly name: string } & (
  | { readonly file: StoredFile; readonly deals: readonly Deal[]; readonly deal?: undefined }
  | { readonly deal: Deal; readonly file?: undefined }
);

/** All of the book, the newest first. The deals of a file's pieces belong to the file. */
export function entries(): Entry[] {
  const ofFiles = new Map<string, Deal[]>(session.files.map(({ file }) => [file, []]));
  const found: Entry[] = [];
  for (const deal of session.deals ?? []) {
    const its = deal.partOf === undefined ? undefined : ofFiles.get(deal.partOf);
    if (its) its.push(deal);
    else found.push({ key: deal.id, at: deal.createdAt, size: deal.size, name: deal.name || t.common.unnamed, deal });
  }
  for (const file of session.files) {
    const { name, size, createdAt: at, encryption } = file;
    const deals = ofFiles.get(file.file) ?? [];
    found.push({ key: file.file, at, size: encryption?.plainSize ?? size, name, file, deals });
  }
  return found.sort((a, b) => b.at - a.at);
}

/** The entries that are wanted, in the order that is wanted. */
export function wantedOf(all: readonly Entry[], { search, standing, order }: Wanted): Entry[] {
  const words = wordsOf(search);
  const found = all.filter(
    (entry) =>
      (standing === undefined || standingOf(entry) === standing) && (words.length === 0 || isFound(entry, words)),
  );
  switch (order) {
    case 'newest':
      return found;
    case 'oldest':
      return found.reverse();
    case 'largest':
      return found.sort((a, b) => b.size - a.size);
    default: {
      // Names of files with numbers in them stand as a person counts.
      const { compare } = new Intl.Collator(locale(), { numeric: true, sensitivity: 'base' });
      return found.sort((a, b) => compare(a.name, b.name));
    }
  }
}

const wordsOf = (search: string): string[] => search.toLowerCase().split(/\s+/).filter(Boolean);

const holds = (text: string, words: readonly string[]) => words.every((word) => text.includes(word));

/** Whether all words are in an entry; those that are not in what is said of a folder, in the name of one of its files. */
function isFound(entry: Entry, words: readonly string[]): boolean {
  const own = searched(entry);
  const left = words.filter((word) => !own.includes(word));
  return left.length === 0 || inside(entry, left).length > 0;
}

/** The files of a folder because of which a search finds it; none where it is found by itself. */
export function foundInside(entry: Entry, search: string): string[] {
  const words = wordsOf(search);
  if (words.length === 0 || entry.file === undefined) return [];
  const own = searched(entry);
  const left = words.filter((word) => !own.includes(word));
  return left.length === 0 ? [] : inside(entry, left);
}

function inside({ file }: Entry, words: readonly string[]): string[] {
  const paths = file?.folder ? (folderNames.of(file.file) ?? []) : [];
  return paths.filter((path) => holds(path.toLowerCase(), words));
}

/** All that an entry is found by: name, ids, miners, and its state in the words of the page. */
function searched({ name, file, deal, ...rest }: Entry): string {
  const deals = deal ? [deal] : 'deals' in rest ? rest.deals : [];
  const ids = deals.flatMap(({ id, miner, dealCid, dataCid, pieceCid }) => [
    id,
    miner,
    dealCid ?? '',
    dataCid,
    pieceCid,
  ]);
  const state = file ? [file.file, stateOf(file).word, file.folder ? t.common.folder : ''] : [dealWord(deal as Deal)];
  return [name, ...ids, ...state].join('\n').toLowerCase();
}

/** The word for how a deal is. */
export function dealWord({ state, step }: Deal): string {
  return state === 'failed' ? t.book.failed : t.steps[step].name;
}

/** What an entry is to a person who looks through the book. */
export function standingOf({ file, deal }: Entry): Standing {
  if (file) {
    if (isOver(file)) return 'over';
    const { state } = file.progress;
    if (state === 'kept') return 'kept';
    return state === 'under-way' && file.problem?.code !== 'file-lost' ? 'working' : 'trouble';
  }
  if (!deal || deal.state === 'failed' || deal.error?.code === 'file-lost') return 'trouble';
  if (deal.state === 'working') return 'working';
  return isDealOver(deal) ? 'over' : 'kept';
}

/** Whether a deal has run its time: it lasts from about the block in which it was complete. */
function isDealOver(deal: Deal): boolean {
  const { network } = session;
  const at = deal.steps.find(({ step }) => step === STEPS[0])?.at ?? deal.createdAt;
  return deal.forgettable && network !== undefined && Date.now() > at + deal.duration * network.blockTimeMs;
}

/** Whether a file that was stored need not be kept any more. */
export function isOver({ progress, ends }: StoredFile): boolean {
  if (progress.state === 'ended') return true;
  const { state, copiesKept } = progress;
  const wasStored = state === 'kept' || state === 'incomplete' || (state === 'abandoned' && copiesKept > 0);
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
    case 'abandoned':
      return { look: 'broken', word: t.book.givenUp, kind: 'failed' };
    case 'incomplete':
      return { look: 'sealed', word: t.book.fewerCopies, kind: 'failed' };
    default: {
      const word = progress.transferred < progress.bytes ? t.book.sending : t.book.sealing;
      return { look: 'molten', word: problem ? t.book.delayed : word, kind: 'working' };
    }
  }
}
