/**
 * Reads a part of a file from its start to its end, at most a few MiB ahead of whoever takes the bytes.
 *
 * A byte stream of the browser goes on reading while the taker computes, and fills one buffer over and over: it costs half
 * of what `arrayBuffer()` does, and memory stays flat. Where there is none, the next bytes are asked for one step ahead.
 */

/** A read that takes longer has stalled: the medium is gone, or the browser lost it. */
export const READ_LIMIT_MS = 30_000;

/** What reading throws: the browser's own name for it, so that all such failures are told alike. */
function unreadable(reason: string): DOMException {
  return new DOMException(reason, 'NotReadableError');
}

/** Reads `blob` from `from` to `to`. */
export class Reader {
  // The browser drops a slice and a stream that nothing refers to, and then a read never ends.
  readonly #part: Blob;
  readonly #stream: ReadableStreamBYOBReader | undefined;
  readonly #from: number;
  #at: number;
  #buffer = new ArrayBuffer(0);
  /** Bytes asked for ahead, where there is no stream. */
  #ahead: { readonly length: number; readonly bytes: Promise<ArrayBuffer> } | undefined;

  constructor(blob: Blob, from: number, to: number) {
    this.#part = blob.slice(from, to);
    this.#from = this.#at = from;
    this.#stream = byteStream(this.#part);
  }

  /**
   * The next `length` bytes; valid until the next call. `next` is the length of the call after this one, if there is one.
   * Rejects with a NotReadableError when the file ends early, changes, or does not come.
   */
  async take(length: number, next: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = this.#stream ? await this.#fill(this.#stream, length) : await this.#whole(length, next);
    this.#at += length;
    return bytes;
  }

  /** Fills `buffer`, of an earlier reader, as long as it is large enough. */
  begin(buffer: ArrayBuffer): void {
    this.#buffer = buffer;
  }

  /** Lets go of all that the browser keeps for the reading; gives the buffer for the next. */
  end(): ArrayBuffer {
    this.cancel();
    const buffer = this.#buffer;
    this.#buffer = new ArrayBuffer(0);
    return buffer;
  }

  /** Ends the reading early. */
  cancel(): void {
    this.#stream?.cancel().catch(() => undefined);
  }

  async #fill(stream: ReadableStreamBYOBReader, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#buffer.byteLength < length) {
      this.#buffer = new ArrayBuffer(length);
    }
    let filled = 0;
    while (filled < length) {
      const view = new Uint8Array(this.#buffer, filled, length - filled);
      const { done, value } = await inTime(this, stream.read(view)).catch((error: unknown) => this.#explain(error));
      if (value) {
        this.#buffer = value.buffer;
        filled += value.byteLength;
      }
      if (done) {
        throw this.#short(filled);
      }
    }
    return new Uint8Array(this.#buffer, 0, length);
  }

  async #whole(length: number, next: number): Promise<Uint8Array<ArrayBuffer>> {
    const start = this.#at - this.#from;
    const ask = (from: number, length: number) => {
      const bytes = this.#part.slice(from, from + length).arrayBuffer();
      // It is awaited later; a rejection until then must not count as unhandled.
      bytes.catch(() => undefined);
      return { length, bytes };
    };
    const now = this.#ahead?.length === length ? this.#ahead : ask(start, length);
    const bytes = await inTime(this, now.bytes);
    if (bytes.byteLength < length) {
      throw this.#short(bytes.byteLength);
    }
    this.#ahead = next > 0 ? ask(start + length, next) : undefined;
    return new Uint8Array(bytes);
  }

  /** A broken stream only says that it is broken; reading in the other way says why. */
  async #explain(error: unknown): Promise<never> {
    if (!(error instanceof DOMException)) {
      await inTime(this, this.#part.slice(0, 1).arrayBuffer());
      throw unreadable(error instanceof Error ? error.message : String(error));
    }
    throw error;
  }

  #short(filled: number): DOMException {
    return unreadable(`it ended after ${this.#at + filled} bytes, so it has become shorter since it was chosen`);
  }
}

/** A reader that fills a buffer of ours; undefined in browsers whose files have none. */
function byteStream(blob: Blob): ReadableStreamBYOBReader | undefined {
  try {
    return blob.stream().getReader({ mode: 'byob' });
  } catch {
    return undefined;
  }
}

/** What `work` gives, unless it takes too long. Until then the timer keeps `reader`, and so its stream, from being dropped. */
async function inTime<T>(reader: Reader, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stalled = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reader.cancel();
      reject(unreadable(`nothing came for ${READ_LIMIT_MS / 1000} seconds`));
    }, READ_LIMIT_MS);
  });
  try {
    return await Promise.race([work, stalled]);
  } finally {
    clearTimeout(timer);
  }
}
