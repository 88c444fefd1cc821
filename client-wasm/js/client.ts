/**
 * What a page or a program does with an account on a chain: stores files, follows, checks and takes them back.
 *
 * An id is that of a file (the CID of its manifest) or of one deal; most calls take either.
 */

import { formatFil, parseFil } from './amounts.js';
import { SealdropError } from './errors.js';
import { withKeys } from './keys.js';
import { OpenedEngine } from './opened.js';
import { allowFiles, minerOf, orderOf, prepareFiles, supplyFiles } from './preparing.js';
import { rangeStream } from './ranges-stream.js';
import { moduleOf, passportOf } from './receipts.js';
import { spool } from './spooling.js';
import { isPiece, type Storing, store } from './storing.js';
import { Told } from './told.js';
import type {
  Account,
  Answer,
  CallOptions,
  ClientOptions,
  Deal,
  DealOrder,
  Drilled,
  Events,
  Explanation,
  FilesInput,
  FilesQuote,
  Input,
  MinerInfo,
  MinerRule,
  NetworkInfo,
  NewKey,
  OpenedFile,
  OpenWith,
  Order,
  Passport,
  Payments,
  Piece,
  Prepared,
  PrepareOptions,
  Quote,
  RetrieveOptions,
  Route,
  RunOptions,
  StoredFile,
  StoreOptions,
  Survey,
  SurveyOptions,
  Verification,
  Voucher,
  WatchEvent,
  WholeFile,
} from './types.js';
import type { ProofEvidence } from './verify-types.js';
import { whenRead } from './when-read.js';
import { worstOf } from './worst.js';

/** What it is that a stream hands out. */
type Bytes = Uint8Array<ArrayBuffer>;

/** Makes a client. Nothing is started, loaded or asked before its first call. */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

/** The client's account. */
export interface Wallet {
  /** Whom the client signs as. Opens the client: throws `chain-unreachable` and what else hinders that. */
  account(options?: CallOptions): Promise<Account>;
  /** What the account holds, in attoFIL. */
  balance(options?: CallOptions): Promise<bigint>;
  /** Asks a development chain for FIL; resolves when it has arrived. Throws `faucet` when it gives nothing. */
  faucet(options?: CallOptions): Promise<void>;
}

/** A client: an account on a chain, and the files and deals that were made with it. Made by `createClient`. */
export class Client {
  readonly wallet: Wallet;
  readonly #engine: OpenedEngine;

  /** @internal */
  constructor(options: ClientOptions) {
    const engine = new OpenedEngine(options);
    this.#engine = engine;
    this.wallet = {
      account: (options) => engine.account(options),
      balance: async (options) => parseFil(await engine.call('balance', [], options)),
      faucet: (options) => engine.call('faucet', [], options),
    };
  }

  /** The network's name, height and rules. */
  network(options?: CallOptions): Promise<NetworkInfo> {
    return this.#engine.call('network', [], options);
  }

  /** All miners of the network. */
  miners(options?: CallOptions): Promise<MinerInfo[]> {
    return this.#engine.call('miners', [], options);
  }

  /**
   * How a miner is reached: over which of its addresses, and for each other one why not. `connect` makes a connection first
   * where there is none; without it nothing is sent to the miner.
   */
  route(miner: MinerInfo | string, options: CallOptions & { readonly connect?: boolean } = {}): Promise<Route> {
    return this.#engine.call('route', [minerOf(miner), options.connect ?? false], options);
  }

  /**
   * Asks miners whether they would take a deal now, and says whom `rule` takes: the cheapest, the nearest, or the one with the
   * fewest deals of this client (`spread`). Asks about `piece` for `duration` blocks, or else about an ordinary deal. Costs
   * nothing; at most 32 miners are asked, each is waited for for three seconds.
   */
  survey(rule: MinerRule, options: SurveyOptions = {}): Promise<Survey> {
    const { piece, duration = 0 } = options;
    return this.#engine.call('survey', [rule, piece?.size ?? 0, duration], options);
  }

