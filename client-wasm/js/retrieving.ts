/**
 * A file that comes back as a stream, piece by piece, on the page's side.
 *
 * The worker fetches a piece from one of its miners and checks it as a whole; only then are its bytes handed out here. While they are
 * read, the next piece is fetched: two pieces are held at once, by the browser, which may have them on the disk.
 */

import { SealdropError } from './errors.js';
import { abortedError, Meter } from './meter.js';
import type { FileSpans, PieceSpan } from './protocol.js';
import type { RetrieveOptions, RunOptions } from './types.js';

/** What this needs of the link to the worker. */
export interface PieceSource {
  readonly spans: () => Promise<FileSpans>;
  readonly piece: (span: PieceSpan, options: RunOptions) => Promise<Blob>;
}

/** A range of a file. Ends with an error when none of a piece's copies comes back as it should. */
export function fileStream(source: PieceSource, options: RetrieveOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
  const retrieval = new FileRetrieval(source, options);
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull: (controller) => retrieval.pull(controller),
      cancel: () => retrieval.cancel(),
    },
    { highWaterMark: 0 },
  );
}

type Controller = ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
type Part = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

class FileRetrieval {
  readonly #source: PieceSource;
  readonly #stop = new AbortController();
  readonly #meter: Meter;
  #spans: readonly PieceSpan[] | undefined;
  #total = 0;
  /** Bytes of the pieces that are here. */
  #done = 0;
  #next = 0;
  #ahead: Promise<Blob> | undefined;
  #part: Part | undefined;

  constructor(source: PieceSource, { signal, onProgress }: RetrieveOptions) {
    this.#source = source;
    this.#meter = new Meter(onProgress);
    if (signal?.aborted) {
      this.#stop.abort();
    }
    signal?.addEventListener('abort', () => this.#stop.abort(), { once: true, signal: this.#stop.signal });
  }

  async pull(controller: Controller): Promise<void> {
    try {
      for (;;) {
        if (this.#stop.signal.aborted) {
          throw abortedError();
        }
        this.#part ??= await this.#begin();
        const part = this.#part;
        if (part === undefined) {
          return controller.close();
        }
        const { done, value } = await part.read();
        if (!done) {
          return controller.enqueue(value);
        }
        this.#part = undefined;
      }
    } catch (thrown) {
      this.#stop.abort();
      throw thrown instanceof Error ? thrown : SealdropError.from(thrown as SealdropError);
    }
  }

  cancel(): void {
    this.#stop.abort();
    void this.#part?.cancel().catch(() => undefined);
  }

  /** The next piece's part of the range; undefined behind the last one. */
  async #begin(): Promise<Part | undefined> {
    if (this.#spans === undefined) {
      this.#spans = (await this.#source.spans()).spans;
      this.#total = this.#spans.reduce((sum, { from, to }) => sum + to - from, 0);
      this.#fetchNext();
    }
    const span = this.#spans[this.#next - 1];
    const coming = this.#ahead;
    if (span === undefined || coming === undefined) {
      this.#meter.report(this.#total, this.#total);
      return undefined;
    }
    const piece = await coming;
    this.#done += span.to - span.from;
    this.#fetchNext();
    return piece.slice(span.from, span.to).stream().getReader() as Part;
  }

  #fetchNext(): void {
    const span = this.#spans?.[this.#next];
    this.#next += 1;
    if (span === undefined) {
      this.#ahead = undefined;
      return;
    }
    const before = this.#done;
    const bytes = span.to - span.from;
    const onProgress = ({ done, total }: { done: number; total: number }): void => {
      this.#meter.report(before + bytes * (total > 0 ? done / total : 0), this.#total);
    };
    this.#ahead = this.#source.piece(span, { signal: this.#stop.signal, onProgress });
    // It is awaited later; a rejection until then must not count as unhandled.
    this.#ahead.catch(() => undefined);
  }
}
