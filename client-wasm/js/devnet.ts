/**
 * A whole development network in the page, for tests of what uses the client: the chain's own actors, and miners with a FAKE prover. No server;
 * time passes when the test says so.
 *
 * ```ts
 * const net = await createDevnet();
 * const client = createClient({ chain: net.chain });
 * await net.faucet((await client.account()).address);
 * await net.autoMine(20);
 * ```
 *
 * Nothing is stored and nothing is proven in it: its proofs are hashes that anybody can compute, and its name and its verifying keys say `fake`.
 */

import type { DevnetCalls, DevnetMiner, DevnetOptions, FromDevnet, MinerFaults, ToDevnet } from './devnet-types.js';
import { SealdropError } from './errors.js';
import { namedWasmFolder, startWorker } from './host.js';
import { IN_PAGE_DOMAIN } from './in-page.js';
import type { InPageChain } from './types.js';

export type { DevnetMiner, DevnetOptions, MinerFaults } from './devnet-types.js';
export type { InPageChain } from './types.js';

const SECTOR_BYTES = { '2KiB': 2 << 10, '8MiB': 8 << 20 } as const;

/** A network that lives in a worker of this page. */
export interface Devnet {
  /** What a client is opened with. Any number of clients may be. */
  readonly chain: InPageChain;
  readonly miners: readonly DevnetMiner[];
  /** The newest block's. */
  height(): Promise<number>;
  /** Makes blocks, one by default; resolves with the new height. */
  mine(blocks?: number): Promise<number>;
  /** Lets virtual time pass: makes the blocks of so many milliseconds. */
  advance(milliseconds: number): Promise<number>;
  /** Makes a block in every so many real milliseconds, from now on; 0 ends that. */
  autoMine(milliseconds: number): Promise<void>;
  readonly faults: {
    /** Switches a miner's faults: those that are not named are off. Throws for a code that no miner refuses with. */
    set(miner: DevnetMiner | string, faults: MinerFaults): Promise<void>;
    /** The miner does everything right again. */
    clear(miner: DevnetMiner | string): Promise<void>;
  };
  /** Sends 1000 FIL to an account, which arrive with the next block; once in 100 blocks. */
  faucet(address: string): Promise<void>;
  /** Throws when a rule of the whole chain does not hold: money that appeared or vanished, power that nobody proves. */
  checkInvariants(): Promise<void>;
  /** Ends the network; clients of it find their chain gone. */
  close(): void;
}

/** Begins a network in a worker of this page. */
export async function createDevnet(options: DevnetOptions = {}): Promise<Devnet> {
  const { miners = 1, sectorSize = '2KiB', seed = crypto.randomUUID(), price = 1, blockTimeMs = 1000 } = options;
  const sectorBytes = SECTOR_BYTES[sectorSize];
  if (sectorBytes === undefined) {
    throw new SealdropError('bad-argument', `there are no sectors of ${sectorSize} in a page`);
  }
  const worker = new DevnetWorker();
  try {
    const names = await worker.call('begin', [
      { miners, sectorSize: sectorBytes, seed: String(seed), price, blockTimeMs },
    ]);
    return devnet(worker, names);
  } catch (thrown) {
    worker.end();
    throw thrown;
  }
}

function devnet(worker: DevnetWorker, miners: readonly DevnetMiner[]): Devnet {
  const address = (miner: DevnetMiner | string) => (typeof miner === 'string' ? miner : miner.address);
  return {
    chain: {
      url: `https://${IN_PAGE_DOMAIN}/rpc`,
      connect: () => worker.connect(),
    },
    miners,
    height: () => worker.call('height', []),
    mine: (blocks = 1) => worker.call('mine', [blocks]),
    advance: (milliseconds) => worker.call('advance', [milliseconds]),
    autoMine: (milliseconds) => worker.call('autoMine', [milliseconds]),
    faults: {
      set: (miner, faults) => worker.call('setFaults', [address(miner), faults]),
      clear: (miner) => worker.call('setFaults', [address(miner), {}]),
    },
    faucet: (account) => worker.call('faucet', [account]),
    checkInvariants: () => worker.call('checkInvariants', []),
    close: () => worker.end(),
  };
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: SealdropError) => void;
}

class DevnetWorker {
  readonly #worker = startWorker(
    'devnet-worker.js',
    'sealdrop-devnet',
    () => new Worker(new URL('./devnet-worker.js', import.meta.url), { type: 'module', name: 'sealdrop-devnet' }),
  );
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #ended = false;

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<FromDevnet>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.kind === 'value') {
        waiting?.resolve(data.value);
      } else {
        waiting?.reject(new SealdropError('bad-argument', data.reason));
      }
    };
    this.#worker.onerror = (event) => {
      this.#fail(
        new SealdropError('internal', `the devnet's worker failed: ${event.message || 'it cannot be loaded'}`),
      );
    };
    this.#post({ kind: 'start', wasmUrl: namedWasmFolder() });
  }

  call<M extends keyof DevnetCalls>(
    method: M,
    args: Parameters<DevnetCalls[M]>,
  ): Promise<Awaited<ReturnType<DevnetCalls[M]>>> {
    if (this.#ended) {
      return Promise.reject(closed());
    }
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#post({ kind: 'call', id, method, args });
    });
  }

  connect(): MessagePort {
    if (this.#ended) {
      throw closed();
    }
    const { port1, port2 } = new MessageChannel();
    this.#post({ kind: 'client', port: port2 }, [port2]);
    return port1;
  }

  end(): void {
    this.#ended = true;
    this.#worker.terminate();
    this.#fail(closed());
  }

  #post(message: ToDevnet, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, { transfer });
  }

  #fail(error: SealdropError): void {
    for (const waiting of this.#waiting.values()) {
      waiting.reject(error);
    }
    this.#waiting.clear();
  }
}

function closed(): SealdropError {
  return new SealdropError('closed', 'the devnet is closed');
}
