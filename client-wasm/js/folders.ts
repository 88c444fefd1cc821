/**
 * Files of several pieces, in the network worker: keeps their bytes and records, has the next deal drawn up that one of them needs,
 * and fetches pieces back.
 *
 * Which deal comes next is decided in Rust (`src/files`), from the deals that are kept; so nothing is forgotten with a tab, and whoever
 * leads next goes on. A file's bytes are kept once, until all of its copies are at their miners, or only referred to while the page is
 * open, and asked for again after a reload. A piece that comes back is checked as
 * a whole before a byte of it is handed out; when a copy fails, the next one is tried.
 */

import { LEAF_BYTES } from './commp.js';
import { fetchFromAny, type Holder } from './copies.js';
import { problemOf, SealdropError } from './errors.js';
import { abortedError } from './meter.js';
import type { Copying, OpfsCopies } from './opfs.js';
import { Placing } from './placing.js';
import type { Extent, FileOpening, FileSpans, StoreFilesRequest } from './protocol.js';
import { sealedContents, viewOf } from './secrets.js';
import type { Sources } from './sources.js';
import type { Contents, Deals, FileOnDisk, PartOfFile, StoredDeal } from './store.js';
import type { Tabs } from './tabs.js';
import type {
  Deal,
  FilesQuote,
  FileView,
  FolderEntry,
  PieceNode,
  Problem,
  StoredFile,
  StoredPiece,
  WholeFile,
} from './types.js';
import { checkUnchanged } from './unchanged.js';
import {
  abandonFile,
  type Client,
  fileSpans,
  goOnWithFile,
  lookAtFile,
  manifestNodes,
} from './wasm/sealdrop_client.js';

/** Least milliseconds between two events of one file: each piece's progress makes one. */
const SHOW_MS = 200;

/** What came of the question for a file's next deal. */
export type NextDeal =
  | { readonly next: 'wait' }
  | { readonly next: 'rest' }
  | { readonly next: 'stop'; readonly state: string }
  | {
      readonly next: 'deal';
      readonly deal: { readonly state: string; readonly view: Deal };
      /** Where the piece's bytes are; without `at` they are the manifest. */
      readonly place: { readonly at?: number; readonly offset?: number; readonly size: number };
    };

/** What the Rust module tells of a file. */
export interface LookedAt {
  readonly view: FileView;
  readonly files: readonly FolderEntry[];
  readonly pieces: readonly StoredPiece[];
}

/** What this needs of the worker. */
export interface Edges {
  readonly client: Client;
  readonly store: Deals;
  readonly sources: Sources;
  readonly copies: OpfsCopies;
  readonly tabs: Tabs;
  /** Carries a deal on that is kept. */
  readonly start: (id: string) => Promise<void>;
  /** A deal's bytes are others than before. */
  readonly readAnew: (id: string) => void;
  readonly showDeal: (view: Deal) => void;
  readonly showFile: (view: StoredFile) => void;
  /** The deal as it is shown now. */
  readonly current: (deal: StoredDeal) => Deal;
  readonly fetch: (state: string, onBytes: (bytes: number) => void, stopped: () => boolean) => Promise<Blob>;
}

/** All files of this browser. */
export class Folders {
  readonly #edges: Edges;
  readonly #views = new Map<string, StoredFile>();
  readonly #problems = new Map<string, Problem>();
  /** Files that are carried on here. */
  readonly #open = new Set<string>();
  readonly #changed = new Set<string>();
  /** Files whose bytes were let go of. */
  readonly #dropped = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #placing: Placing;

