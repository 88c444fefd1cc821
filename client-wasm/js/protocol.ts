/** The messages between the page and its workers. Everything here is plain data that can be posted. */

import type { Looking, ReceiptClaims } from './receipts.js';
import type { StoredKeys } from './store.js';
import type {
  Account,
  Answer,
  Deal,
  Drilled,
  Events,
  Explanation,
  FilesQuote,
  HashedFile,
  MinerInfo,
  MinerRule,
  NetworkInfo,
  OptionalTransport,
  PageLink,
  Passport,
  Payments,
  Piece,
  PieceNode,
  Problem,
  Quote,
  Route,
  StoreChoice,
  StoredFile,
  Survey,
  Verification,
  Voucher,
  WholeFile,
} from './types.js';
import type { ProofEvidence } from './verify-types.js';

/** What a deal is made of, as the page posts it. */
export interface StoreRequest {
  readonly file: Blob;
  readonly name: string;
  readonly piece: Piece;
  /** An address, or a rule. */
  readonly miner: string;
  readonly duration: number;
  readonly allowDuplicates: boolean;
  /** FIL that it may cost. */
  readonly most?: string | undefined;
}

/** How files are to be kept, as the page posts it. */
export interface OrderRequest {
  readonly copies: number;
  /** An address, or a rule. */
  readonly miner: string;
  readonly duration: number;
  readonly most?: string | undefined;
  readonly repair: boolean;
  readonly withManifest: boolean;
  readonly allowDuplicates: boolean;
}

/** Files before they are hashed. */
export interface PlanRequest {
  /** The folder's name; a single file has none. */
  readonly folder?: string | undefined;
  readonly paths: readonly string[];
  /** Bytes of the largest. */
  readonly largest: number;
  readonly order: OrderRequest;
}

/** Files that were hashed. */
export interface ManifestRequest {
  readonly folder?: string | undefined;
  readonly files: readonly HashedFile[];
}

/** A manifest, and the paths in its order. */
export interface MadeManifest {
  readonly id: string;
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly paths: readonly string[];
  /** The same under the files' own names, where `bytes` hides them. */
  readonly shown?: Uint8Array<ArrayBuffer>;
}

/** What is in a manifest of anybody's. */
export interface OpenedManifest {
  readonly name: string;
  readonly folder: boolean;
  /** Whether its files are encrypted. */
  readonly encrypted: boolean;
  /** `stored` is what it is called in the manifest, and `size` the bytes that are stored. */
  readonly files: readonly {
    readonly path: string;
    readonly stored: string;
    readonly size: number;
    readonly root: string;
  }[];
}

/** That files were encrypted, as the page posts it. */
export interface EncryptionRequest {
  /** The keys' id. */
  readonly keys: string;
  /** The manifest under the files' own names. */
  readonly shown: Uint8Array<ArrayBuffer>;
  readonly name: string;
  /** In the manifest's order. */
  readonly paths: readonly string[];
  readonly roots: readonly string[];
  /** How it is shown. */
  readonly recipients: number;
  readonly passphrase: boolean;
  readonly plainSize: number;
  /** Of each file. */
  readonly plainSizes: readonly number[];
}

/** What opens a file of this browser. */
export interface FileOpening {
  /** What was kept of its encryption, with its root. */
  readonly state: string;
  /** Bytes of the ciphertext. */
  readonly size: number;
  readonly plainSize: number;
}

/** What is stored, as the page posts it. */
export interface StoreFilesRequest {
  readonly id: string;
  readonly manifest: Uint8Array<ArrayBuffer>;
  readonly order: OrderRequest;
  readonly keep: 'copy' | 'opfs' | 'reference';
  readonly encryption?: EncryptionRequest | undefined;
  /** The data CIDs of all pieces. */
  readonly data: readonly string[];
  /** The files in the manifest's order. */
  readonly blobs: readonly Blob[];
  /** Where they are on the disk, as far as that is known. */
  readonly handles: readonly (FileSystemFileHandle | undefined)[];
  /** Bytes of each, before it is encrypted. */
  readonly sizes: readonly number[];
  /** Of each file's pieces, by where they start. */
  readonly nodes: readonly ReadonlyMap<number, readonly PieceNode[]>[];
}

/** Bytes from the first to the one behind the last, or to the end. */
export type Extent = readonly [from: number, to?: number | undefined];

