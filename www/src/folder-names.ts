// The names of the files in folders, for whoever searches the book: asked of the client when a search begins, folder after folder, and kept while
// the page is open. What is in a folder never changes: its id is that of its list.

import { session } from './session';

/** Folders that are looked into, the newest first, and names that are kept of all of them: some tens of MB of text at most. */
const FOLDERS = 500;
const NAMES = 200_000;

class FolderNames extends EventTarget {
  private readonly known = new Map<string, readonly string[]>();
  private count = 0;
  private learning = false;

  /** The paths in a folder; undefined while they are not known. */
  of(id: string): readonly string[] | undefined {
    return this.known.get(id);
  }

  /** Asks for the names that are not known yet; `change` says when some are. */
  async learn(): Promise<void> {
    const { client } = session;
    if (this.learning || !client) return;
    this.learning = true;
    for (const { file, folder } of session.files.slice(0, FOLDERS)) {
      if (!folder || this.known.has(file) || this.count > NAMES) continue;
      // One that cannot be read now is asked for with the next search.
      const whole = await client.file(file).catch(() => undefined);
      if (!whole) continue;
      const paths = whole.files.map(({ path }) => path);
      this.known.set(file, paths);
      this.count += paths.length;
      this.dispatchEvent(new Event('change'));
    }
    this.learning = false;
  }
}

export const folderNames = new FolderNames();
