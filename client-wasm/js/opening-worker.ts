/** Decrypts one file for the page, range by range; it ends with the stream that it serves (`opening.ts`). */

import { Age, type AgeFile } from './age.js';
import { problemOf } from './errors.js';
import type { FromOpening, ToOpening } from './opening.js';

let file: AgeFile | undefined;

async function answer(message: ToOpening): Promise<FromOpening> {
  if (message.kind === 'open') {
    const age = await Age.load(message.module);
    const { with: key } = message;
    file = 'state' in key ? age.openKept(key.state) : age.openSealed(key.head, key.cipherLength, key.key);
    return { kind: 'opened', plainLength: file.plainLength };
  }
  if (file === undefined) {
    throw new Error('no file is open');
  }
  if (message.kind === 'range') {
    return { kind: 'range', cipher: file.cipherRange(message.plain) };
  }
  return { kind: 'bytes', bytes: file.decrypt(message.plain, message.cipher).slice() };
}

self.onmessage = async ({ data }: MessageEvent<ToOpening>) => {
  let told: FromOpening;
  try {
    told = await answer(data);
  } catch (thrown) {
    told = { kind: 'problem', problem: problemOf(thrown) };
  }
  self.postMessage(told, { transfer: told.kind === 'bytes' ? [told.bytes.buffer] : [] });
};
