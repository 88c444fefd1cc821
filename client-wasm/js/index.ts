/**
 * Sealdrop's storage client for the browser.
 *
 * ```ts
 * const client = await Sealdrop.open({ chain: 'http://127.0.0.1:4403/rpc' });
 * const piece = await client.prepare(file);
 * const [miner] = await client.miners();
 * const deal = await client.store(file, piece, miner, { duration: 2000 });
 * client.on('deal', (deal) => console.log(deal.name, deal.step));
 * ```
 */

import { SealdropError } from './errors.js';
import { lookInto, retrieveFile } from './foreign.js';
import { withKeys } from './keys.js';
import { Link } from './link.js';
import { resumePiece } from './pieces.js';
import { allowFiles, orderOf, prepareFiles, storeRequest, supplyFiles } from './preparing.js';
import { rangeStream } from './ranges-stream.js';
import type {
  Answer,
  Deal,
  Drilled,
  Events,
  Explanation,
  FilesInput,
  FilesOrder,
  FilesQuote,
  MinerInfo,
  MinerRule,
  NetworkInfo,
  NewKey,
  OpenedFile,
  OpenOptions,
  OpenWith,
  PageLink,
  Payments,
  Piece,
  Prepared,
  PrepareOptions,
  Quote,
  RetrieveOptions,
  Route,
  RunOptions,
  StoredFile,
  StoreFilesOptions,
  StoreOptions,
  Survey,
  SurveyOptions,
  Verification,
  Voucher,
  WholeFile,
} from './types.js';
import type { ProofEvidence } from './verify-types.js';

export { SealdropError } from './errors.js';
export { computeFiles } from './files.js';
export { computePiece, resumePiece } from './pieces.js';
export * from './types.js';
export type * from './verify-types.js';

/**
 * Reads a link that opens a page at a miner or a chain (`https://page.example/#/miner=t2…&chain=https://…`), or what stands
 * behind its `#`; undefined when it is none. A link is a stranger's word: ask before you use a chain that you do not know. Throws
 * `bad-argument` for one that is damaged.
 */
export async function readLink(text: string): Promise<PageLink | undefined> {
  const link = new Link();
  try {
    return await link.call('readLink', [text]);
  } finally {
    link.end(new SealdropError('closed', 'the link was read'));
  }
}

/** The root key's database when the page names none. */
const DATABASE = 'sealdrop';

/** A client: an account on a chain, and the deals that this browser made with it. */
export class Sealdrop {
  /** The account's address, `t1…`. Each network has another one: what is signed on one must not count on another. */
  readonly address: string;
  /**
   * False for an account that an earlier version of this package left: it is used where it was used before, and what it signs
   * there may count on other networks on which it was used.
   */
  readonly bound: boolean;
  readonly #link: Link;

  private constructor(link: Link, address: string, bound: boolean) {
    this.#link = link;
    this.address = address;
    this.bound = bound;
  }

  /**
   * Starts the network worker, derives the network's account from this browser's root key, which is made at the first time, and resumes unfinished deals.
   *
   * Of several tabs of one page one carries the deals on; the others show them and can start new ones.
   * Throws `chain-unreachable` when the chain does not answer, and `unsupported` when the browser lacks something.
   */
  static async open(options: OpenOptions): Promise<Sealdrop> {
    for (const feature of ['Worker', 'WebAssembly', 'indexedDB', 'BroadcastChannel']) {
      if (!(feature in globalThis)) {
        throw new SealdropError('unsupported', `this browser has no ${feature}`, 'Use a current browser.');
      }
    }
    const link = new Link();
    try {
      const hasPeers = 'RTCPeerConnection' in globalThis;
      const { address, bound } = await link.call('open', [options.chain, options.database ?? DATABASE, hasPeers]);
      return new Sealdrop(link, address, bound);
    } catch (thrown) {
      link.end(new SealdropError('closed', 'the client was not opened'));
      throw thrown;
    }
  }

  /** The network's name, height and rules. */
  network(): Promise<NetworkInfo> {
    return this.#link.call('network', []);
  }

  /** What the account holds, in FIL. */
  balance(): Promise<string> {
    return this.#link.call('balance', []);
  }

