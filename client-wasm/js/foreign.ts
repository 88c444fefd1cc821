/** Files that come back, on the page's side: of this browser's book and of anybody's, as they are stored or decrypted. */

import { HEAD_BYTES, type Span } from './age.js';
import { SealdropError } from './errors.js';
import { openingKey, withKeys } from './keys.js';
import type { Caller } from './link.js';
import { openedStream, type Stored } from './opening.js';
import { rangeStream } from './ranges-stream.js';
import { fileStream } from './retrieving.js';
import type { OpenedFile, OpenWith, RetrieveOptions, RunOptions } from './types.js';
import { whenRead } from './when-read.js';

type Bytes = Uint8Array<ArrayBuffer>;

/** A file of this browser or of anybody's, or a range of it. */
export function retrieveFile(
  link: Caller,
  id: string,
  path: string | undefined,
  options: RetrieveOptions,
): ReadableStream<Bytes> {
  const asStored = (path: () => Promise<string | undefined>) =>
    storedStream({ link, id, path }, options.range, options);
  const named = () => Promise.resolve(path);
  if (options.raw) {
    return asStored(named);
  }
  return whenRead(async () => {
    const own = await link.call('fileOpening', [id, path]);
    if (own !== undefined) {
      const read = reading({ link, id, path: named }, options);
      return openedStream(async () => ({ cipherLength: own.size, read, opens: own }), options);
    }
    const key = openingKey(options);
    if (key === undefined) {
      return asStored(named);
    }
    return openedStream(async () => {
      const { stored, size } = await entry(link, id, path, options);
      const read = reading({ link, id, path: async () => stored }, options);
      return { cipherLength: size, read, opens: { key } };
    }, options);
  });
}

/** One file; `path` is what the manifest calls it. */
interface Named {
  readonly link: Caller;
  readonly id: string;
  readonly path: () => Promise<string | undefined>;
}

/** How the ciphertext is read of which `options` want the plaintext: of a range, and of the head, only the leaves that they lie in. */
function reading(file: Named, options: RetrieveOptions): Stored['read'] {
  return (range, running) =>
    options.range !== undefined || range[1] <= HEAD_BYTES
      ? storedStream(file, range, running)
      : piecesStream(file, range, running);
}

/** A file as it is stored, piece by piece, or of a range the leaves that it lies in. */
function storedStream(file: Named, range: Span | undefined, options: RunOptions): ReadableStream<Bytes> {
  if (range === undefined) {
    return piecesStream(file, undefined, options);
  }
  const { link, id, path } = file;
  return rangeStream(
    {
      windows: async (part) => link.call('fileSpans', [id, await path(), part, true]),
      read: (window, running) => link.call('retrieveRange', [window], running),
    },
    { ...options, range },
  );
}

function piecesStream({ link, id, path }: Named, range: Span | undefined, options: RunOptions): ReadableStream<Bytes> {
  return fileStream(
    {
      spans: async () => link.call('fileSpans', [id, await path(), range, false]),
      piece: ({ dataCid, size }, running) => link.call('retrievePiece', [dataCid, size], running),
    },
    options,
  );
}

/** What is in a file or folder of anybody's. */
export async function lookInto(link: Caller, id: string, key: OpenWith): Promise<OpenedFile> {
  const manifest = await link.call('manifest', [id]);
  const opened = await withKeys('openManifest', manifest, openingKey(key));
  const files = opened.files.map(({ path, size, root }) => ({ path, size, root }));
  return { id, name: opened.name, folder: opened.folder, encrypted: opened.encrypted, files };
}

async function entry(link: Caller, id: string, path: string | undefined, key: OpenWith) {
  const manifest = await link.call('manifest', [id]);
  const { encrypted, files } = await withKeys('openManifest', manifest, openingKey(key));
  if (!encrypted) {
    throw new SealdropError('bad-argument', 'this file is not encrypted', 'Leave the key out.');
  }
  const found = path === undefined && files.length === 1 ? files[0] : files.find((file) => file.path === path);
  if (found === undefined) {
    const why = path === undefined ? 'a folder comes back file by file: name one' : `there is no file “${path}” in it`;
    throw new SealdropError('bad-argument', why);
  }
  return found;
}
