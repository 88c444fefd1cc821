/**
 * The public types of `sealdrop-client`: what a page hands in and what it gets back. What Rust hands out is in
 * `generated.ts`.
 *
 * Amounts of money are attoFIL as `bigint` (`parseFil`, `formatFil`). Heights count blocks since genesis. Times are
 * milliseconds since 1970. Sizes are bytes. Commitments are 64 hexadecimal digits.
 */

import type {
  Deal,
  FilesQuote,
  FileView,
  Head,
  MinerInfo,
  MinerRule,
  Problem,
  Step,
  StoredPiece,
} from './generated.js';
import type { AssetOptions } from './host.js';

export type * from './generated.js';

/** Where a client keeps its keys, deals, and the files under way. */
export type StoreChoice =
  /** An IndexedDB database of the browser, which keeps the root key; each network's deals lie in one of their own beside it. */
  | { readonly database: string }
  /** A folder of this machine, in Node. One client at a time uses it. */
  | { readonly folder: string }
  /** Nothing outlives the client: neither its deals nor the key that its account comes from. */
  | 'memory';

/** A way to a miner that a client may do without. */
export type OptionalTransport = 'web-transport' | 'web-rtc-direct';

/** A network in the same page, such as that of `sealdrop-client/devnet`. */
export interface InPageChain {
  /** The chain's URL as it is shown; it leads nowhere outside the page. */
  readonly url: string;
  /** A new way to the network, for one client. */
  connect(): MessagePort;
}

/** What a client is made with. */
export interface ClientOptions extends AssetOptions {
  /** URL of the chain's JSON-RPC endpoint, such as `http://127.0.0.1:4403/rpc`, or a network in the same page. */
  readonly chain: string | InPageChain;
  /** Whom files are stored with where `store` and `quote` are not told: a rule, or a miner's address. `cheapest` when left out. */
  readonly miners?: MinerRule | MinerInfo | string | undefined;
  /** The database `sealdrop` in a browser and `memory` in Node, when left out. */
  readonly store?: StoreChoice | undefined;
  /**
   * Whom the client signs as: a wallet (EIP-1193), or `{ address, sign }`. The client's own account when left out. What it keeps is kept
   * apart for each signer.
   */
  readonly signer?: Signer | undefined;
  /** Opens the account of a browser that is locked (`setPassphrase` of `sealdrop-client/account`); there is none elsewhere. */
  readonly passphrase?: string | undefined;
  /** The transports beside WebSocket and HTTP that may be used; all that the browser has, when left out. */
  readonly transports?: readonly OptionalTransport[] | undefined;
}

/** An account whose key is elsewhere: a wallet, or whatever signs bytes. */
export type Signer = MessageSigner | Eip1193Provider;

/**
 * Signs for an ordinary account, `t1…`. It is asked for the message that opens a deal's payment channel and for nothing else: one
 * signature a channel. With deals that cost nothing there is no channel; those it cannot make.
 */
export interface MessageSigner {
  readonly address: string;
  /**
   * The signature of a message's canonical bytes: 65 bytes, R ‖ S ‖ V with V 0 or 1 and S in the lower half, by secp256k1 over their
   * blake2b-256. Throws to refuse: a `SealdropError` of the code `signer-refused` or `unsupported` ends the deal, anything else is tried again.
   */
  sign(message: Uint8Array<ArrayBuffer>): Promise<Uint8Array> | Uint8Array;
}

/**
 * A wallet for Ethereum (EIP-1193), such as `window.ethereum`. It shows and signs one message a payment channel (`eth_signTypedData_v4`).
 * Its account on the chain is `t410f…`, with the same address.
 */
export interface Eip1193Provider {
  request(call: { readonly method: string; readonly params?: readonly unknown[] }): Promise<unknown>;
  on?(event: 'accountsChanged', listener: (accounts: unknown) => void): unknown;
  removeListener?(event: 'accountsChanged', listener: (accounts: unknown) => void): unknown;
}

/** Whom a client signs as. */
export interface Account {
  /** `t1…`, or `t410f…` of a wallet. Each network has another one: what is signed on one must not count on another. */
  readonly address: string;
  /**
   * False for an account that an earlier version of this package left, and for one whose key is elsewhere and that is no wallet's: what
   * it signs may count on other networks on which it is used.
   */
  readonly bound: boolean;
}

/** An interior node of a file's DAG; a file of at most 1 MiB has none. */
export interface PieceNode {
  readonly cid: string;
  readonly bytes: Uint8Array;
}

