/** Whether chosen files are still what they were: looked at before anything is kept or promised. */

import { SealdropError } from './errors.js';
import type { Piece } from './types.js';

/** Files of a folder that are looked at at once. */
const LOOKS = 16;

/** A browser refuses every byte of a file that has changed on the disk, and one that was cut short has no last one. */
async function isUnchanged(file: Blob): Promise<boolean> {
  const last = await file
    .slice(file.size - 1)
    .arrayBuffer()
    .catch(() => undefined);
  return last?.byteLength === Math.min(1, file.size);
}

/** Throws where a file is not the one that its piece was computed over. */
export async function checkPiece(file: Blob, piece: Piece): Promise<void> {
  if (file.size !== piece.size) {
    throw new SealdropError(
      'bad-argument',
      `the file has ${file.size} bytes, but the piece was computed over ${piece.size} bytes`,
      'Prepare the file again.',
    );
  }
  if (!(await isUnchanged(file))) {
    throw new SealdropError(
      'file-lost',
      'the file has changed or is gone since its piece was computed',
      'Choose it again, and prepare it again.',
    );
  }
}

/** Throws `file-lost` for the first of some files that is not what it was. */
export async function checkUnchanged(blobs: readonly Blob[], sizes: readonly number[]): Promise<void> {
  for (let at = 0; at < blobs.length; at += LOOKS) {
    const some = blobs.slice(at, at + LOOKS);
    const same = await Promise.all(
      some.map(async (blob, i) => blob.size === sizes[at + i] && (await isUnchanged(blob))),
    );
    const wrong = same.indexOf(false);
    if (wrong >= 0) {
      const blob = some[wrong];
      const name = blob instanceof File ? `“${blob.name}”` : 'one of the files';
      throw new SealdropError(
        'file-lost',
        `${name} has changed or is gone since it was hashed`,
        'Choose it again, and prepare it again.',
      );
    }
  }
}
