/**
 * A range of a file as a stream, on the page's side: read by read, each checked in the worker before its bytes are handed out.
 *
 * Which reads those are is said in Rust: a small one first, so that the first bytes are here soon. While one is read, the next one is
 * fetched, and no more: a reader that goes elsewhere has fetched a few MiB in vain at most.
 */

import { SealdropError } from './errors.js';
import { abortedError, Meter } from './meter.js';
import type { Extent, FileSpans, PieceSpan } from './protocol.js';
import type { RetrieveOptions, RunOptions } from './types.js';

type Bytes = Uint8Array<ArrayBuffer>;

/** What this needs of the link to the worker. */
export interface WindowSource {
  /** The first reads of the range. */
  readonly windows: (range: Extent) => Promise<FileSpans>;
  readonly read: (window: PieceSpan, options: RunOptions) => Promise<Bytes>;
}

/** The range's bytes, from the first of `options.range` to the one behind its last. */
export function rangeStream(source: WindowSource, options: RetrieveOptions): ReadableStream<Bytes> {
  const retrieval = new RangeRetrieval(source, options);
  return new ReadableStream<Bytes>(
    {
      pull: (controller) => retrieval.pull(controller),
      cancel: () => retrieval.cancel(),
    },
    { highWaterMark: 0 },
  );
}

class RangeRetrieval {
  readonly #source: WindowSource;
  readonly #stop = new AbortController();
  readonly #meter: Meter;
  readonly #range: readonly [number, number] | undefined;
  readonly #coming: Promise<Bytes>[] = [];
  #planned: PieceSpan[] = [];
  /** How far reads are planned, and to where they go; unknown before the first plan. */
  #at = 0;
  #end: number | undefined;
  #done = 0;

  constructor(source: WindowSource, { signal, onProgress, range }: RetrieveOptions) {
    this.#source = source;
    this.#range = range;
    this.#meter = new Meter(onProgress);
    if (signal?.aborted) {
      this.#stop.abort();
    }
    signal?.addEventListener('abort', () => this.#stop.abort(), { once: true, signal: this.#stop.signal });
  }

  async pull(controller: ReadableStreamDefaultController<Bytes>): Promise<void> {
    try {
      if (this.#stop.signal.aborted) {
        throw abortedError();
      }
      // The one that is handed out, and the one behind it.
      await this.#fetchNext();
      await this.#fetchNext();
      const bytes = await this.#coming.shift();
      if (bytes === undefined) {
        return controller.close();
      }
      this.#done += bytes.length;
      this.#meter.report(this.#done, (this.#end ?? 0) - (this.#range?.[0] ?? 0));
      controller.enqueue(bytes);
    } catch (thrown) {
      this.#stop.abort();
      throw thrown instanceof Error ? thrown : SealdropError.from(thrown as SealdropError);
    }
  }

  cancel(): void {
    this.#stop.abort();
  }

  async #fetchNext(): Promise<void> {
    if (this.#coming.length > 1) {
      return;
    }
    if (this.#planned.length === 0) {
      await this.#plan();
    }
    const window = this.#planned.shift();
    if (window === undefined) {
      return;
    }
    const coming = this.#source.read(window, { signal: this.#stop.signal });
    // It is awaited later; a rejection until then must not count as unhandled.
    coming.catch(() => undefined);
    this.#coming.push(coming);
  }

  async #plan(): Promise<void> {
    if (this.#end !== undefined && this.#at >= this.#end) {
      return;
    }
    const from = this.#end === undefined ? (this.#range?.[0] ?? 0) : this.#at;
    const { spans, size } = await this.#source.windows([from, this.#end ?? this.#range?.[1]]);
    this.#planned = [...spans];
    this.#end ??= this.#range?.[1] ?? size;
    const bytes = spans.reduce((sum, span) => sum + span.to - span.from, 0);
    if (bytes === 0) {
      // Nothing is wanted: the range is empty.
      this.#end = from;
    }
    this.#at = from + bytes;
  }
}