/** What `prepare` finds out about a file. Plain data: it can be cloned and kept. */
export interface Piece {
  /** Bytes of the file. */
  readonly size: number;
  /** Room that it takes in a sector. */
  readonly paddedSize: number;
  /** The piece commitment. */
  readonly commP: string;
  /** The piece commitment as a CID (`baga6ea4seaq…`). */
  readonly pieceCid: string;
  /** Root of the file's UnixFS DAG: what `ipfs add` with the profile `unixfs-v1-2025` prints. */
  readonly dataCid: string;
  /** Needed to serve the file to the miner. */
  readonly nodes: readonly PieceNode[];
}

/** How far a computation or a transfer is. */
export interface Progress {
  /** Bytes done. */
  readonly done: number;
  /** Bytes in all. */
  readonly total: number;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
  /** What is left at that speed; absent while nothing has moved. */
  readonly secondsLeft?: number;
}

/** Options of every call. */
export interface CallOptions {
  /** Ends the call, and the work that is done for it alone; the promise rejects with the code `aborted`. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of long-running calls. */
export interface RunOptions extends CallOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A part of a file that is hashed. Plain data: keep it, and hand it in again to go on later. */
export interface HashedSlice {
  /** Names the division of the file: slices of different heights do not belong together. */
  readonly height: number;
  readonly index: number;
  /** Root and leaves of the slice, 32 bytes for each MiB. */
  readonly names: Uint8Array;
}

/** Options of `computePiece`. */
export interface PieceOptions extends RunOptions, AssetOptions {
  /** Workers at once, at most; by default as many as the processor has cores, up to eight. */
  readonly workers?: number;
  /** Slices of this very file from an earlier call: they are not read again. Those that do not fit the file's size are left out. */
  readonly saved?: readonly HashedSlice[];
  /** Called with each slice that was hashed, in the order in which they are done. */
  readonly onSlice?: (slice: HashedSlice) => void;
}

/** A file, and its path in the folder that is stored; of a single file, its name. Parts are divided by `/`. */
export interface FileInput {
  readonly path: string;
  readonly file: Blob;
  /**
   * Where it is on the disk, of a file that was dropped or picked where the browser has the File System Access API: with
   * `keep: 'reference'` it is kept, and after a reload the file need not be chosen again (`allow`).
   */
  readonly handle?: FileSystemFileHandle | undefined;
}

/** A piece of a file. */
export interface FilePiece extends Piece {
  /** Where it starts in the file. */
  readonly offset: number;
}

/** The names of a file of any size. */
export interface HashedFile {
  readonly path: string;
  readonly size: number;
  /** Root of its UnixFS DAG: what `ipfs add` with the profile `unixfs-v1-2025` prints. */
  readonly root: string;
  /** In order; none of a file without bytes. */
  readonly pieces: readonly FilePiece[];
}

/** How far one of several files is. */
export interface EachProgress {
  /** The file's index in what was handed in. */
  readonly index: number;
  readonly done: number;
  readonly total: number;
}

/** Options of `computeFiles`. */
export interface FilesOptions extends RunOptions, AssetOptions {
  /** Bytes of the sectors that the files are cut for: 2^11, 2^23, 2^29 or 2^35. */
  readonly sectorSize: number;
  /** Workers at once, at most; by default as many as the processor has cores, up to eight. */
  readonly workers?: number | undefined;
  /** Called as a file's bytes are hashed; files that come back from an earlier call are told of at once. */
  readonly onEach?: ((progress: EachProgress) => void) | undefined;
}

/** A key: whoever has the identity reads everything that was encrypted to its recipient, and without it nobody does. */
export interface NewKey {
  /** `AGE-SECRET-KEY-1…`: secret, and for safekeeping. A lost identity is a lost file. */
  readonly identity: string;
  /** `age1…`, which may be known to everybody. */
  readonly recipient: string;
}

/** Whom files are encrypted to: recipients of the age format, or a passphrase, or a key that is made for them. */
export type EncryptTo = 'new-key' | { readonly recipients: readonly string[] } | { readonly passphrase: string };

/** What an encrypted file is opened with. */
export interface OpenWith {
  /** One or more identities, one in each line, as `age-keygen` writes them. */
  readonly identity?: string | undefined;
  readonly passphrase?: string | undefined;
}

/** That prepared files are encrypted. */
export interface PreparedEncryption {
  /** Names the keys, which this browser keeps. */
  readonly keys: string;
  /** The key that was made for them: to be kept safe before they are stored. */
  readonly key?: NewKey;
  /** Recipients that can read them; 0 with a passphrase. */
  readonly recipients: number;
  readonly passphrase: boolean;
  /** Bytes of all files before they are encrypted. */
  readonly plainSize: number;
  /** Of each file, in the same order. */
  readonly plainSizes: readonly number[];
  /** The manifest under the files' own names: not to be given away. */
  readonly shown: Uint8Array<ArrayBuffer>;
}

/** What `prepare` finds out. Plain data: it can be cloned and kept. */
export interface Prepared {
  /** The manifest's CID: what gets the files back. */
  readonly id: string;
  /** The file's name, or the folder's. */
  readonly name: string;
  readonly folder: boolean;
  /** Bytes of all files. */
  readonly size: number;
  /** Bytes of the sectors that the files are cut for. */
  readonly sectorSize: number;
  /** In the order of their paths. */
  readonly files: readonly HashedFile[];
  /** The manifest as DAG-CBOR. */
  readonly manifest: Uint8Array<ArrayBuffer>;
  /** Sizes and names of pieces are those of the ciphertext then. */
  readonly encryption?: PreparedEncryption;
}

/** A file, several, or several with paths of one's own. Of those that were chosen with a folder, the paths lead from there. */
export type FilesInput = File | readonly File[] | readonly FileInput[];

/**
 * What is stored: a file or Blob, bytes, several files, several with paths of one's own (a folder), or a stream of bytes. A stream is read
 * once, into where the browser or the system keeps files, before anything else is done with it.
 */
export type Input = Blob | FilesInput | FileList | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

/** Options of `prepare`. */
export interface PrepareOptions extends RunOptions, Partial<Pick<Order, 'copies' | 'miner'>> {
  /** The name of what has none, such as bytes and streams; `unnamed` when left out. */
  readonly name?: string | undefined;
  /** The folder's name; otherwise that of the folder that was chosen, or `files`. */
  readonly folder?: string | undefined;
  readonly workers?: number | undefined;
  readonly onEach?: ((progress: EachProgress) => void) | undefined;
  /**
   * Encrypts the files and their names before they are hashed, in the age format: miners and everybody else see only ciphertext, its
   * length, and how many can read it. `age -d` reads what comes back raw.
   */
  readonly encrypt?: EncryptTo | undefined;
}

/** How files are to be kept. */
export interface Order {
  /** Blocks that each deal lasts. */
  readonly duration: number;
  /** Miners that keep each piece; 1 when left out. */
  readonly copies?: number | undefined;
  /** The rule by which miners are chosen, or one miner or its address; what the client was made with when left out. */
  readonly miner?: MinerInfo | MinerRule | string | undefined;
  /**
   * attoFIL that all deals together may cost: what was consented to. Miners that ask more are not asked, and a deal goes on to another one
   * within it; where none of them is left, `store` throws `over-limit`.
   */
  readonly most?: bigint | undefined;
  /** Whether a copy that a miner has lost is replaced, within `most`. */
  readonly repair?: boolean | undefined;
  /** Whether the manifest is kept by miners, too, so that its CID is enough to get everything back. */
  readonly withManifest?: boolean | undefined;
  /** Whether deals are made although miners keep the same data for this account already. */
  readonly allowDuplicates?: boolean | undefined;
}

/** How files are stored. */
export interface StoreOptions extends Order, Omit<PrepareOptions, 'copies' | 'miner'> {
  /** What `prepare` found out about the same input, or `computePiece` about the same file: it is not hashed again. */
  readonly prepared?: Prepared | Piece | undefined;
  /** Asked before anything is paid, unless `most` is given; `store` throws `aborted` when it says no. */
  readonly confirm?: ((quote: FilesQuote) => boolean | Promise<boolean>) | undefined;
  /**
   * When the promise resolves: when miners keep all of it (`stored`, when left out), or as soon as this client has taken the order and will
   * carry it on (`ordered`).
   */
  readonly until?: 'ordered' | 'stored' | undefined;
  /**
   * `copy`, unless it says otherwise: the browser holds a copy until the miners have all of it, so that a reload loses nothing. `reference`:
   * nothing is copied, which takes no room; after a reload the same files are to be handed in again (`supply`), unless they were handed in with
   * handles. `opfs`: a copy is written into the origin's private file system before anything is ordered, told by `copying`, of any size that
   * `roomForCopy` has room for; throws `storage` where there is none.
   */
  readonly keep?: 'copy' | 'opfs' | 'reference' | undefined;
}

/** A file or folder of which each piece has deals of its own. */
export interface StoredFile extends FileView {
  /** What hinders it at present; it is tried again by itself. */
  readonly problem?: Problem;
}

/** One file of a folder. */
export interface FolderEntry {
  readonly path: string;
  readonly size: number;
  /** Bytes before it was encrypted. */
  readonly plainSize?: number;
  /** What `ipfs add` prints for it. */
  readonly root: string;
  /** How many it has. */
  readonly pieces: number;
}

/** A stored file with all that is in it. */
export interface WholeFile extends StoredFile {
  /** In the order of their paths. */
  readonly files: readonly FolderEntry[];
  /** Different pieces, each once, with its deals. */
  readonly parts: readonly StoredPiece[];
}

/** What is in a file or folder of anybody's. */
export interface OpenedFile {
  readonly id: string;
  /** Names are neutral where they are encrypted and no key was given. */
  readonly name: string;
  readonly folder: boolean;
  readonly encrypted: boolean;
  /** `size` are the bytes that are stored, of the ciphertext where it is encrypted. */
  readonly files: readonly { readonly path: string; readonly size: number; readonly root: string }[];
}

/** What a drill came to. */
export interface Drilled {
  readonly file: string;
  readonly miner: string;
  /** The data CID of the piece. */
  readonly dataCid: string;
  /** `doubtful`: it did not come back; `lost`: for the third time in a row. */
  readonly verdict: 'kept' | 'doubtful' | 'lost';
  /** Failures in a row. */
  readonly strikes: number;
  /** Why it did not come back. */
  readonly reason?: string;
}

/** Options of `retrieve`. */
export interface RetrieveOptions extends RunOptions, OpenWith {
  /** Which file of a folder. */
  readonly path?: string | undefined;
  /** The ciphertext as it is stored, for `age -d`; `range` counts its bytes then. */
  readonly raw?: boolean | undefined;
  /** Bytes of the file, from the first to the one behind the last; all when left out. */
  readonly range?: readonly [from: number, to: number] | undefined;
}

/** What was stored. */
export interface Stored {
  /** What gets it back: `retrieve`, `verify`, `explain` and the others take it. */
  readonly id: string;
  /** Its file; absent of a piece that was handed in as `prepared`, which is a deal by itself. */
  readonly file?: StoredFile;
  /** The deals that were made for it so far. */
  readonly deals: readonly Deal[];
}

/** What `store` tells on its way, in this order. */
export type StoreEvent =
  /** A stream is read; how long it is shows at its end. */
  | { readonly type: 'reading'; readonly done: number }
  | { readonly type: 'hashing'; readonly progress: Progress }
  /** The names are known; nothing was asked of anybody. */
  | { readonly type: 'prepared'; readonly prepared: Prepared }
  /** What it costs; it goes on unless `confirm` says no. */
  | { readonly type: 'quoted'; readonly quote: FilesQuote }
  /** A copy is made in this browser, with `keep: 'opfs'`. */
  | { readonly type: 'copying'; readonly progress: Progress }
  /** This client carries it on from now on, whatever becomes of the call. */
  | { readonly type: 'ordered'; readonly id: string }
  /** One of its deals is further. */
  | { readonly type: 'deal'; readonly deal: Deal }
  /** The whole is further. */
  | { readonly type: 'file'; readonly file: StoredFile }
  | { readonly type: 'stored'; readonly stored: Stored };

/** What `watch` tells. */
export type WatchEvent =
  | { readonly type: 'deal'; readonly deal: Deal }
  | { readonly type: 'file'; readonly file: StoredFile }
  | { readonly type: 'removed'; readonly id: string }
  | { readonly type: 'head'; readonly head: Head }
  | { readonly type: 'problem'; readonly problem: Problem };

/** What a deal about one piece would be. */
export interface DealOrder {
  readonly duration: number;
  /** A miner, or its address. */
  readonly miner: MinerInfo | string;
}

/** What miners are asked about; an ordinary deal where it is left out. */
export interface SurveyOptions extends CallOptions {
  readonly piece?: Piece;
  /** Blocks. */
  readonly duration?: number;
}

/** All steps in order. */
export const STEPS: readonly Step[] = [
  'drafted',
  'channel',
  'signed',
  'accepted',
  'transferred',
  'staged',
  'sealing',
  'complete',
  'proven',
];

/** The events of a client and what their listeners get. */
export interface Events {
  /** A deal changed, or bytes were transferred. */
  deal: Deal;
  /** A file of several pieces is further than before: one of its deals changed. */
  file: StoredFile;
  /** A deal, or a file with its deals, was forgotten. */
  removed: { readonly id: string };
  /** There is a new block. */
  head: Head;
  /** Something outside of a single deal went wrong, such as an unreachable chain. */
  problem: Problem;
}