  constructor(edges: Edges) {
    this.#edges = edges;
    this.#placing = new Placing({
      client: edges.client,
      open: this.#open,
      begin: (id, deal, turn) => this.#begin(id, deal, turn),
      stop: async (id, state) => {
        await edges.store.updateFolder({ id, state });
        this.#flush(id);
      },
      wentOn: (id) => {
        if (this.#problems.delete(id)) {
          this.#flush(id);
        }
      },
      hindered: (id, thrown) => this.#hindered(id, thrown),
    });
  }

  /** Keeps new files and has them carried on; nothing is kept where there is no room for all. `copying` follows a copy that is made first. */
  async create(request: StoreFilesRequest, copying: Copying): Promise<StoredFile> {
    const { client, store, tabs, copies } = this.#edges;
    const { manifest, order, blobs, sizes, nodes, data, keep, encryption, handles } = request;
    await checkUnchanged(blobs, sizes);
    const { id, state, view } = await client.newFile(manifest, { order, encryption: encryption && viewOf(encryption) });
    if ((await store.folder(id)) !== undefined) {
      throw new SealdropError(
        'duplicate',
        `“${view.name}” is kept already, as ${id}`,
        'Go on with it, or remove it first to store it in another way.',
      );
    }
    const sealed = encryption && (await sealedContents(store, encryption));
    const contents: Contents = { id, manifest, data, nodes, ...(sealed === undefined ? {} : { sealed }) };
    const copied =
      keep === 'opfs'
        ? await copies.make(id, blobs, copying)
        : keep === 'copy'
          ? blobs
          : blobs.map((blob, at) => diskOf(blob, handles[at]));
    try {
      await store.createFolder({ id, state }, contents, copied, encryption?.keys);
      // From here on its deals are made, whoever waits for it. A tab that has taken the lead meanwhile may have begun.
      if (copying.stopped() && (await store.dealsOf(id)).length === 0) {
        await store.removeFolder(id, []);
        throw abortedError();
      }
    } catch (thrown) {
      if (keep === 'opfs') {
        await copies.remove(id);
      }
      throw noRoom(thrown, view.size);
    }
    this.#show(view);
    const referred = keep === 'reference' ? { blobs } : {};
    this.#edges.sources.remember(id, referred.blobs);
    // It is kept already: whichever tab leads next takes it up.
    tabs.order({ kind: 'file', id, ...referred }).catch(() => undefined);
    return view;
  }

  /** Takes the bytes of a file that were only referred to, or were lost. */
  async supply(id: string, blobs: readonly Blob[]): Promise<void> {
    await this.contents(id);
    this.#edges.sources.remember(id, blobs);
    await this.#edges.tabs.order({ kind: 'file', id, blobs });
  }

  /** Carries all files on; called when this worker becomes the one that leads. */
  async resume(): Promise<void> {
    const { store, copies } = this.#edges;
    const [folders, deals] = await Promise.all([store.folders(), store.deals()]);
    for (const { id } of folders) {
      await this.#take(id, deals).catch((thrown: unknown) => this.#hindered(id, thrown));
    }
    this.#placing.poke();
    await copies.sweep(
      async (id) => (await store.folder(id)) !== undefined && (await store.source(id, 0)) !== undefined,
    );
  }

  /** Carries a file on from what is stored, or no longer when it is gone. `blobs` are its bytes, where they are not stored. */
  async reopen(id: string, blobs?: readonly Blob[]): Promise<void> {
    this.#edges.sources.remember(id, blobs);
    await this.#take(id, await this.#edges.store.deals());
    // It may be ordered once more: then it has bytes to let go of again.
    this.#dropped.delete(id);
    this.#problems.delete(id);
    this.#placing.goOnNow(id);
    this.changed(id);
    // A deal that was just being drawn up is kept when this resolves: whoever gives the file up gives it up, too.
    await this.#placing.running;
    if (blobs !== undefined) {
      for (const deal of await this.#edges.store.dealsOf(id)) {
        this.#edges.readAnew(deal.id);
        this.#edges.client.wake(deal.id);
      }
    }
  }

  /** Files that are carried on here. */
  open(): Iterable<string> {
    return this.#open;
  }

  /** A drill was noted in a file's record. */
  async drilled(id: string, state: string): Promise<void> {
    await this.#edges.store.updateFolder({ id, state });
    this.changed(id);
  }

  async #take(id: string, deals: readonly StoredDeal[]): Promise<void> {
    const { client, store } = this.#edges;
    const [folder, contents] = await Promise.all([store.folder(id), store.contents(id)]);
    client.closeFile(id);
    this.#open.delete(id);
    if (folder !== undefined && contents !== undefined) {
      client.openFile(folder.state, shownIn(contents), statesFor(contents, deals));
      this.#open.add(id);
    }
  }

  /** A deal of a file that is carried on here is another than before. */
  changed(id: string): void {
    this.#changed.add(id);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const changed of this.#changed) {
        this.#flush(changed);
      }
      this.#changed.clear();
      this.#placing.poke();
    }, SHOW_MS);
  }

  #flush(id: string): void {
    const view = this.#placing.closed ? undefined : this.#edges.client.fileView(id);
    if (view === undefined) {
      return;
    }
    this.#show(view);
    if (view.progress.state === 'kept' && !this.#dropped.has(id)) {
      this.#dropped.add(id);
      this.#edges.sources.forget(id);
      void this.#dropSources(id).catch(() => undefined);
    }
  }

  /** Lets go of a file's bytes: first of what says where they are. */
  async #dropSources(id: string): Promise<void> {
    await this.#edges.store.dropSources(id);
    await this.#edges.copies.remove(id);
  }

  #show(view: FileView): void {
    const problem = this.#problems.get(view.file);
    const shown: StoredFile = problem === undefined ? view : { ...view, problem };
    this.hear(shown);
    this.#edges.tabs.tell({ kind: 'file', view: shown });
  }

  /** Another tab carries it on. */
  hear(view: StoredFile): void {
    this.#views.set(view.file, view);
    this.#edges.showFile(view);
  }

  #hindered(id: string, thrown: unknown): void {
    this.#problems.set(id, problemOf(thrown));
    this.#flush(id);
    this.#placing.tryLater(id);
  }

  /** Keeps a deal that was drawn up, with where its bytes are, and carries it on. */
  async #begin(id: string, deal: string, turn: Extract<NextDeal, { next: 'deal' }>): Promise<void> {
    const { store, showDeal, start, tabs } = this.#edges;
    const { state, view } = turn.deal;
    const { blob, nodes } = await this.#bytesOf(id, view, turn.place);
    if (!this.#open.has(id)) {
      return;
    }
    await store.create({ id: deal, state, view }, { id: deal, blob, nodes });
    showDeal(view);
    tabs.tell({ kind: 'deal', view });
    await start(deal);
  }

  async #bytesOf(
    id: string,
    { dataCid }: Deal,
    { at, offset = 0, size }: Extract<NextDeal, { next: 'deal' }>['place'],
  ): Promise<{ blob: Blob | PartOfFile; nodes: readonly PieceNode[] }> {
    const { store, sources } = this.#edges;
    const contents = await this.contents(id);
    if (at === undefined) {
      return { blob: new Blob([new Uint8Array(contents.manifest)]), nodes: manifestNodes(contents.manifest) };
    }
    const nodes = contents.nodes[at]?.get(offset) ?? [];
    if (nodes.length === 0 && size > LEAF_BYTES) {
      throw new SealdropError(
        'file-lost',
        'this file was restored from a backup, which has none of its bytes: no further copies of it can be made from here',
        'To have more copies, retrieve it, and store it anew with “allow duplicates”.',
      );
    }
    if ((await sources.blob(id, at)) !== undefined) {
      return { blob: { file: id, at, offset, size }, nodes };
    }
    // All copies were kept, and one of them is lost since, or their time is over: miners have it. Or the bytes were only referred to.
    const kept = (await store.dealsAbout(dataCid)).some((deal) => deal.view.state === 'complete');
    const fetched = kept
      ? await this.fetchPiece(
          dataCid,
          () => undefined,
          () => this.#placing.closed,
        ).catch(() => undefined)
      : undefined;
    if (fetched === undefined) {
      throw new SealdropError(
        'file-lost',
        `the files are needed again: this browser has no copy of them${kept ? ', and no miner gives them' : ', and the page was loaded anew since'}`,
        'Choose the same files again.',
      );
    }
    return { blob: fetched, nodes };
  }

  /** What never changes of a file. */
  async contents(id: string): Promise<Contents> {
    const contents = await this.#edges.store.contents(id);
    if (contents === undefined) {
      throw notFound(id);
    }
    return contents;
  }

  /** All files, newest first. */
  async list(): Promise<StoredFile[]> {
    const { store } = this.#edges;
    const folders = await store.folders();
    const unseen = folders.filter(({ id }) => !this.#views.has(id));
    const deals = unseen.length > 0 ? await store.deals() : [];
    for (const { id } of unseen) {
      const { view } = await this.#look(id, deals);
      this.#views.set(id, view);
    }
    const views = folders.flatMap(({ id }) => this.#views.get(id) ?? []);
    return views.sort((a, b) => b.createdAt - a.createdAt);
  }

  /** One file with all that is in it. */
  async details(id: string): Promise<WholeFile | undefined> {
    const { store } = this.#edges;
    if ((await store.folder(id)) === undefined) {
      return undefined;
    }
    const open = this.#open.has(id) ? this.#edges.client.wholeFile(id) : undefined;
    const { view, files, pieces } = open ?? (await this.#look(id, await store.deals()));
    const sealed = await this.openings(id);
    const entries = files.map((file, at) => ({ ...file, ...(sealed?.[at] && { plainSize: sealed[at].plainSize }) }));
    // What is under way is known better where it is carried on.
    return { ...(this.#views.get(id) ?? view), files: entries, parts: pieces };
  }

  async #look(id: string, deals: readonly StoredDeal[]): Promise<LookedAt> {
    const [folder, contents] = await Promise.all([this.#edges.store.folder(id), this.contents(id)]);
    if (folder === undefined) {
      throw notFound(id);
    }
    return lookAtFile(folder.state, shownIn(contents), statesFor(contents, deals));
  }

  /** Makes no more deals for a file; those that are under way go on. */
  async stop(id: string): Promise<void> {
    const [state, contents, deals] = await Promise.all([this.#state(id), this.contents(id), this.#edges.store.deals()]);
    await this.#put(id, abandonFile(state, contents.manifest, statesFor(contents, deals)));
  }

  /** Makes deals again for a file that has stopped, of which all may cost `most`. */
  async goOn(id: string, most?: string): Promise<void> {
    await this.#put(id, goOnWithFile(await this.#state(id), most));
  }

  /** What it costs to keep a file once more. */
  async quoteAgain(id: string): Promise<FilesQuote> {
    const [state, { manifest }] = await Promise.all([this.#state(id), this.contents(id)]);
    return this.#edges.client.quoteAgain(state, manifest);
  }

  /** Keeps a file once more whose time is over. */
  async storeAgain(id: string, most: string): Promise<void> {
    await this.#put(id, await this.#edges.client.orderAgain(await this.#state(id), most));
  }

  async #state(id: string): Promise<string> {
    const folder = await this.#edges.store.folder(id);
    if (folder === undefined) {
      throw notFound(id);
    }
    return folder.state;
  }

  async #put(id: string, state: string): Promise<void> {
    const { store, tabs } = this.#edges;
    await store.updateFolder({ id, state });
    await tabs.order({ kind: 'file', id });
  }

  /** Forgets a file with its deals, which must have ended. */
  async remove(id: string, mayForget: (deal: StoredDeal) => void): Promise<readonly string[]> {
    const { store, tabs, copies } = this.#edges;
    if ((await store.folder(id)) === undefined) {
      throw notFound(id);
    }
    const deals = await store.dealsOf(id);
    for (const deal of deals) {
      mayForget(deal);
    }
    const ids = deals.map((deal) => deal.id);
    await store.removeFolder(id, ids);
    await copies.remove(id);
    this.forget(id);
    tabs.tell({ kind: 'fileRemoved', id });
    await tabs.order({ kind: 'file', id });
    return ids;
  }

  /** A file was removed, here or in another tab. */
  forget(id: string): void {
    this.#views.delete(id);
    this.#problems.delete(id);
    this.#placing.goOnNow(id);
    this.#dropped.delete(id);
    this.#open.delete(id);
    this.#edges.sources.forget(id);
    this.#edges.client.closeFile(id);
  }

  /** Where a range of a file lies in its pieces; in windows, the reads that it is fetched in, the first of them where they are many. */
  async spans(id: string, path?: string, range?: Extent, windows = false): Promise<FileSpans> {
    return fileSpans(shownIn(await this.contents(id)), path, range?.[0] ?? 0, range?.[1], windows);
  }

  /** The deals about a piece. */
  async dealsAbout(dataCid: string): Promise<Holder[]> {
    const { store, current } = this.#edges;
    const deals = await store.dealsAbout(dataCid);
    return deals.map((deal) => ({ state: deal.state, view: current(deal) }));
  }

  /** What opens the files of one that is stored encrypted, in their order. */
  async openings(id: string): Promise<readonly FileOpening[] | undefined> {
    return (await this.#edges.store.contents(id))?.sealed?.files;
  }

  /** What opens one of them. */
  async opening(id: string, path?: string): Promise<FileOpening | undefined> {
    const contents = await this.#edges.store.contents(id);
    return contents?.sealed?.files[fileSpans(shownIn(contents), path, 0, 0, false).at];
  }

  /** A piece from whichever miner has it, checked. */
  async fetchPiece(dataCid: string, onBytes: (done: number) => void, stopped: () => boolean): Promise<Blob> {
    const known = await this.dealsAbout(dataCid);
    return fetchFromAny(known, (state) => this.#edges.fetch(state, onBytes, stopped), onBytes);
  }

  /** Does nothing more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#placing.close();
  }
}

/** Where a file is, and what it was when it was hashed. */
function diskOf(blob: Blob, handle: FileSystemFileHandle | undefined): FileOnDisk | undefined {
  return handle && blob instanceof File ? { handle, size: blob.size, lastModified: blob.lastModified } : undefined;
}

/** The manifest under the names that the files have here. */
function shownIn({ manifest, sealed }: Contents): Uint8Array {
  return sealed?.shown ?? manifest;
}

/** The states of the deals that may count for a file. */
function statesFor({ id, data }: Contents, deals: readonly StoredDeal[]): string[] {
  const own = new Set(data);
  return deals.filter(({ view }) => view.partOf === id || own.has(view.dataCid)).map(({ state }) => state);
}

/** What it is that the browser has no room for. How much there is, browsers do not tell a page exactly. */
function noRoom(thrown: unknown, size: number): unknown {
  if (!(thrown instanceof DOMException) || thrown.name !== 'QuotaExceededError') {
    return thrown;
  }
  return new SealdropError(
    'storage',
    `the browser keeps a copy of what is stored until the miners have it, and has no room for ${Math.ceil(size / 2 ** 20)} MiB`,
    'Free some disk space, remove finished deals, or store the files in parts. Nothing was kept, and nothing paid.',
  );
}

function notFound(id: string): SealdropError {
  return new SealdropError('not-found', `there is no file ${id} in this browser`);
}
