/**
 * Blobs that threads of Node hand to each other. Those in memory can be posted; those of files cannot, and are told by where the file is:
 * one that somebody else opened is copied first, because nothing tells its path.
 */

import { type Postable, packMessages } from './host.js';
import { node } from './node.js';

interface Files {
  appendFile(path: string, bytes: Uint8Array): Promise<void>;
  mkdtemp(prefix: string): Promise<string>;
  rm(path: string, options: Removal): Promise<void>;
}

interface FilesNow {
  openAsBlob(path: string): Promise<Blob>;
  rmSync(path: string, options: Removal): void;
}

interface Removal {
  readonly recursive: boolean;
  readonly force: boolean;
}

interface Process {
  once(event: 'exit', listener: () => void): void;
  off(event: 'exit', listener: () => void): void;
}

/** A blob of a file, as it is posted. */
interface Posted {
  readonly sealdropFile: string;
}

const paths = new WeakMap<Blob, string>();

/** A file as a Blob that can be posted to threads. */
export async function fileBlob(path: string): Promise<Blob> {
  const blob = await node<FilesNow>('node:fs').openAsBlob(path);
  paths.set(blob, path);
  packMessages(packed);
  return blob;
}

/** A file of our own, for this process alone, that goes with it at the latest. */
export interface TemporaryFile {
  readonly append: (bytes: Uint8Array) => Promise<void>;
  readonly blob: () => Promise<Blob>;
  readonly remove: () => Promise<void>;
}

export async function temporaryFile(): Promise<TemporaryFile> {
  const { appendFile, mkdtemp, rm } = node<Files>('node:fs/promises');
  const { tmpdir } = node<{ tmpdir(): string }>('node:os');
  const { process } = globalThis as unknown as { process: Process };
  const folder = await mkdtemp(`${tmpdir()}/sealdrop-`);
  const path = `${folder}/bytes`;
  const whole: Removal = { recursive: true, force: true };
  const leave = (): void => node<FilesNow>('node:fs').rmSync(folder, whole);
  process.once('exit', leave);
  await appendFile(path, new Uint8Array());
  return {
    append: (bytes) => appendFile(path, bytes),
    blob: () => fileBlob(path),
    async remove() {
      process.off('exit', leave);
      await rm(folder, whole);
    },
  };
}

/** The same blobs as ones that can be posted. */
export async function postableInNode<T extends Blob>(blobs: readonly T[]): Promise<Postable<T>> {
  const copies: TemporaryFile[] = [];
  const release = async (): Promise<void> => {
    await Promise.all(copies.map((copy) => copy.remove()));
  };
  const able: (T | Blob)[] = [];
  try {
    for (const blob of blobs) {
      if (paths.has(blob) || isInMemory(blob)) {
        able.push(blob);
        continue;
      }
      const copy = await temporaryFile();
      copies.push(copy);
      const reader = blob.stream().getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        await copy.append(part.value);
      }
      able.push(await copy.blob());
    }
  } catch (thrown) {
    await release();
    throw thrown;
  }
  return { blobs: able, release };
}

function isInMemory(blob: Blob): boolean {
  try {
    structuredClone(blob);
    return true;
  } catch {
    return false;
  }
}

/** A message with its files told by where they are. */
function packed(message: unknown): unknown {
  return replaced(message, (value) => {
    const path = value instanceof Blob ? paths.get(value) : undefined;
    return path === undefined ? value : ({ sealdropFile: path } satisfies Posted);
  });
}

/** The message that was packed. */
export async function unpacked(message: unknown): Promise<unknown> {
  const opened = new Map<string, Blob>();
  replaced(message, (value) => {
    if (isPosted(value)) {
      opened.set(value.sealdropFile, new Blob());
    }
    return value;
  });
  for (const path of opened.keys()) {
    opened.set(path, await fileBlob(path));
  }
  return opened.size === 0
    ? message
    : replaced(message, (value) => (isPosted(value) ? opened.get(value.sealdropFile) : value));
}

function isPosted(value: object): value is Posted {
  return 'sealdropFile' in value;
}

/** A value whose lists and plain objects are others where something in them is replaced. */
function replaced(value: unknown, by: (value: object) => unknown): unknown {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const other = by(value);
  if (other !== value) {
    return other;
  }
  if (Array.isArray(value)) {
    return value.map((one) => replaced(one, by));
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replaced(one, by)]));
}
