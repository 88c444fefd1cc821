/** The messages between the page and the worker of its devnet, and the types of both. */

/** What a devnet begins with. */
export interface DevnetOptions {
  /** 1 to 16; by default one. */
  readonly miners?: number;
  /** How much a sector takes; by default `2KiB`. A piece has at most 127/128 of it. */
  readonly sectorSize?: '2KiB' | '8MiB';
  /** The same seed is the same network: keys, addresses, ids. By default another one each time. */
  readonly seed?: string | number;
  /** attoFIL for a byte in a block; by default 1. */
  readonly price?: number;
  /** Virtual milliseconds from block to block; by default 1000. */
  readonly blockTimeMs?: number;
}

/** What a miner does wrong on purpose. */
export interface MinerFaults {
  /** It breaks connections off and takes no new ones. */
  readonly dropConnection?: boolean;
  /** It refuses with this number of the table of rejection codes. */
  readonly refuse?: number;
  /**
   * It says what is not so: another replica than the one on the chain (`commR`), an inclusion proof that does not hold, other bytes than
   * the piece to whoever fetches it.
   */
  readonly lie?: 'commR' | 'inclusion' | 'piece-bytes';
  /** It delivers no proof-of-spacetime. */
  readonly missPoSt?: boolean;
  /** Blocks that sealing takes longer. */
  readonly slow?: number;
}

/** A miner of a devnet. */
export interface DevnetMiner {
  /** `t2…` */
  readonly address: string;
  /** Of its libp2p host. */
  readonly peerId: string;
}

/** The functions of the worker. */
export interface DevnetCalls {
  begin(options: Required<Omit<DevnetOptions, 'sectorSize'>> & { sectorSize: number }): Promise<readonly DevnetMiner[]>;
  height(): Promise<number>;
  mine(blocks: number): Promise<number>;
  advance(milliseconds: number): Promise<number>;
  autoMine(milliseconds: number): Promise<void>;
  setFaults(miner: string, faults: MinerFaults): Promise<void>;
  faucet(address: string): Promise<void>;
  checkInvariants(): Promise<void>;
}

/** From the page to the worker. */
export type ToDevnet =
  /** Comes first: where the WebAssembly files are, if that was said. */
  | { readonly kind: 'start'; readonly wasmUrl: string | undefined }
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly method: keyof DevnetCalls;
      readonly args: readonly unknown[];
    }
  /** A client's way to the network (`in-page.ts`). */
  | { readonly kind: 'client'; readonly port: MessagePort };

/** From the worker to the page; `reason` says why not. */
export type FromDevnet =
  | { readonly kind: 'value'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string };