  /** Asks a development chain for FIL; resolves when it has arrived. Throws `faucet` when it gives nothing. */
  faucet(): Promise<void> {
    return this.#link.call('faucet', []);
  }

  /** All miners of the network. */
  miners(): Promise<MinerInfo[]> {
    return this.#link.call('miners', []);
  }

  /**
   * Computes a file's names off the main thread, on all cores; after a reload it goes on where it was (`resumePiece`).
   * Throws `empty-file`, `file-unreadable` or `aborted`.
   */
  prepare(file: File | Blob, options: RunOptions = {}): Promise<Piece> {
    return resumePiece(file, options);
  }

  /**
   * How a miner is reached: over which of its addresses, and for each other one why not. `connect` makes a connection first
   * where there is none; without it nothing is sent to the miner.
   */
  route(miner: MinerInfo, { connect = false } = {}): Promise<Route> {
    return this.#link.call('route', [miner.address, connect]);
  }

  /** What storing a piece for `duration` blocks costs, and whether the miner's own rules allow it; costs nothing. */
  quote(piece: Piece, miner: MinerInfo, duration: number): Promise<Quote> {
    return this.#link.call('quote', [piece, miner.address, duration]);
  }

  /**
   * Asks miners whether they would take a deal now, and says whom `rule` takes: the cheapest, the nearest, or the one with the
   * fewest deals of this browser (`spread`). Asks about `piece` for `duration` blocks, or else about an ordinary deal. Costs
   * nothing; at most 32 miners are asked, each is waited for for three seconds.
   */
  survey(rule: MinerRule, { piece, duration = 0 }: SurveyOptions = {}): Promise<Survey> {
    return this.#link.call('survey', [rule, piece?.size ?? 0, duration]);
  }

