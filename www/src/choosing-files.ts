// What was dropped or chosen: files and whole folders, as a list of files with their paths.

import type { FileInput } from 'sealdrop-client';
import { PageError } from './problem';
import { t } from './words';

/** As many as a manifest holds. */
const MOST_FILES = 16_384;
/** Folders in folders: as many as a path may have parts. */
const MOST_DEPTH = 64;

/** What browsers of one family have: where a file is on the disk. */
interface DroppedItem {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
}

/** Files, and what all of them are called. */
export interface Chosen {
  name: string;
  /** Whether it is a folder, or several things. */
  folder: boolean;
  files: FileInput[];
  size: number;
}

/** More files than can be stored at once. */
export class TooManyFiles extends PageError {
  constructor() {
    super('bad-argument', () => t.drop.tooMany(MOST_FILES));
  }
}

/** What was chosen in the browser's dialog; a folder's files come with their paths. */
export function chosenIn(list: FileList | null | undefined): Chosen | undefined {
  const files = [...(list ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  return together(files);
}

/** What was dropped. Has to be called while the event is being handled: later the browser tells nothing. */
export async function droppedIn(given: DataTransfer | null): Promise<Chosen | undefined> {
  const items = [...(given?.items ?? [])].filter((item) => item.kind === 'file');
  const entries = items.map((item) => ({
    entry: item.webkitGetAsEntry?.(),
    file: item.getAsFile(),
    handle: (item as DroppedItem).getAsFileSystemHandle?.().catch(() => null),
  }));
  const files: FileInput[] = [];
  for (const { entry, file, handle } of entries) {
    if (entry?.isDirectory) await walk(entry as FileSystemDirectoryEntry, '', 1, files);
    else if (file) {
      const found = await handle;
      const where = found?.kind === 'file' ? (found as FileSystemFileHandle) : undefined;
      add(files, { path: file.name, file, handle: where });
    }
  }
  return together(files);
}

/** Files as one thing with a name. */
function together(files: FileInput[]): Chosen | undefined {
  if (files.length > MOST_FILES) throw new TooManyFiles();
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const [first] = files;
  if (!first) return undefined;
  const size = files.reduce((sum, { file }) => sum + file.size, 0);
  const [top = '', ...rest] = first.path.split('/');
  if (rest.length > 0 && files.every(({ path }) => path.startsWith(`${top}/`))) {
    return { name: top, folder: true, files, size };
  }
  if (files.length === 1) return { name: first.path, folder: false, files, size };
  return { name: t.drop.nFiles(files.length), folder: true, files, size };
}

function add(files: FileInput[], file: FileInput): void {
  if (files.length >= MOST_FILES) throw new TooManyFiles();
  files.push(file);
}

/** All files below a folder. */
async function walk(folder: FileSystemDirectoryEntry, above: string, depth: number, files: FileInput[]): Promise<void> {
  if (depth > MOST_DEPTH) throw new PageError('bad-argument', () => t.drop.tooDeep(folder.name, MOST_DEPTH));
  const path = `${above}${folder.name}/`;
  const reader = folder.createReader();
  for (;;) {
    // It gives a hundred at a time, and then none.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const entry of some) {
      if (entry.isDirectory) {
        await walk(entry as FileSystemDirectoryEntry, path, depth + 1, files);
      } else {
        const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
        add(files, { path: path + entry.name, file });
      }
    }
  }
}
