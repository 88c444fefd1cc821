/**
 * The network worker: loads the Rust client, keeps what it wants kept, and answers the page.
 *
 * All of chain, libp2p and deals runs here, so that the page stays quick and a hidden tab goes on transferring.
 */

import { fetchLeaves } from './downloads.js';
import { Drilling } from './drilling.js';
import { engine } from './engine.js';
import { causeOf, problemOf, SealdropError } from './errors.js';
import { existingDeals } from './existing.js';
import { fetch, progressOf } from './fetching.js';
import { Folders } from './folders.js';
import { refuseToForget } from './forgetting.js';
import { watchHead } from './heads.js';
import { takeWasmFolder } from './host.js';
import { reachInPage } from './in-page.js';
import { abortedError } from './meter.js';
import { OpfsCopies } from './opfs.js';
import { freshId } from './placing.js';
import type {
  Calls,
  FromNetwork,
  OpenRequest,
  PieceSpan,
  StoreFilesRequest,
  StoreRequest,
  ToNetwork,
} from './protocol.js';
import { Ranges } from './ranges.js';
import { Serving } from './serving.js';
import { Signing } from './signing.js';
import { Sources } from './sources.js';
import type { Deals, StoredDeal } from './store.js';
import { type Stores, storesOf } from './stores.js';
import { Strangers } from './strangers.js';
import { surroundings, type Transports } from './surroundings.js';
import { type TabMessage, type TabOrder, Tabs } from './tabs.js';
import type { Account, Deal, StoredFile } from './types.js';
import { checkPiece } from './unchanged.js';
import { askMiner } from './uploads.js';
import {
  accountKey,
  Client,
  type Host,
  judgeReceipt,
  makeManifest,
  networkId,
  pieceWindows,
  readLink,
  receiptClaims,
  receiptGenesis,
  signerAddress,
} from './wasm/sealdrop_client.js';

/** Milliseconds until resuming is tried again while the chain does not answer. */
const RESUME_WAIT_MS = 3000;

/** What is there once the client is open. */
interface Session {
  readonly client: Client;
  /** Whether what the account signs counts on this network alone. */
  readonly bound: boolean;
  readonly store: Deals;
  readonly tabs: Tabs;
  readonly sources: Sources;
  readonly folders: Folders;
  readonly ranges: Ranges;
  readonly strangers: Strangers;
  readonly drilling: Drilling;
}

let session: Session | undefined;
let closed = false;
/** Where things are kept; also while the client is still being opened. */
let opening: Stores | undefined;
let used: Transports = { hasPeers: false, transports: undefined };
/** The newest view of each deal: progress and connection are not stored. */
const views = new Map<string, Deal>();
/** Calls under way that the page no longer waits for. */
const cancelled = new Set<number>();
const underWay = new Set<number>();