  /**
   * Starts a deal; resolves once it is kept in this browser, before anything is paid. Its way is told by `deal` events.
   *
   * With a rule in place of a miner the first by the rule is taken that takes the deal, and another one should it refuse or be gone
   * before anything is paid; `deal.passedOver` says why. Throws `rejected` when none takes it.
   *
   * Throws, before anything is kept, what `quote` calls a problem, `duplicate` when this browser has a deal with this
   * miner about this file that has not failed, and `miner-unreachable` within 15 seconds.
   */
  store(file: File | Blob, piece: Piece, miner: MinerInfo | MinerRule, options: StoreOptions): Promise<Deal> {
    const name = options.name ?? ('name' in file ? file.name : 'unnamed');
    const { duration, allowDuplicates = false } = options;
    return this.#link.call('store', [
      { file, name, piece, miner: typeof miner === 'string' ? miner : miner.address, duration, allowDuplicates },
    ]);
  }

  /**
   * Computes the names of files of any size off the main thread, on all cores, cut for the sectors that `copies` miners have; after a
   * reload it goes on where it was. One file stays itself; several are a folder, with the paths that they were chosen by.
   * Throws `bad-argument` for names that cannot be stored, `file-too-large`, `file-unreadable` or `aborted`.
   */
  prepareFiles(input: FilesInput, options: PrepareOptions = {}): Promise<Prepared> {
    return prepareFiles(this.#link, input, options);
  }

  /** What keeping files costs: one quote for all deals of all pieces. Costs nothing. */
  quoteFiles(prepared: Prepared, order: FilesOrder): Promise<FilesQuote> {
    return this.#link.call('quoteFiles', [prepared.manifest, orderOf(order)]);
  }

  /**
   * Keeps files: each piece in deals of its own with `copies` miners, which together never cost more than `most`. Resolves once they are
   * kept in this browser, before anything is paid; their way is told by `file` events, and that of each deal by `deal` events.
   *
   * The browser holds a copy of the files until the miners have all of it, so that a reload or a closed tab loses nothing, unless `keep`
   * is `reference`. Throws `storage` where there is no room for that, `duplicate` when the files are kept already, and `file-lost` when one has changed since
   * it was prepared.
   */
  async storeFiles(prepared: Prepared, input: FilesInput, order: StoreFilesOptions): Promise<StoredFile> {
    return this.#link.call('storeFiles', [storeRequest(prepared, input, order)]);
  }

  /**
   * Hands the files of one that was stored with `keep: 'reference'` in again after a reload: its `problem`, or the `error` of its deals, is
   * `file-lost` then. They are hashed first; throws `file-lost` when they are not the same.
   */
  supplyFiles(id: string, input: FilesInput, options: RunOptions = {}): Promise<void> {
    return supplyFiles(this.#link, id, input, options);
  }

  /**
   * Goes on with a file that was stored by reference, after a reload, where it is known where its files are on the disk: the browser asks its user, so
   * this has to be called as an answer to a click. False when they are to be chosen again (`supplyFiles`).
   */
  allowFiles(id: string): Promise<boolean> {
    return allowFiles(this.#link, id);
  }

  /** All files and folders that were stored by `storeFiles`, newest first. */
  files(): Promise<StoredFile[]> {
    return this.#link.call('files', []);
  }

  /** One file or folder with all that is in it. */
  file(id: string): Promise<WholeFile | undefined> {
    return this.#link.call('file', [id]);
  }

  /**
   * Fetches some bytes of one copy of a file from its miner, to see whether they come back; undefined while no copy is kept. While the page is
   * open that is done by itself, once an hour. A copy that fails three times in a row is lost, and replaced where the order has `repair`.
   * Throws what hinders it on this side.
   */
  drill(id: string): Promise<Drilled | undefined> {
    return this.#link.call('drill', [id]);
  }

  /** Makes no more deals for a file, and gives up those under way. What is kept stays. */
  giveUpFile(id: string): Promise<void> {
    return this.#link.call('giveUpFile', [id]);
  }

  /** Makes deals again for a file that has stopped; with `most`, all of them may cost so much FIL together. */
  resumeFile(id: string, most?: string): Promise<void> {
    return this.#link.call('resumeFile', [id, ...(most === undefined ? [] : [most])] as [string, string?]);
  }

  /** What it costs to keep a file once more whose time is over (`ends`), in the same way and for as long. Costs nothing. */
  quoteAgain(id: string): Promise<FilesQuote> {
    return this.#link.call('quoteAgain', [id]);
  }

  /**
   * Keeps a file once more whose time is over, in the same way and for as long; all new deals together never cost more than `most` FIL.
   * Its bytes are taken from this browser or from the miners; where neither has them, `problem` is `file-lost` until `supplyFiles`.
   */
  storeAgain(id: string, most: string): Promise<void> {
    return this.#link.call('storeAgain', [id, most]);
  }

  /** Forgets a file with its deals, all of which must have ended: throws `busy` and `refund-pending` as `remove` does. */
  removeFile(id: string): Promise<void> {
    return this.#link.call('removeFile', [id]);
  }

  /**
   * Fetches a file, or a range of it, as a stream; of a folder, the file at `path`. Each piece is checked as a whole before its bytes are
   * handed out, and fetched from another of its miners when one does not have it. Of a range only the leaves of 1 MiB are fetched that it
   * lies in, over HTTP, each checked before it is handed out; where no miner gives ranges to this page, whole pieces come as well. Read it with a reader, `for await` or `pipeTo`: what
   * browsers make of a stream that fails in `new Response(stream)` has no code.
   *
   * What is encrypted is decrypted by what this browser kept of it, else with `identity` or `passphrase`; of a range, only the chunks that it
   * lies in are fetched. With `raw` the ciphertext comes, which `age -d` reads. A file that is not of this browser is asked of all miners.
   * The stream fails with `retrieval-failed` or `retrieval-corrupt` when none of a piece's miners gives it, with `not-stored-yet`, and with
   * `decryption` when the key does not open it.
   */
  retrieveFile(id: string, path?: string, options: RetrieveOptions = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    return retrieveFile(this.#link, id, path, options);
  }

  /**
   * What is in a file or folder, also in one that is not of this browser, whose manifest is asked of all miners. Names that are encrypted
   * are opened with `identity` or `passphrase`. Throws `not-found` when no miner has the manifest, and `decryption`.
   */
  openFile(id: string, key: OpenWith = {}): Promise<OpenedFile> {
    return lookInto(this.#link, id, key);
  }

  /** A fresh key for `prepareFiles`. Nothing of it is kept here: offer its identity for safekeeping before anything is stored. */
  newKey(): Promise<NewKey> {
    return withKeys('newIdentity');
  }

  /** All deals, newest first. */
  deals(): Promise<Deal[]> {
    return this.#link.call('deals', []);
  }

  /** One deal. */
  deal(id: string): Promise<Deal | undefined> {
    return this.#link.call('deal', [id]);
  }

  /** Tries a working deal again now, or draws a failed one up anew. Throws `file-lost` when its file is gone. */
  retry(id: string): Promise<void> {
    return this.#link.call('retry', [id]);
  }

  /**
   * Gives a working deal up: it becomes `failed` once no step of it is half done, and what was set aside comes back. A deal
   * whose time is over is given up by itself. Throws `not-working` for one that is complete or has failed.
   */
  giveUp(id: string): Promise<void> {
    return this.#link.call('giveUp', [id]);
  }

  /**
   * Forgets a deal that is complete or has failed. Throws `busy` for one under way, and `refund-pending` while money of
   * it may still come, from a failed attempt or from a complete deal's channel: forgotten, it would stay where it is.
   */
  remove(id: string): Promise<void> {
    return this.#link.call('remove', [id]);
  }

  /**
   * Fetches a deal's file from its miner, which may give it before it has sealed it. Throws `retrieval-failed` when it does
   * not, and `retrieval-corrupt` when what comes is not the file.
   */
  retrieve(id: string, options: RunOptions = {}): Promise<Blob> {
    return this.#link.call('retrieve', [id], options);
  }

  /** A deal's file, or a range of it, as a stream: as `retrieveFile` with a range does it. Fails as `retrieve` does. */
  retrieveRange(id: string, options: RetrieveOptions = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    const link = this.#link;
    return rangeStream(
      {
        windows: (range) => link.call('dealWindows', [id, range]),
        read: (window, running) => link.call('retrieveRange', [window], running),
      },
      options,
    );
  }

  /** Checks a complete deal against the chain, without trusting the miner. */
  verify(id: string): Promise<Verification> {
    return this.#link.call('verify', [id]);
  }

  /**
   * The proofs of a complete deal's sector on the chain, with all that they claim, gathered from the chain and never from the miner: check them
   * with `ProofChecker` of `sealdrop-client/verify`.
   */
  evidence(id: string): Promise<ProofEvidence> {
    return this.#link.call('evidence', [id]);
  }

  /** Asks a deal's miner how it stands, and checks the answer's signature; the deal is brought up to date with it. */
  query(id: string): Promise<Answer> {
    return this.#link.call('query', [id]);
  }

  /**
   * Why a deal is not done and when it will be, as far as this browser and the deal's miner know. A miner or a chain that
   * cannot be reached is one of the causes, not an error. For showing: unlike `query`, the miner's words are not signed.
   */
  explain(id: string): Promise<Explanation> {
    return this.#link.call('explain', [id]);
  }

  /** How a deal is paid: its channel and vouchers, what is due and what was redeemed. */
  payments(id: string): Promise<Payments> {
    return this.#link.call('payments', [id]);
  }

  /** A deal's vouchers as text, one a line; empty for a free deal, before it is signed, and after it failed. */
  exportVouchers(id: string): Promise<string> {
    return this.#link.call('exportVouchers', [id]);
  }

  /**
   * Reads vouchers, of any payer, from text with spaces or line breaks between them, and looks up how they stand.
   * Nothing is kept. Throws `bad-argument` when one cannot be read.
   */
  importVouchers(text: string): Promise<Voucher[]> {
    return this.#link.call('importVouchers', [text]);
  }

  /** Calls `listener` with every event of a kind; the returned function ends that. */
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    return this.#link.on(event, listener);
  }

  /** Ends the client. Deals go on when it is opened again, or in another tab. */
  async close(): Promise<void> {
    try {
      await this.#link.call('close', []);
    } finally {
      this.#link.end(new SealdropError('closed', 'the client is closed', 'Open it again.'));
    }
  }
}