/** Where a range of a file lies in its pieces. */
export interface FileSpans {
  readonly at: number;
  readonly path: string;
  readonly size: number;
  readonly spans: readonly PieceSpan[];
}

/** A part of one piece: `from` and `to` are counted from its start. */
export interface PieceSpan {
  readonly dataCid: string;
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** How a client is opened, as the page posts it. */
export interface OpenRequest {
  readonly chain: string;
  readonly store: StoreChoice;
  /** Opens an account that is locked. */
  readonly passphrase: string | undefined;
  /** The address of an account whose key is elsewhere. */
  readonly signer: string | undefined;
  /** Whether the window can make peer connections. */
  readonly hasPeers: boolean;
  /** Transports beside WebSocket that may be used; all where it is left out. */
  readonly transports: readonly OptionalTransport[] | undefined;
}

/** The functions of the network worker. */
export interface Calls {
  /** Works before `open`. */
  readLink(text: string): Promise<PageLink | undefined>;
  open(request: OpenRequest): Promise<Account>;
  network(): Promise<NetworkInfo>;
  balance(): Promise<string>;
  faucet(): Promise<void>;
  miners(): Promise<MinerInfo[]>;
  route(miner: string, connect: boolean): Promise<Route>;
  quote(piece: Piece, miner: string, duration: number): Promise<Quote>;
  survey(rule: MinerRule, size: number, duration: number): Promise<Survey>;
  store(request: StoreRequest): Promise<Deal>;
  planFiles(request: PlanRequest): Promise<number>;
  makeManifest(request: ManifestRequest): Promise<MadeManifest>;
  quoteFiles(manifest: Uint8Array<ArrayBuffer>, order: OrderRequest): Promise<FilesQuote>;
  storeFiles(request: StoreFilesRequest): Promise<StoredFile>;
  keepKeys(keys: StoredKeys): Promise<void>;
  keysAbout(about: string): Promise<StoredKeys | undefined>;
  /** What makes the ciphertext of a stored file's files again; undefined of one that is not encrypted. */
  sealedFiles(id: string): Promise<readonly FileOpening[] | undefined>;
  /** What opens one of them; undefined of one that is not encrypted, or not of this browser. */
  fileOpening(id: string, path: string | undefined): Promise<FileOpening | undefined>;
  /** The manifest of a file: of this browser, or fetched from whichever miner has it. */
  manifest(id: string): Promise<Uint8Array<ArrayBuffer>>;
  supplyFiles(id: string, blobs: readonly Blob[]): Promise<void>;
  /** Where a file's bytes are on the disk, as far as that is known. */
  fileHandles(id: string): Promise<FileSystemFileHandle[]>;
  files(): Promise<StoredFile[]>;
  file(id: string): Promise<WholeFile | undefined>;
  giveUpFile(id: string): Promise<void>;
  resumeFile(id: string, most?: string): Promise<void>;
  quoteAgain(id: string): Promise<FilesQuote>;
  storeAgain(id: string, most: string): Promise<void>;
  removeFile(id: string): Promise<void>;
  /** Where a file lies in its pieces; with a range, the reads that it is fetched in, the first of them where they are many. */
  fileSpans(id: string, path: string | undefined, range: Extent | undefined, windows: boolean): Promise<FileSpans>;
  drill(id: string): Promise<Drilled | undefined>;
  retrievePiece(dataCid: string, size: number): Promise<Blob>;
  /** The same reads of a deal's file. */
  dealWindows(id: string, range: Extent): Promise<FileSpans>;
  retrieveRange(span: PieceSpan): Promise<Uint8Array<ArrayBuffer>>;
  deals(): Promise<Deal[]>;
  deal(id: string): Promise<Deal | undefined>;
  retry(id: string, most?: string): Promise<void>;
  giveUp(id: string): Promise<void>;
  remove(id: string): Promise<void>;
  retrieve(id: string): Promise<Blob>;
  verify(id: string): Promise<Verification>;
  evidence(id: string): Promise<ProofEvidence>;
  receipt(id: string): Promise<Uint8Array<ArrayBuffer>>;
  /** Need no client: what a receipt is, what its proofs claim, and how its steps stand with the verdicts on them. */
  receiptGenesis(receipt: Uint8Array): Promise<string>;
  receiptClaims(receipt: Uint8Array): Promise<ReceiptClaims>;
  judgeReceipt(receipt: Uint8Array, looking: Looking): Promise<Passport>;
  query(id: string): Promise<Answer>;
  explain(id: string): Promise<Explanation>;
  payments(id: string): Promise<Payments>;
  exportVouchers(id: string): Promise<string>;
  importVouchers(text: string): Promise<Voucher[]>;
  close(): Promise<void>;
}

/** From the page to the network worker. */
export type ToNetwork =
  /** Comes first: where the WebAssembly files are, if that was said. */
  | { readonly kind: 'start'; readonly wasmUrl: string | undefined }
  /** The way to a network in the page; before `open`. */
  | { readonly kind: 'inPage'; readonly port: MessagePort }
  | { readonly kind: 'call'; readonly id: number; readonly method: keyof Calls; readonly args: readonly unknown[] }
  | { readonly kind: 'cancel'; readonly id: number }
  /** What came of a request to sign. */
  | { readonly kind: 'signed'; readonly id: number; readonly signature: Uint8Array }
  | { readonly kind: 'unsigned'; readonly id: number; readonly problem: Problem };

/** From the network worker to the page. */
export type FromNetwork =
  /** The account's signer is to sign a message; `typedData` is what a wallet shows of it. */
  | {
      readonly kind: 'sign';
      readonly id: number;
      readonly message: Uint8Array<ArrayBuffer>;
      readonly typedData: string | undefined;
    }
  /** It needs a peer connection, to be told of at the port (`ToPeer`, `FromPeer`). */
  | { readonly kind: 'peer'; readonly address: PeerAddress; readonly port: MessagePort }
  | { readonly kind: 'value'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'problem'; readonly id: number; readonly problem: Problem; readonly cause?: unknown }
  | { readonly kind: 'progress'; readonly id: number; readonly done: number; readonly total: number }
  | { [E in keyof Events]: { readonly kind: 'event'; readonly event: E; readonly value: Events[E] } }[keyof Events];

/** Where a miner listens for WebRTC, and with which certificate (SHA-256, as in descriptions: `AB:CD:…`). */
export interface PeerAddress {
  readonly ip: string;
  readonly port: number;
  readonly fingerprint: string;
}

/** From the network worker to a peer connection: one more channel, or the end. */
export type ToPeer = 'open' | 'close';

/** From a peer connection to the network worker (`src/webrtc.rs`). */
export type FromPeer =
  /** The fingerprint of the browser's own certificate, in hexadecimal digits. */
  | { readonly kind: 'local'; readonly fingerprint: string }
  /** The handshake's channel, and then those that were asked for. */
  | { readonly kind: 'opened'; readonly channel: RTCDataChannel }
  /** One that the miner opened. */
  | { readonly kind: 'incoming'; readonly channel: RTCDataChannel }
  | { readonly kind: 'closed'; readonly reason: string };

/** From the page to a piece worker: what it hashes with, once, and then slices as it asks for them. */
export type ToPiece =
  | {
      readonly kind: 'start';
      readonly module: WebAssembly.Module;
      /** For slices that are encrypted. */
      readonly encryption?: WebAssembly.Module | undefined;
      /** `commp` leaves the data root's part out, for measurements. */
      readonly names: 'both' | 'commp';
    }
  | ({ readonly kind: 'slice'; readonly task: number } & SliceOrder);

/** A slice that is to be hashed. */
export interface SliceOrder {
  readonly file: Blob;
  /** What is hashed is the ciphertext of the file, by this state of its encryption; all places are in the ciphertext then. */
  readonly sealed?: string | undefined;
  /** Where the slice's piece starts in the file. */
  readonly offset: number;
  /** Bytes of that piece, by the file's size when the work began: `file.size` changes with the file. */
  readonly size: number;
  /** Names the piece's division. */
  readonly height: number;
  readonly index: number;
}

/** From a piece worker to the page. */
export type FromPiece =
  /** It will soon have nothing to do. */
  | { readonly kind: 'next' }
  /** So many more bytes are hashed. */
  | { readonly kind: 'progress'; readonly task: number; readonly done: number }
  | { readonly kind: 'slice'; readonly task: number; readonly names: Uint8Array }
  /** `task`: the slice that it is about; without it, the worker cannot hash at all. */
  | { readonly kind: 'problem'; readonly task?: number; readonly problem: Problem };
