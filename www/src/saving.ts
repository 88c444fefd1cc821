// Files on their way to the disk: as a stream where the browser lets a page write, else through the Service Worker as a download of the
// browser's own, else through its memory within a limit.

import type { OpenWith, WholeFile } from 'sealdrop-client';
import { bytes } from './amounts';
import { hindrance, offer } from './playing';
import { PageError } from './problem';
import { session } from './session';
import { t } from './words';

/** What is smaller is simply downloaded, without a dialog about where to. */
const SMALL_BYTES = 64 << 20;
/** Without a way to write to the disk, a file is held as a Blob: browsers keep those of such a size aside, larger ones end the tab. */
export const BLOB_LIMIT = 1 << 30;
/** How long a saved file's address is kept for the browser to read it. */
const KEEP_MS = 60_000;

/** What browsers of one family let a page do, and its types do not know. */
interface Pickers {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
  showDirectoryPicker?(options: { mode: 'readwrite' }): Promise<FileSystemDirectoryHandle>;
}

const pickers = globalThis as Pickers;

/** Whether a whole folder can be written. */
export const canSaveFolders = (): boolean => pickers.showDirectoryPicker !== undefined;

/** What is saved, and who watches. */
export interface Saving {
  signal: AbortSignal;
  /** So many bytes of all are here. */
  onBytes: (done: number) => void;
  /** What opens a file that is not of this browser. */
  key?: OpenWith;
  /** Where it is found, if that is not its path: a single file has none. */
  from?: { path: string | undefined };
}

/** Saves one file of what is stored; asks where to, unless it is small. */
export async function saveFile(id: string, path: string, size: number, saving: Saving): Promise<void> {
  const name = path.split('/').at(-1) ?? path;
  if (size > SMALL_BYTES && pickers.showSaveFilePicker) {
    const handle = await pickers.showSaveFilePicker({ suggestedName: name });
    return write(await handle.createWritable(), id, path, saving, 0);
  }
  if (size > SMALL_BYTES && hindrance() === undefined) {
    return download(id, path, size, name, saving);
  }
  if (size > BLOB_LIMIT) {
    throw new PageError(
      'unsupported',
      () => t.preview.tooLargeToSave(bytes(BLOB_LIMIT), bytes(size)),
      () => t.preview.tooLargeToSaveNext,
    );
  }
  save(await blobOf(streamOf(id, path, saving, 0)), name);
}

/** A download of the browser's own, which the Service Worker feeds with what comes; resolves when it has all of it. */
async function download(id: string, path: string, size: number, name: string, saving: Saving): Promise<void> {
  const frame = document.createElement('iframe');
  frame.hidden = true;
  let end: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const stopped = () => reject(new DOMException('it was stopped', 'AbortError'));
      saving.signal.addEventListener('abort', stopped, { once: true });
      const read = (_from: number, _to: number, signal: AbortSignal) =>
        streamOf(id, path, { ...saving, signal: AbortSignal.any([signal, saving.signal]) }, 0);
      const onEnd = (problem?: unknown) => (problem === undefined ? resolve() : reject(problem));
      // What a key opens is somewhat shorter than what is stored, and by how much is known only when it is opened.
      const atMost = saving.key?.identity !== undefined || saving.key?.passphrase !== undefined;
      offer({ size, atMost, name, type: 'application/octet-stream', read, onEnd }).then((offered) => {
        end = offered.end;
        frame.src = offered.download;
        // A download is no document: one that is loaded says why there is none.
        frame.onload = () => {
          if (frame.contentDocument?.URL !== 'about:blank')
            reject(new PageError('unsupported', () => t.preview.notBegun));
        };
        document.body.append(frame);
      }, reject);
    });
  } finally {
    end?.();
    // The browser takes the download out of the frame; what it has begun goes on.
    setTimeout(() => frame.remove(), KEEP_MS);
  }
}

/** All of a stream. A `Response` of it would forget why it failed. */
async function blobOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Blob> {
  const parts: Blob[] = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(parts);
    // A Blob may lie on disk, an array only in memory.
    parts.push(new Blob([value]));
  }
}

/** Saves a folder into one that the person chooses, under its own name; nothing that is there is written over. */
export async function saveFolder(file: WholeFile, saving: Saving): Promise<void> {
  if (!pickers.showDirectoryPicker) throw new PageError('unsupported', () => t.preview.noFolders);
  const place = await pickers.showDirectoryPicker({ mode: 'readwrite' });
  await refuseExisting(place, file.name);
  const top = await place.getDirectoryHandle(file.name, { create: true });
  let before = 0;
  for (const { path, size: stored, plainSize: size = stored } of file.files) {
    const parts = path.split('/');
    const name = parts.pop() ?? path;
    let folder = top;
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true });
    const handle = await folder.getFileHandle(name, { create: true });
    await write(await handle.createWritable(), file.file, path, saving, before);
    before += size;
  }
}

async function refuseExisting(place: FileSystemDirectoryHandle, name: string): Promise<void> {
  const there = await place.getDirectoryHandle(name).then(
    () => true,
    (error: unknown) => !(error instanceof DOMException && error.name === 'NotFoundError'),
  );
  if (!there) return;
  throw new PageError(
    'bad-argument',
    () => t.preview.exists(name),
    () => t.preview.existsNext,
  );
}

async function write(
  to: FileSystemWritableFileStream,
  id: string,
  path: string,
  saving: Saving,
  before: number,
): Promise<void> {
  // On an error the browser drops what was written.
  await streamOf(id, path, saving, before).pipeTo(to, { signal: saving.signal });
}

function streamOf(
  id: string,
  path: string,
  { signal, onBytes, key, from }: Saving,
  before: number,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  if (!session.client) throw new PageError('chain-unreachable', () => t.preview.offline);
  return session.client.retrieve(id, {
    path: from ? from.path : path,
    ...key,
    signal,
    onProgress: ({ done }) => onBytes(before + done),
  });
}

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_MS);
}