function post(message: FromNetwork, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

function show(view: Deal): void {
  views.set(view.id, view);
  post({ kind: 'event', event: 'deal', value: view });
}

function opened(): Session {
  if (session === undefined) {
    throw new SealdropError('closed', 'the client is not open');
  }
  return session;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function notFound(id: string): SealdropError {
  return new SealdropError('not-found', `there is no deal ${id} in this browser`);
}

async function stored(id: string): Promise<StoredDeal> {
  const deal = await opened().store.deal(id);
  if (deal === undefined) {
    throw notFound(id);
  }
  return deal;
}

/** What miners ask for. */
const serving = new Serving({
  file: (id) => opened().store.file(id),
  deal: (id) => opened().store.deal(id),
  part: (part, dataCid) => opened().sources.part(part, dataCid),
});

/** Whoever has the account's key, where that is elsewhere. */
const signing = new Signing(post);

/** What the Rust module asks of this worker. */
const host: Host = {
  async saveDeal(id, state, view) {
    await opened().store.update({ id, state, view });
    // A retry opens its file anew; of encrypted ones only so many can be open.
    if (view.state === 'failed') serving.forget(id);
  },
  showDeal(view) {
    show(view);
    opened().tabs.tell({ kind: 'deal', view });
  },
  fileChanged(id) {
    opened().folders.changed(id);
  },
  readPiece: (id, offset, length) => serving.read(id, offset, length),
  async dropPiece(id) {
    serving.forget(id);
    await opened().store.dropFile(id);
  },
  message: (purpose) => opened().store.message(purpose),
  saveMessage: (purpose, message) => opened().store.saveMessage(purpose, message),
  dropMessage: (purpose) => opened().store.dropMessage(purpose),
  messages: () => opened().store.messages(),
  sign: (message, typedData) => signing.ask(message, typedData),
  surroundings: () => surroundings(used),
  fetchLeaves: (url, size, limit, sink) => fetchLeaves({ url, size, limit }, sink),
  askMiner: (method, url, token, body, limit, most) =>
    askMiner({
      method,
      url,
      limit,
      most,
      ...(token === undefined ? {} : { token }),
      ...(body === undefined ? {} : { body }),
    }),
  async sendPart(id, from, to, url, token, limit, most) {
    const body = await serving.body(id, from, to);
    return askMiner({ method: 'PUT', url, body, limit, most, ...(token === undefined ? {} : { token }) });
  },
  dialPeer(ip, port, fingerprint) {
    const { port1, port2 } = new MessageChannel();
    post({ kind: 'peer', address: { ip, port, fingerprint }, port: port2 }, [port2]);
    return port1;
  },
};

/** Deals are taken up one after the other: what is read of the store for one, nobody has carried on meanwhile. */
let starting: Promise<unknown> = Promise.resolve();

/** Does something with what is stored of deals when those before are done. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const done = starting.then(work);
  starting = done.catch(() => undefined);
  return done;
}

/** Carries a stored deal on; with a `draft` a failed one anew, and resolves when that is kept. */
async function start(id: string, draft?: string): Promise<void> {
  await (await inTurn(() => takeUp(id, draft))).kept;
}

/** Keeps with a deal that its data came back, unless it is gone. */
async function noteRetrieved(id: string): Promise<void> {
  const { client, store } = opened();
  await inTurn(async () => {
    const deal = await store.deal(id);
    if (deal !== undefined) {
      await client.noteRetrieved(deal.state);
    }
  });
}

/** Nobody is kept waiting by what is still to be kept: it comes wrapped. */
async function takeUp(id: string, draft?: string): Promise<{ kept: Promise<void> | undefined }> {
  const { client, store } = opened();
  if (draft === undefined && client.wake(id)) {
    return { kept: undefined };
  }
  const [deal, file] = await Promise.all([store.deal(id), store.file(id)]);
  const nodes = file?.nodes ?? [];
  if (deal !== undefined && draft !== undefined) {
    return { kept: client.redraw(deal.state, nodes, draft) };
  }
  if (deal !== undefined) {
    client.drive(deal.state, nodes);
  }
  return { kept: undefined };
}

/** Does what only the tab that leads does; resolves when it is kept. */
async function perform(order: TabOrder): Promise<void> {
  if (order.kind === 'start') {
    await start(order.id, order.draft);
  } else if (order.kind === 'file') {
    await opened().folders.reopen(order.id, order.blobs);
  } else if (order.kind === 'retrieved') {
    await noteRetrieved(order.id);
  } else if (!(await opened().client.giveUp(order.id))) {
    throw new SealdropError('busy', 'this deal is just being taken up or has ended', 'Look at it again in a moment.');
  }
}

function forget(id: string): void {
  serving.forget(id);
  views.delete(id);
  opened().client.stop(id);
}

function hear(message: TabMessage): void {
  switch (message.kind) {
    case 'deal':
      show(message.view);
      return;
    case 'removed':
      forget(message.id);
      showRemoved(message.id);
      return;
    case 'file':
      opened().folders.hear(message.view);
      return;
    case 'fileRemoved':
      opened().folders.forget(message.id);
      showRemoved(message.id);
  }
}

function showRemoved(id: string): void {
  post({ kind: 'event', event: 'removed', value: { id } });
}

function report(thrown: unknown): void {
  post({ kind: 'event', event: 'problem', value: problemOf(thrown) });
}

/** Takes all stored deals up; called when this worker becomes the one that leads. */
async function resume(): Promise<void> {
  // The lock may come before `open` has finished.
  while (session === undefined && !closed) {
    await sleep(10);
  }
  for (;;) {
    if (closed) {
      return;
    }
    try {
      await opened().client.resend();
      break;
    } catch (thrown) {
      report(thrown);
      await sleep(RESUME_WAIT_MS);
    }
  }
  for (const deal of await opened().store.deals()) {
    await start(deal.id).catch(report);
  }
  await opened().folders.resume();
  opened().drilling.start();
}

async function open({ chain, store, passphrase, signer, hasPeers, transports }: OpenRequest): Promise<Account> {
  used = { hasPeers, transports };
  const [stores] = await Promise.all([storesOf(store, passphrase), engine()]);
  opening = stores;
  try {
    return await openIn(stores, chain, signer);
  } catch (thrown) {
    stores.close();
    throw thrown;
  }
}

async function openIn(stores: Stores, chain: string, signer: string | undefined): Promise<Account> {
  const { root, older } = await stores.accountKeys();
  const genesis = await networkId(chain, host);
  // Deals and the account belong to one network: on a devnet that was made anew they would mean nothing. Each signer has its own.
  const payer = signer === undefined ? undefined : signerAddress(signer);
  const book = payer === undefined ? genesis : `${genesis}-${payer}`;
  const name = `${stores.name}@${book}`;
  const store = await stores.open(book);
  // What a wallet signs names its network. What other signers sign is the message alone, as with a key of an earlier version.
  const own = store.bound || older === undefined ? accountKey(root, genesis) : older;
  const bound = payer === undefined ? own !== older : payer.startsWith('t4');
  const client =
    payer === undefined ? new Client(chain, own, host) : Client.withSigner(chain, root, genesis, payer, host);
  const tabs = new Tabs(name, () => void resume().catch(report), perform, hear);
  const sources = new Sources(store);
  const folders = new Folders({
    client,
    store,
    sources,
    copies: new OpfsCopies(name),
    tabs,
    start,
    readAnew: (id) => serving.forget(id),
    showDeal: show,
    showFile: (value) => post({ kind: 'event', event: 'file', value }),
    current,
    fetch: (state, onBytes, stopped) => fetch(client, state, onBytes, stopped),
  });
  const strangers = new Strangers({ client, store, folders });
  const ranges = new Ranges({
    client,
    deals: (dataCid) => folders.dealsAbout(dataCid),
    whole: (dataCid, size, stopped) => wholePiece([dataCid, size], () => undefined, stopped),
  });
  const drilling = new Drilling({
    client,
    store,
    open: () => folders.open(),
    keep: (id, state) => folders.drilled(id, state),
    fetch: (state, stopped) => fetch(client, state, () => undefined, stopped),
  });
  session = { client, bound, store, tabs, sources, folders, ranges, strangers, drilling };
  void watchHead(client, post, () => closed);
  return { address: client.address(), bound };
}

async function store(call: number, request: StoreRequest): Promise<Deal> {
  const { client, store: deals, tabs } = opened();
  const { file, name, piece, miner, duration, allowDuplicates, most } = request;
  await checkPiece(file, piece);
  const id = freshId();
  const { size, commP, dataCid } = piece;
  const existing = await existingDeals(deals);
  const draft = {
    id,
    name,
    type: file.type,
    piece: { size, commP, dataCid },
    miner,
    duration,
    allowDuplicates,
    most,
    existing,
  };
  const { state, view } = await client.draft(draft);
  await deals.create({ id, state, view }, { id, blob: file, nodes: piece.nodes });
  // From here on it is paid, whoever waits for it.
  if (cancelled.has(call)) {
    await deals.remove(id);
    throw abortedError();
  }
  host.showDeal(view);
  // It is kept already: whichever tab leads next takes it up.
  tabs.order({ kind: 'start', id }).catch(report);
  return view;
}

/** A stored deal as the page sees it now. */
function current(deal: StoredDeal): Deal {
  const known = views.get(deal.id);
  if (known !== undefined) {
    return known;
  }
  // What an earlier version kept knows of no refunds and no rules.
  const {
    refunds = [],
    passedOver = [],
    refunding = refunds.some((refund) => refund.state !== 'returned'),
  } = deal.view;
  const forgettable = opened().client.mayBeForgotten(deal.state);
  return { ...deal.view, refunds, refunding, passedOver, forgettable, connected: false };
}

async function retry(id: string, most?: string): Promise<void> {
  const { client, store: deals, tabs } = opened();
  const deal = await stored(id);
  if (deal.view.state !== 'failed') {
    return tabs.order({ kind: 'start', id });
  }
  if ((await deals.file(id)) === undefined) {
    throw new SealdropError(
      'file-lost',
      'this browser no longer has the file of this deal',
      'Choose the file again and store it in a new deal.',
    );
  }
  // Only whoever carries the deal on writes it: the channel of the failed attempt may be found this very moment.
  return tabs.order({ kind: 'start', id, draft: await client.redraft(deal.state, most) });
}

async function giveUp(id: string): Promise<void> {
  if ((await stored(id)).view.state !== 'working') {
    throw new SealdropError('not-working', 'this deal is not under way', 'A deal that has ended can be forgotten.');
  }
  return opened().tabs.order({ kind: 'giveUp', id });
}

async function remove(id: string): Promise<void> {
  const { store: deals, tabs } = opened();
  const deal = await stored(id);
  mayForget(deal);
  await deals.remove(id);
  forget(id);
  showRemoved(id);
  tabs.tell({ kind: 'removed', id });
  if (deal.view.partOf !== undefined) {
    await tabs.order({ kind: 'file', id: deal.view.partOf });
  }
}

/** Throws why a deal is not forgotten yet. */
function mayForget(deal: StoredDeal): void {
  refuseToForget(current(deal), opened().client.mayBeForgotten(deal.state));
}

/** Gives a file up: no more deals are made, and those under way are given up, too. */
async function giveUpFile(id: string): Promise<void> {
  const { store: deals, folders } = opened();
  await folders.stop(id);
  const working = (await deals.dealsOf(id)).filter(({ view }) => view.state === 'working');
  // All at once: a person who is asked to sign for one would be asked for the next.
  await Promise.all(working.map((deal) => giveUp(deal.id).catch(report)));
}

function storeFiles(call: number, request: StoreFilesRequest): Promise<StoredFile> {
  const size = request.sizes.reduce((sum, size) => sum + size, 0);
  const onBytes = progressOf(post, call, size);
  return opened().folders.create(request, { onBytes, stopped: () => cancelled.has(call) });
}

async function retrieve(call: number, id: string): Promise<Blob> {
  const deal = await stored(id);
  const onBytes = progressOf(post, call, deal.view.size);
  const blob = await fetch(opened().client, deal.state, onBytes, () => cancelled.has(call));
  // The data are here, whatever becomes of the note.
  opened().tabs.order({ kind: 'retrieved', id }).catch(report);
  return blob.slice(0, blob.size, deal.view.type);
}

async function retrievePiece(call: number, dataCid: string, size: number): Promise<Blob> {
  const onBytes = progressOf(post, call, size);
  // The head of an encrypted file may have needed all of its first piece.
  const held = await opened().ranges.held(dataCid);
  if (held?.size === size) {
    onBytes(size);
    return held;
  }
  return wholePiece([dataCid, size], onBytes, () => cancelled.has(call));
}

/** A piece of this browser's deals or of anybody's, checked. */
async function wholePiece(
  [dataCid, size]: readonly [string, number],
  onBytes: (done: number) => void,
  stopped: () => boolean,
): Promise<Blob> {
  const { folders, strangers } = opened();
  return (await strangers.piece(dataCid, size, onBytes, stopped)) ?? folders.fetchPiece(dataCid, onBytes, stopped);
}

async function close(): Promise<void> {
  closed = true;
  if (session !== undefined) {
    const { client, store: deals, tabs, folders, drilling } = session;
    drilling.stop();
    folders.close();
    // What is kept is taken up by the next one who leads.
    for (const id of views.keys()) {
      client.stop(id);
    }
    tabs.leave();
    deals.close();
  }
  opening?.close();
}

/** The functions that the page calls, but for those which need to know their call. */
const calls: Omit<Calls, 'store' | 'storeFiles' | 'retrieve' | 'retrievePiece' | 'retrieveRange'> = {
  open,
  close,
  retry,
  giveUp,
  remove,
  network: () => opened().client.network(),
  balance: () => opened().client.balance(),
  faucet: () => opened().client.faucet(),
  miners: () => opened().client.miners(),
  async readLink(text) {
    await engine();
    return readLink(text);
  },
  route: (miner, connect) => opened().client.route(miner, connect),
  quote: ({ size, commP, dataCid }, miner, duration) =>
    opened().client.quote({ size, commP, dataCid }, miner, duration),
  async survey(rule, size, duration) {
    const { client, store: deals } = opened();
    return client.survey({ rule, size, duration, existing: await existingDeals(deals) });
  },
  planFiles: (request) => opened().client.planFiles(request),
  makeManifest: async (request) => makeManifest(request, undefined),
  quoteFiles: (manifest, order) => opened().client.quoteFiles(manifest, order),
  supplyFiles: (id, blobs) => opened().folders.supply(id, blobs),
  fileHandles: (id) => opened().store.handles(id),
  files: () => opened().folders.list(),
  file: (id) => opened().folders.details(id),
  async drill(id) {
    await opened().folders.contents(id);
    return opened().drilling.drill(id);
  },
  giveUpFile,
  resumeFile: (id, most) => opened().folders.goOn(id, most),
  quoteAgain: (id) => opened().folders.quoteAgain(id),
  storeAgain: (id, most) => opened().folders.storeAgain(id, most),
  async removeFile(id) {
    for (const deal of await opened().folders.remove(id, mayForget)) {
      forget(deal);
      opened().tabs.tell({ kind: 'removed', id: deal });
    }
    showRemoved(id);
  },
  async dealWindows(id, [from, to]) {
    const { dataCid, size, name } = (await stored(id)).view;
    return { at: 0, path: name, size, spans: pieceWindows(dataCid, size, from, to ?? size) };
  },
  keepKeys: (keys) => opened().store.keepKeys(keys),
  keysAbout: (about) => opened().store.keysAbout(about),
  sealedFiles: (id) => opened().folders.openings(id),
  fileOpening: (id, path) => opened().folders.opening(id, path),
  manifest: (id) => opened().strangers.manifest(id),
  fileSpans: (id, path, range, windows) => opened().strangers.spans(id, path, range, windows),
  async deals() {
    const all = await opened().store.deals();
    return all.map(current).sort((a, b) => b.createdAt - a.createdAt);
  },
  async deal(id) {
    const deal = await opened().store.deal(id);
    return deal && current(deal);
  },
  verify: async (id) => opened().client.verify((await stored(id)).state),
  evidence: async (id) => opened().client.evidence((await stored(id)).state),
  async receipt(id) {
    const { state, view } = await stored(id);
    // Of a deal that was made alone there is no manifest.
    const contents = view.partOf === undefined ? undefined : await opened().folders.contents(view.partOf);
    return new Uint8Array(await opened().client.receipt(state, contents?.manifest));
  },
  async receiptGenesis(receipt) {
    await engine();
    return receiptGenesis(receipt);
  },
  async receiptClaims(receipt) {
    await engine();
    return receiptClaims(receipt);
  },
  async judgeReceipt(receipt, looking) {
    await engine();
    return judgeReceipt(receipt, looking);
  },
  query: async (id) => opened().client.query((await stored(id)).state),
  explain: async (id) => opened().client.explain((await stored(id)).state),
  payments: async (id) => opened().client.payments((await stored(id)).state),
  exportVouchers: async (id) => opened().client.exportVouchers((await stored(id)).state),
  importVouchers: (text) => opened().client.importVouchers(text),
};

async function answer(message: Extract<ToNetwork, { kind: 'call' }>): Promise<unknown> {
  const { id, method, args } = message;
  if (method === 'store') {
    return store(id, args[0] as StoreRequest);
  }
  if (method === 'storeFiles') {
    return storeFiles(id, args[0] as StoreFilesRequest);
  }
  if (method === 'retrieve') {
    return retrieve(id, String(args[0]));
  }
  if (method === 'retrievePiece') {
    return retrievePiece(id, String(args[0]), Number(args[1]));
  }
  if (method === 'retrieveRange') {
    return opened().ranges.read(args[0] as PieceSpan, () => cancelled.has(id));
  }
  // The page's side is typed by the same interface.
  const call = calls[method] as (...args: readonly unknown[]) => Promise<unknown>;
  return call(...args);
}

self.onmessage = async ({ data }: MessageEvent<ToNetwork>) => {
  if (data.kind === 'start') {
    takeWasmFolder(data);
    return;
  }
  if (data.kind === 'inPage') {
    reachInPage(data.port);
    return;
  }
  if (data.kind === 'cancel') {
    if (underWay.has(data.id)) {
      cancelled.add(data.id);
    }
    return;
  }
  if (data.kind === 'signed' || data.kind === 'unsigned') {
    signing.hear(data);
    return;
  }
  const { id } = data;
  underWay.add(id);
  try {
    const value = await answer(data);
    post({ kind: 'value', id, value });
  } catch (thrown) {
    post({ kind: 'problem', id, problem: problemOf(thrown), cause: causeOf(thrown) });
  } finally {
    underWay.delete(id);
    cancelled.delete(id);
  }
};
