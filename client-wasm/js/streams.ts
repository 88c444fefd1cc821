/**
 * A stream of bytes as a file: it is read once, to where the browser or the system keeps files, so that its length may be anything and memory
 * stays bounded.
 *
 * In a browser that is the origin's private file system; where it cannot be written, a Blob, which the browser may keep in memory, of at
 * most `MOST_HELD_BYTES`. In Node it is a file in the folder for temporary files.
 */

import { SealdropError } from './errors.js';
import { abortedError } from './meter.js';
import { isNode } from './node.js';
import { temporaryFile } from './node-blobs.js';
import { isStream, type SpoolOptions } from './spooling.js';

/** Bytes of a stream where there is no place for it but a Blob: browsers end tabs that hold more. */
const MOST_HELD_BYTES = 2 ** 30;
/** The folder of streams that were read, in the origin's private file system. */
const FOLDER = 'sealdrop-streams';
/** What is older is left from a page that was closed, in milliseconds. */
const STALE_MS = 24 * 3600 * 1000;

type Bytes = Uint8Array<ArrayBuffer>;

/** A place that takes bytes one after the other, and is a file in the end. */
interface Place {
  write(bytes: Bytes): Promise<void>;
  /** All is written. */
  finish(): Promise<Blob>;
  remove(): Promise<void>;
}

/** All of it as a file, and what lets go of that. */
export async function readAll(
  input: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>,
  { signal, onBytes }: SpoolOptions,
): Promise<{ file: Blob; release: () => Promise<void> }> {
  const place = isNode() ? await ofNode() : ((await privateFile().catch(() => undefined)) ?? held());
  try {
    let done = 0;
    for await (const bytes of parts(input, signal)) {
      await place.write(new Uint8Array(bytes));
      done += bytes.length;
      onBytes?.(done);
    }
    return { file: await place.finish(), release: place.remove };
  } catch (thrown) {
    await place.remove().catch(() => undefined);
    throw thrown;
  }
}

/** The stream's parts. Whoever stops has it end, too. */
async function* parts(
  input: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const next = isStream(input) ? ofStream(input) : ofIterable(input);
  const over = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    const stop = () => reject(abortedError());
    if (signal?.aborted) {
      stop();
    }
    signal?.addEventListener('abort', stop, { once: true, signal: over.signal });
  });
  stopped.catch(() => undefined);
  let whole = false;
  try {
    for (;;) {
      const { done, value } = await Promise.race([stopped, next.read()]);
      if (done) {
        whole = true;
        return;
      }
      if (!(value instanceof Uint8Array)) {
        throw new SealdropError(
          'bad-argument',
          'a stream of something else than bytes',
          'Hand in parts as Uint8Array.',
        );
      }
      yield value;
    }
  } finally {
    over.abort();
    if (!whole) {
      // It may never answer.
      void next.end().catch(() => undefined);
    }
  }
}

interface Parts {
  read(): Promise<{ done?: boolean | undefined; value?: unknown }>;
  end(): Promise<unknown>;
}

function ofStream(stream: ReadableStream<Uint8Array>): Parts {
  const reader = stream.getReader();
  return { read: () => reader.read(), end: () => reader.cancel() };
}

function ofIterable(iterable: AsyncIterable<Uint8Array>): Parts {
  const iterator = iterable[Symbol.asyncIterator]();
  return { read: () => iterator.next(), end: async () => iterator.return?.() };
}

/** A file of the origin's private file system. */
async function privateFile(): Promise<Place> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(FOLDER, { create: true });
  await removeStale(folder);
  const name = crypto.randomUUID();
  const handle = await folder.getFileHandle(name, { create: true });
  const writing = await handle.createWritable();
  return {
    write: (bytes) => writing.write(bytes),
    async finish() {
      await writing.close();
      return handle.getFile();
    },
    async remove() {
      // What is closed cannot be ended, and a file that is being written not removed.
      await writing.abort().catch(() => undefined);
      await folder.removeEntry(name);
    },
  };
}

/** Lets go of streams of pages that were closed. */
async function removeStale(folder: FileSystemDirectoryHandle): Promise<void> {
  for await (const [name, handle] of folder.entries()) {
    const { lastModified } = await (handle as FileSystemFileHandle).getFile();
    if (Date.now() - lastModified > STALE_MS) {
      // It may be another tab's that reads all day.
      await folder.removeEntry(name).catch(() => undefined);
    }
  }
}

/** A Blob of parts: the browser may keep them aside. */
function held(): Place {
  const parts: Blob[] = [];
  let size = 0;
  return {
    async write(bytes) {
      size += bytes.length;
      if (size > MOST_HELD_BYTES) {
        throw new SealdropError(
          'storage',
          `this browser lets a page keep no stream of more than ${MOST_HELD_BYTES} bytes`,
          'Hand in a file, or open the page over HTTPS in a browser that has the origin’s private file system.',
        );
      }
      parts.push(new Blob([bytes]));
    },
    finish: async () => new Blob(parts),
    async remove() {
      parts.length = 0;
    },
  };
}

async function ofNode(): Promise<Place> {
  const file = await temporaryFile();
  return { write: file.append, finish: file.blob, remove: file.remove };
}
