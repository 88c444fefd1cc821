// The files of a built folder, compressed once and as well as can be, for servers that send them so. Called by `build.mjs`.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

/** What is text or code; sources of the debugger's are not worth the time. */
const COMPRESSED = /\.(?:css|html|js|json|svg|txt|wasm|webmanifest)$/;
/** Under this many bytes an answer's headers weigh more than what is saved. */
const LEAST = 512;

const ENCODERS = {
  br: (content) =>
    promisify(brotliCompress)(content, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
      },
    }),
  gz: (content) => promisify(gzip)(content, { level: constants.Z_BEST_COMPRESSION }),
};

/** Paths of all files below a folder, relative to it, with slashes and in order. */
export async function filesOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/')).sort();
}

/** Writes NAME.br and NAME.gz beside each file that gets smaller by it. */
export async function compressFolder(folder) {
  for (const name of (await filesOf(folder)).filter((name) => COMPRESSED.test(name))) {
    const content = await readFile(join(folder, name));
    if (content.length < LEAST) continue;
    for (const [ending, encode] of Object.entries(ENCODERS)) {
      const encoded = await encode(content);
      if (encoded.length < content.length) await writeFile(join(folder, `${name}.${ending}`), encoded);
    }
  }
}
