/**
 * An encrypted file that comes back as a stream, on the page's side: the chunks of its ciphertext that a range lies in, and nothing else,
 * are fetched and checked as those of any file, and decrypted in a worker that ends with the stream.
 */

import { encryptionModule, HEAD_BYTES, type OpeningKey, type Span } from './age.js';
import { SealdropError } from './errors.js';
import { startWorker } from './host.js';
import { abortedError } from './meter.js';
import type { Problem, RetrieveOptions } from './types.js';

/** Bytes of the file that are decrypted at a time: whole chunks of the format. */
const STEP_BYTES = 1 << 20;

type Bytes = Uint8Array<ArrayBuffer>;

/** What opens a file: what was kept of one's own, or the beginning of anybody's and a key. */
export type OpenedWith =
  | { readonly state: string }
  | { readonly head: Bytes; readonly cipherLength: number; readonly key: OpeningKey };

export type ToOpening =
  | { readonly kind: 'open'; readonly module: WebAssembly.Module; readonly with: OpenedWith }
  | { readonly kind: 'range'; readonly plain: Span }
  | { readonly kind: 'decrypt'; readonly plain: Span; readonly cipher: readonly Bytes[] };

export type FromOpening =
  | { readonly kind: 'opened'; readonly plainLength: number }
  | { readonly kind: 'range'; readonly cipher: Span }
  | { readonly kind: 'bytes'; readonly bytes: Bytes }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** A file as it is stored. */
export interface Stored {
  /** Bytes of the ciphertext. */
  readonly cipherLength: number;
  /** A range of the ciphertext, checked. */
  readonly read: (range: Span, options: RetrieveOptions) => ReadableStream<Bytes>;
  /** What was kept of its encryption, or what was given to open it with. */
  readonly opens: { readonly state: string } | { readonly key: OpeningKey };
}

/** A range of a file that is stored encrypted. `find` is called when the first bytes are wanted. */
export function openedStream(find: () => Promise<Stored>, options: RetrieveOptions): ReadableStream<Bytes> {
  const opening = new Opening(find, options);
  return new ReadableStream<Bytes>(
    { pull: (controller) => opening.pull(controller), cancel: () => opening.end() },
    { highWaterMark: 0 },
  );
}

class Opening {
  readonly #find: () => Promise<Stored>;
  readonly #options: RetrieveOptions;
  #worker: Decrypting | undefined;
  #cipher: ReadableStreamDefaultReader<Bytes> | undefined;
  /** What came of the ciphertext and is not decrypted yet. */
  #ahead: Bytes[] = [];
  #at = 0;
  #to = 0;
  #over = false;

  constructor(find: () => Promise<Stored>, options: RetrieveOptions) {
    this.#find = find;
    this.#options = options;
  }

  async pull(controller: ReadableStreamDefaultController<Bytes>): Promise<void> {
    try {
      this.#worker ??= await this.#open();
      if (this.#at >= this.#to) {
        this.end();
        return controller.close();
      }
      const next = Math.min(this.#to, this.#at - (this.#at % STEP_BYTES) + STEP_BYTES);
      const plain: Span = [this.#at, next];
      const [from, to] = await this.#worker.range(plain);
      const bytes = await this.#worker.decrypt(plain, await this.#take(to - from));
      this.#at = next;
      controller.enqueue(bytes);
    } catch (thrown) {
      this.end();
      throw thrown instanceof Error ? thrown : SealdropError.from(thrown as SealdropError);
    }
  }

  end(): void {
    this.#over = true;
    this.#worker?.end();
    void this.#cipher?.cancel().catch(() => undefined);
  }

  /** Opens the file, and begins to read what the range needs. */
  async #open(): Promise<Decrypting> {
    const stored = await this.#find();
    this.#mustGoOn();
    const { range, signal, onProgress } = this.#options;
    const worker = new Decrypting();
    this.#worker = worker;
    const plainLength = await worker.open(await this.#key(stored));
    this.#mustGoOn();
    const [from, to] = range ?? [0, plainLength];
    // What is not a range of it is refused here, in words.
    const cipher = await worker.range([from, to]);
    this.#mustGoOn();
    [this.#at, this.#to] = [from, to];
    const told = onProgress && {
      onProgress: (progress: { done: number; total: number; bytesPerSecond: number }) => {
        const share = progress.total > 0 ? progress.done / progress.total : 1;
        onProgress({ ...progress, done: Math.floor((to - from) * share), total: to - from });
      },
    };
    this.#cipher = stored.read(cipher, { signal, ...told }).getReader();
    return worker;
  }

  /** Throws when nobody wants it any more: what is begun then, nobody would end. */
  #mustGoOn(): void {
    if (this.#over) {
      throw abortedError();
    }
  }

  async #key({ cipherLength, read, opens }: Stored): Promise<OpenedWith> {
    if ('state' in opens) {
      return opens;
    }
    const beginning = read([0, Math.min(HEAD_BYTES, cipherLength)], { signal: this.#options.signal });
    const parts: Bytes[] = [];
    const reader = beginning.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
    }
    const head = new Uint8Array(await new Blob(parts).arrayBuffer());
    return { head, cipherLength, key: opens.key };
  }

  /** The next bytes of the ciphertext. */
  async #take(length: number): Promise<Bytes[]> {
    const taken: Bytes[] = [];
    for (let missing = length; missing > 0; ) {
      const part = this.#ahead.shift() ?? (await this.#more());
      const used = part.subarray(0, missing);
      if (used.length < part.length) {
        this.#ahead.unshift(part.subarray(missing));
      }
      taken.push(used);
      missing -= used.length;
    }
    return taken;
  }

  async #more(): Promise<Bytes> {
    const read = await this.#cipher?.read();
    if (read === undefined || read.done) {
      throw new SealdropError('retrieval-corrupt', 'the ciphertext ended before the file did');
    }
    return read.value;
  }
}

/** The worker of one file; it answers one question after the other. */
class Decrypting {
  readonly #worker = startWorker(
    'opening-worker.js',
    'sealdrop-opening',
    () => new Worker(new URL('./opening-worker.js', import.meta.url), { type: 'module', name: 'sealdrop-opening' }),
  );

  async open(opened: OpenedWith): Promise<number> {
    const told = await this.#ask({ kind: 'open', module: await encryptionModule(), with: opened });
    return told.kind === 'opened' ? told.plainLength : 0;
  }

  async range(plain: Span): Promise<Span> {
    const told = await this.#ask({ kind: 'range', plain });
    return told.kind === 'range' ? told.cipher : [0, 0];
  }

  async decrypt(plain: Span, cipher: readonly Bytes[]): Promise<Bytes> {
    const told = await this.#ask({ kind: 'decrypt', plain, cipher });
    return told.kind === 'bytes' ? told.bytes : new Uint8Array();
  }

  end(): void {
    this.#worker.terminate();
  }

  #ask(message: ToOpening): Promise<FromOpening> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }: MessageEvent<FromOpening>) => {
        if (data.kind === 'problem') {
          reject(SealdropError.from(data.problem));
        } else {
          resolve(data);
        }
      };
      this.#worker.onerror = (event) => {
        const why = event.message || 'it cannot be loaded';
        reject(new SealdropError('unsupported', `the decrypting worker does not run: ${why}`));
      };
      this.#worker.postMessage(message);
    });
  }
}
