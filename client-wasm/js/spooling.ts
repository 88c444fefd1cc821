/** Whatever is handed in to be stored, as files with names; a stream is read first (`streams.ts`, which is loaded for that). */

import { postable } from './host.js';
import { isNode } from './node.js';
import { inputsOf } from './preparing.js';
import type { CallOptions, FilesInput, Input } from './types.js';

/** What has no name. */
const UNNAMED = 'unnamed';

/** What was handed in, as files; `release` lets go of what was written for it, once it is not needed. */
export interface Spooled {
  readonly files: FilesInput;
  readonly release: () => Promise<void>;
}

/** How it is read. */
export interface SpoolOptions extends CallOptions {
  readonly name?: string | undefined;
  /** So many bytes of a stream are here. */
  readonly onBytes?: ((done: number) => void) | undefined;
}

const nothing = () => Promise.resolve();

/** Files as they are handed in; a stream is read first. Throws `storage` where there is no room for it, `empty-file`, and `aborted`. */
export async function spool(input: Input, options: SpoolOptions): Promise<Spooled> {
  const { name } = options;
  if (isStream(input) || isIterable(input)) {
    const { readAll } = await import('./streams.js');
    const { file, release } = await readAll(input, options);
    return { files: [{ path: name ?? UNNAMED, file }], release };
  }
  return isNode() ? postableFiles(filesOf(input, name)) : { files: filesOf(input, name), release: nothing };
}

function filesOf(input: Exclude<Input, ReadableStream | AsyncIterable<Uint8Array>>, name?: string): FilesInput {
  if (input instanceof File) {
    return name === undefined ? input : [{ path: name, file: input }];
  }
  if (input instanceof Blob) {
    return [{ path: name ?? UNNAMED, file: input }];
  }
  if (input instanceof Uint8Array) {
    return [{ path: name ?? UNNAMED, file: new Blob([new Uint8Array(input)]) }];
  }
  return Array.isArray(input) ? input : Array.from(input as FileList);
}

/** Files that threads of Node can be handed. */
async function postableFiles(files: FilesInput): Promise<Spooled> {
  const list = inputsOf(files);
  const { blobs, release } = await postable(list.map(({ file }) => file));
  return { files: list.map(({ path }, at) => ({ path, file: blobs[at] ?? new Blob() })), release };
}

/** Whether it is a stream of the web's kind. */
export function isStream(input: object): input is ReadableStream<Uint8Array> {
  return 'getReader' in input;
}

function isIterable(input: object): input is AsyncIterable<Uint8Array> {
  return Symbol.asyncIterator in input;
}