  /**
   * Computes the names of files of any size off the main thread, on all cores, cut for the sectors that `copies` miners have; after a
   * reload it goes on where it was. One file stays itself; several are a folder, with the paths that they were chosen by. Sends nothing to
   * anybody. A stream cannot be prepared, because it comes only once: hand it to `store`.
   * Throws `bad-argument` for names that cannot be stored, `file-too-large`, `file-unreadable` or `aborted`.
   */
  async prepare(
    input: Exclude<Input, ReadableStream | AsyncIterable<Uint8Array>>,
    options: PrepareOptions = {},
  ): Promise<Prepared> {
    const { files } = await spool(input, options);
    return prepareFiles(this.#engine, files, { miner: this.#engine.miners, ...options });
  }

  /**
   * What keeping files costs: one quote for all deals of all pieces; of a piece that was hashed alone, for the deal with this miner. A
   * `problem` in it says why it cannot be. Costs nothing.
   */
  quote(prepared: Prepared, order: Order, options?: CallOptions): Promise<FilesQuote>;
  quote(piece: Piece, order: DealOrder, options?: CallOptions): Promise<Quote>;
  quote(prepared: Prepared | Piece, order: Order | DealOrder, options?: CallOptions): Promise<FilesQuote | Quote> {
    const { miner = this.#engine.miners } = order;
    return isPiece(prepared)
      ? this.#engine.call('quote', [prepared, minerOf(miner), order.duration], options)
      : this.#engine.call('quoteFiles', [prepared.manifest, orderOf({ ...order, miner })], options);
  }

  /**
   * Stores a file, several, a folder, bytes or a stream: hashes it, asks what it costs, makes the deals, and follows them. Await it for
   * what was stored, read its events with `for await`, or both.
   *
   * All deals together never cost more than `most`; where that is left out, what the quote says at most, once `confirm` has agreed. The
   * client carries an order on over reloads and crashes until the miners have all of it, from a copy of the files, unless `keep` is
   * `reference`.
   *
   * Throws what the quote calls a problem, `storage` where there is no room for the copy, `duplicate` when it is kept already, `file-lost` when a
   * file has changed meanwhile, `deal-failed` when no miner keeps it, and `aborted`.
   */
  store(input: Input, options: StoreOptions): Storing {
    return store(this.#engine, input, options);
  }

  /** All files and folders, newest first. */
  files(options?: CallOptions): Promise<StoredFile[]> {
    return this.#engine.call('files', [], options);
  }

  /** One file or folder with all that is in it. */
  file(id: string, options?: CallOptions): Promise<WholeFile | undefined> {
    return this.#engine.call('file', [id], options);
  }

  /** All deals, newest first. */
  deals(options?: CallOptions): Promise<Deal[]> {
    return this.#engine.call('deals', [], options);
  }

  /** One deal. */
  deal(id: string, options?: CallOptions): Promise<Deal | undefined> {
    return this.#engine.call('deal', [id], options);
  }

  /**
   * What happens, as it happens: to one file with its deals, or to one deal, beginning with how it is now; without an id, to everything. Ends
   * with the signal, with the loop, with the client, and when what it is about is forgotten. Of news about the same thing only the newest waits for a slow reader.
   */
  async *watch(id?: string, options: CallOptions = {}): AsyncGenerator<WatchEvent, void> {
    const told = new Told<WatchEvent>();
    const concerns = (deal: Deal): boolean => id === undefined || deal.id === id || deal.partOf === id;
    const showDeal = (deal: Deal): void => told.tell(`deal ${deal.id}`, { type: 'deal', deal });
    const showFile = (file: StoredFile): void => told.tell(`file ${file.file}`, { type: 'file', file });
    const end = (): void => told.end();
    const stops = [
      this.on('deal', (deal) => concerns(deal) && showDeal(deal)),
      this.on('file', (file) => (id === undefined || file.file === id) && showFile(file)),
      this.#engine.whenClosed(end),
      () => options.signal?.removeEventListener('abort', end),
    ];
    stops.push(
      this.on('removed', ({ id: gone }) => {
        if (id === undefined || id === gone) {
          told.tell(`removed ${gone}`, { type: 'removed', id: gone });
        }
        if (id === gone) {
          end();
        }
      }),
    );
    if (id === undefined) {
      stops.push(this.on('head', (head) => told.tell('head', { type: 'head', head })));
      stops.push(this.on('problem', (problem) => told.tell(`problem ${problem.code}`, { type: 'problem', problem })));
    }
    options.signal?.addEventListener('abort', end, { once: true });
    try {
      if (options.signal?.aborted) {
        return;
      }
      if (id === undefined) {
        await this.#engine.account(options);
      } else if (isDealId(id)) {
        showDeal(await this.#found(id, this.deal(id, options)));
      } else {
        showFile(await this.#found(id, this.file(id, options)));
      }
      yield* told.read();
    } catch (thrown) {
      if (!(thrown instanceof SealdropError) || thrown.code !== 'aborted') {
        throw thrown;
      }
    } finally {
      for (const stop of stops) {
        stop();
      }
    }
  }

  /** Calls `listener` with every event of a kind; the returned function ends that. Opens nothing. */
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    return this.#engine.on(event, listener);
  }

  /**
   * Why a deal is not done and when it will be, as far as this client and the deal's miner know; of a file, the deal that is least far. A
   * miner or a chain that cannot be reached is one of the causes, not an error. For showing: unlike `query`, the miner's words are not signed.
   */
  async explain(id: string, options?: CallOptions): Promise<Explanation> {
    if (isDealId(id)) {
      return this.#engine.call('explain', [id], options);
    }
    const deals = await this.#dealsOf(id, options);
    const [last] = deals.sort((a, b) => rank(a) - rank(b));
    if (last === undefined) {
      throw new SealdropError('not-found', `no deal was made for ${id} so far`, 'Look at its `problem` and `stopped`.');
    }
    return this.#engine.call('explain', [last.id], options);
  }

  /** Checks a complete deal against the chain, without trusting the miner; of a file, all of its complete deals, each part at its worst. */
  async verify(id: string, options?: CallOptions): Promise<Verification> {
    if (isDealId(id)) {
      return this.#engine.call('verify', [id], options);
    }
    const complete = (await this.#dealsOf(id, options)).filter(({ state }) => state === 'complete');
    const all = await Promise.all(complete.map((deal) => this.#engine.call('verify', [deal.id], options)));
    const [first, ...others] = all;
    if (first === undefined) {
      throw new SealdropError('not-stored-yet', `no deal about ${id} is complete`, 'Wait until one is.');
    }
    return others.reduce(worstOf, first);
  }

  /**
   * The proofs of a complete deal's sector on the chain, with all that they claim, gathered from the chain and never from the miner: check them
   * with `ProofChecker` of `sealdrop-client/verify`.
   */
  evidence(id: string, options?: CallOptions): Promise<ProofEvidence> {
    return this.#engine.call('evidence', [id], options);
  }

  /**
   * Everything that shows a deal, in one small file that anybody can check without a network (`verifyReceipt`): proposal, answers, messages with
   * the signed headers of their blocks, proofs. What the chain keeps no more of is left out. Throws `not-stored-yet` before it is signed.
   */
  async receipt(id: string, options?: CallOptions): Promise<Blob> {
    const bytes = await this.#engine.call('receipt', [id], options);
    return new Blob([bytes], { type: 'application/vnd.ipld.dag-cbor' });
  }

  /** Each of a deal's fifteen steps, with whose word it stands on and what shows it; the deal's proofs are checked here. */
  async passport(id: string, options?: CallOptions): Promise<Passport> {
    const engine = this.#engine;
    const receipt = await engine.call('receipt', [id], options);
    return passportOf(moduleOf(engine, options), receipt, true, options);
  }

  /** Asks a deal's miner how it stands, and checks the answer's signature; the deal is brought up to date with it. */
  query(id: string, options?: CallOptions): Promise<Answer> {
    return this.#engine.call('query', [id], options);
  }

  /**
   * Fetches a file or a deal's piece as a stream, or a range of it; of a folder, the file at `path`. All of it is checked before it is handed
   * out: each piece as a whole, of a range the leaves of 1 MiB that it lies in, which come over HTTP; where no miner gives ranges, whole pieces
   * come. When a miner does not have it, the next one is asked. Read it with a reader, `for await`, `pipeTo` or `toBlob`: what browsers
   * make of a stream that fails in `new Response(stream)` has no code.
   *
   * What is encrypted is decrypted by what this client kept of it, else with `identity` or `passphrase`; with `raw` the ciphertext
   * comes, which `age -d` reads. A file that is not of this client is asked of all miners. The stream fails with `retrieval-failed` or
   * `retrieval-corrupt` when no miner gives it, with `not-stored-yet`, and with `decryption` when the key does not open it.
   */
  retrieve(id: string, options: RetrieveOptions = {}): ReadableStream<Bytes> {
    if (!isDealId(id)) {
      return whenRead(async () => {
        const { retrieveFile } = await import('./foreign.js');
        return retrieveFile(this.#engine, id, options.path, options);
      });
    }
    const engine = this.#engine;
    if (options.range === undefined) {
      return whenRead(async () => {
        const blob = await engine.call('retrieve', [id], options);
        return blob.stream() as ReadableStream<Bytes>;
      });
    }
    return rangeStream(
      {
        windows: (range) => engine.call('dealWindows', [id, range]),
        read: (window, running) => engine.call('retrieveRange', [window], running),
      },
      options,
    );
  }

  /**
   * What is in a file or folder, also in one that is not of this client, whose manifest is asked of all miners. Names that are encrypted
   * are opened with `identity` or `passphrase`. Throws `not-found` when no miner has the manifest, and `decryption`.
   */
  async open(id: string, options: OpenWith & CallOptions = {}): Promise<OpenedFile> {
    const { lookInto } = await import('./foreign.js');
    return lookInto(this.#engine, id, options);
  }

  /** A fresh key for `prepare` and `store`. Nothing of it is kept here: offer its identity for safekeeping before anything is stored. */
  newKey(): Promise<NewKey> {
    return withKeys('newIdentity');
  }

  /**
   * Fetches some bytes of one copy of a file from its miner, to see whether they come back; undefined while no copy is kept. While the client
   * is open that is done by itself, once an hour. A copy that fails three times in a row is lost, and replaced where the order has `repair`.
   * Throws what hinders it on this side.
   */
  drill(id: string, options?: CallOptions): Promise<Drilled | undefined> {
    return this.#engine.call('drill', [id], options);
  }

  /**
   * Tries a working deal again now, or draws a failed one up anew, for `most` attoFIL at most; of a file that has stopped, makes deals again,
   * of which all may cost `most` together. A limit that was given before stays. Throws `file-lost` when the file is gone, and `over-limit`.
   */
  retry(id: string, options: CallOptions & { readonly most?: bigint | undefined } = {}): Promise<void> {
    const limit: readonly [] | readonly [string] = options.most === undefined ? [] : [formatFil(options.most)];
    return this.#engine.call(isDealId(id) ? 'retry' : 'resumeFile', [id, ...limit], options);
  }

  /**
   * Gives up what is under way: a deal becomes `failed` once no step of it is half done, and what was set aside comes back; for a file
   * no more deals are made, and what is kept stays. Throws `not-working` for a deal that is complete or has failed.
   */
  giveUp(id: string, options?: CallOptions): Promise<void> {
    return this.#engine.call(isDealId(id) ? 'giveUp' : 'giveUpFile', [id], options);
  }

  /**
   * Forgets a deal, or a file with its deals, all of which must have ended. Throws `busy` for what is under way, and `refund-pending` while
   * money of it may still come, from a failed attempt or from a complete deal's channel: forgotten, it would stay where it is.
   */
  remove(id: string, options?: CallOptions): Promise<void> {
    return this.#engine.call(isDealId(id) ? 'remove' : 'removeFile', [id], options);
  }

  /**
   * Hands the files of one that was stored with `keep: 'reference'` in again after a reload: its `problem`, or the `error` of its deals, is
   * `file-lost` then. They are hashed first; throws `file-lost` when they are not the same.
   */
  supply(id: string, input: FilesInput, options: RunOptions = {}): Promise<void> {
    return supplyFiles(this.#engine, id, input, options);
  }

  /**
   * Goes on with a file that was stored by reference, after a reload, where it is known where its files are on the disk: the browser asks its user, so
   * this has to be called as an answer to a click. False when they are to be chosen again (`supply`).
   */
  allow(id: string): Promise<boolean> {
    return allowFiles(this.#engine, id);
  }

  /** What it costs to keep a file once more whose time is over (`ends`), in the same way and for as long. Costs nothing. */
  quoteAgain(id: string, options?: CallOptions): Promise<FilesQuote> {
    return this.#engine.call('quoteAgain', [id], options);
  }

  /**
   * Keeps a file once more whose time is over, in the same way and for as long; all new deals together never cost more than `most`.
   * Its bytes are taken from this client or from the miners; where neither has them, `problem` is `file-lost` until `supply`.
   */
  storeAgain(id: string, most: bigint, options?: CallOptions): Promise<void> {
    return this.#engine.call('storeAgain', [id, formatFil(most)], options);
  }

  /** How a deal is paid: its channel and vouchers, what is due and what was redeemed. */
  payments(id: string, options?: CallOptions): Promise<Payments> {
    return this.#engine.call('payments', [id], options);
  }

  /** A deal's vouchers as text, one a line; empty for a free deal, before it is signed, and after it failed. */
  exportVouchers(id: string, options?: CallOptions): Promise<string> {
    return this.#engine.call('exportVouchers', [id], options);
  }

  /**
   * Reads vouchers, of any payer, from text with spaces or line breaks between them, and looks up how they stand.
   * Nothing is kept. Throws `bad-argument` when one cannot be read.
   */
  importVouchers(text: string, options?: CallOptions): Promise<Voucher[]> {
    return this.#engine.call('importVouchers', [text], options);
  }

  /** Ends the client. Deals go on when another one is made with the same store, or in another tab. */
  close(): Promise<void> {
    return this.#engine.close();
  }

  async #dealsOf(id: string, options: CallOptions | undefined): Promise<Deal[]> {
    await this.#found(id, this.file(id, options));
    return (await this.deals(options)).filter(({ partOf }) => partOf === id);
  }

  async #found<T>(id: string, looked: Promise<T | undefined>): Promise<T> {
    const found = await looked;
    if (found === undefined) {
      throw new SealdropError('not-found', `this client has nothing with the id ${id}`);
    }
    return found;
  }
}

/** Whether an id is a deal's; all others are CIDs. */
function isDealId(id: string): boolean {
  return /^[0-9a-f]{32}$/.test(id);
}

/** What is under way comes before what is done. */
function rank({ state }: Deal): number {
  return ['working', 'failed', 'complete'].indexOf(state);
}
