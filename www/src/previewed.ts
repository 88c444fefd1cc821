// What of files and deals the page can show, and where their bytes come from.

import type { Deal, FolderEntry } from 'sealdrop-client';
import { shownAs } from './kinds';
import type { Previewed } from './preview';
import { PageError } from './problem';
import { session } from './session';
import { t } from './words';

function client() {
  if (!session.client) throw new PageError('chain-unreachable', () => t.preview.offline);
  return session.client;
}

/** A file of what is stored under this id; undefined for one that is not shown. */
export function previewOfEntry(id: string, { path, size: stored, plainSize }: FolderEntry): Previewed | undefined {
  const size = plainSize ?? stored;
  const name = path.split('/').at(-1) ?? path;
  const shown = size > 0 ? shownAs(name) : undefined;
  return (
    shown && {
      key: `${id}/${path}`,
      name,
      size,
      shown,
      read: (from, to, signal) => client().retrieve(id, { path, range: [from, to], signal }),
    }
  );
}

/** A deal's file; undefined for one that is not shown, and for a piece of a larger file. */
export function previewOfDeal({ id, name, type, size, partOf }: Deal): Previewed | undefined {
  const shown = partOf === undefined ? shownAs(name, type) : undefined;
  return (
    shown && {
      key: id,
      name,
      size,
      shown,
      read: (from, to, signal) => client().retrieve(id, { range: [from, to], signal }),
    }
  );
}
