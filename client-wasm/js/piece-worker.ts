/**
 * One of the workers that hash files: takes slices until it is ended.
 *
 * A slice is read once, in parts that end where the leaves of the data's own tree do. Each part goes into CommP here, and,
 * where the browser offers its own SHA-256 (in secure contexts), its leaf is hashed by that, outside of this thread and
 * with the processor's own instructions. The next slice is asked for before the last one ends.
 */

import type { Slice } from './commp.js';
import { Commp, DIGEST_BYTES, LEAF_BYTES, NAMES_HEAD } from './commp.js';
import { problemOf } from './errors.js';
import type { FromPiece, ToPiece } from './protocol.js';
import { Reader } from './reading.js';
import type { SealedReaders, Source } from './sealing.js';

/** Bytes between two messages about progress. */
const PROGRESS_BYTES = 4 << 20;
/** The next slice is asked for when so many bytes of the last one are left. */
const AHEAD_BYTES = 2 << 20;
/** Leaves whose copies are with the browser at once: memory stays bounded where it is slower than this thread. */
const MAX_DIGESTS = 4;
/** Leaves taken at a time where the module hashes them: it does so four at once. */
const LEAVES_TOGETHER = 4;

type Job = Extract<ToPiece, { kind: 'start' }>;
type Order = Extract<ToPiece, { kind: 'slice' }>;

/** A slice whose bytes are on their way. */
interface Opened {
  readonly order: Order;
  readonly slice: Slice;
  /** Behind its last byte that is needed. */
  readonly to: number;
  readonly reader: Source;
}

function post(message: FromPiece, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

/** The slices that this worker hashes. */
class Hashing {
  readonly #commp: Commp;
  /** Read what is to be hashed encrypted. */
  readonly #sealed: SealedReaders | undefined;
  /** Who hashes the leaves. */
  readonly #leaves: 'browser' | 'module' | undefined;
  /** What one slice after the other is read into. */
  #buffer = new ArrayBuffer(0);

  constructor(job: Job, commp: Commp, sealed: SealedReaders | undefined) {
    this.#commp = commp;
    this.#sealed = sealed;
    const hashing = globalThis.crypto?.subtle === undefined ? 'module' : 'browser';
    this.#leaves = job.names === 'both' ? hashing : undefined;
  }

  /** Begins to read a slice. */
  open(order: Order): Opened {
    const { file, sealed, offset, size, height, index } = order;
    const slice = this.#commp.slice(size, height, index);
    const [from, end] = slice.bytes;
    const to = this.#leaves ? Math.max(end, slice.leaves[1]) : end;
    if (sealed === undefined) {
      return { order, slice, to, reader: new Reader(file, offset + from, offset + to) };
    }
    if (this.#sealed === undefined) {
      throw new Error('an encrypted slice came without the module');
    }
    return { order, slice, to, reader: this.#sealed(sealed, file, [offset + from, offset + to]) };
  }

  /** Hashes a slice. The next one is asked for while the last bytes are still to be hashed. */
  async hash({ order, slice, to, reader }: Opened): Promise<void> {
    const commp = this.#commp;
    const { task, size, height, index } = order;
    const [from, end] = slice.bytes;
    const [firstLeaf, behindLeaves] = slice.leaves;
    const step = this.#leaves === 'module' ? LEAVES_TOGETHER * LEAF_BYTES : LEAF_BYTES;
    reader.begin(this.#buffer);
    commp.begin(size, height, index, this.#leaves === 'module');
    const digests: Promise<ArrayBuffer>[] = [];
    let told = from;
    let asked = false;
    for (let at = from; at < to; ) {
      const next = Math.min(to, at - (at % step) + step);
      const part = await reader.take(next - at, Math.min(to, next + step) - next);
      if (this.#leaves === 'browser' && at >= firstLeaf && at < behindLeaves) {
        // The browser copies the leaf before it returns.
        digests.push(crypto.subtle.digest('SHA-256', part));
        await digests.at(-1 - MAX_DIGESTS);
      }
      commp.push(part);
      await turn();
      at = next;
      const hashed = Math.min(at, end);
      if (hashed - told >= PROGRESS_BYTES || (hashed === end && told < end)) {
        post({ kind: 'progress', task, done: hashed - told });
        told = hashed;
      }
      if (!asked && to - at <= AHEAD_BYTES) {
        asked = true;
        post({ kind: 'next' });
      }
    }
    // All that is needed is read; what the stream holds would wait for a collection of garbage.
    this.#buffer = reader.end();
    const names = withLeaves(commp.finish(), await Promise.all(digests));
    post({ kind: 'slice', task, names }, [names.buffer]);
  }
}

const turns = new MessageChannel();

/**
 * Lets the browser do what waits for this thread, ending it above all. While bytes are there already, waiting for them does
 * not: a stopped worker would go on for up to two seconds.
 */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    turns.port1.onmessage = () => resolve();
    turns.port2.postMessage(undefined);
  });
}

/** A slice's names with the digests of leaves that were hashed outside of the module. */
function withLeaves(names: Uint8Array<ArrayBuffer>, leaves: ArrayBuffer[]): Uint8Array<ArrayBuffer> {
  if (leaves.length === 0) {
    return names;
  }
  const whole = new Uint8Array(NAMES_HEAD + leaves.length * DIGEST_BYTES);
  whole.set(names);
  leaves.forEach((digest, index) => {
    whole.set(new Uint8Array(digest), NAMES_HEAD + index * DIGEST_BYTES);
  });
  return whole;
}

let hashing: Promise<Hashing> | undefined;
/** Ends when all slices that were given so far are hashed. */
let busy: Promise<void> = Promise.resolve();

/** What encrypts is loaded by who needs it. */
async function sealedReaders(module: WebAssembly.Module): Promise<SealedReaders> {
  const { loadSealedReaders } = await import('./sealing.js');
  return loadSealedReaders(module);
}

async function begin(job: Job): Promise<Hashing> {
  const sealed = job.encryption && sealedReaders(job.encryption);
  return new Hashing(job, await Commp.load(job.module), await sealed);
}

function tell(thrown: unknown, task?: number): void {
  post({ kind: 'problem', problem: problemOf(thrown), ...(task === undefined ? {} : { task }) });
}

self.onmessage = ({ data }: MessageEvent<ToPiece>) => {
  if (data.kind === 'start') {
    hashing = begin(data);
    hashing.catch(tell);
    return;
  }
  const opened = hashing?.then((ready) => ready.open(data));
  busy = busy
    .then(async () => {
      const [ready, slice] = await Promise.all([hashing, opened]);
      if (ready && slice) {
        await ready.hash(slice);
      }
    })
    .catch((thrown: unknown) => tell(thrown, data.task));
};
