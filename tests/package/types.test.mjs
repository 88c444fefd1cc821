// The package's types for those who use it: by both ways of finding them, in every example of the documentation, and in its reference.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { CLIENT, dapp, exec, HERE, tool } from './packed.mjs';

const LIMIT = { timeout: 300_000 };
const TSC = tool('tsc');

const options = (more) => ({
  compilerOptions: {
    target: 'ES2022',
    lib: ['ES2022', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'],
    jsx: 'react-jsx',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // The package's own declarations are checked, too.
    skipLibCheck: false,
    noEmit: true,
    types: ['node', 'react'],
    typeRoots: [join(HERE, 'node_modules/@types')],
    ...more,
  },
});

for (const [module, moduleResolution] of [
  ['ESNext', 'bundler'],
  ['NodeNext', 'nodenext'],
]) {
  test(`TypeScript finds the types by ${moduleResolution}`, LIMIT, async () => {
    const folder = await dapp(`types-${moduleResolution}`, 'types/consumer.ts');
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(options({ module, moduleResolution })));
    await exec(TSC, ['--project', folder]);
  });
}

/** What the documentation's examples take as given. */
const GIVEN = `
import type { Client, Deal, MinerInfo, Piece } from 'sealdrop-client';
declare global {
  const client: Client;
  const file: File;
  const files: File[];
  const id: string;
  const path: string;
  const deal: Deal;
  const miner: MinerInfo;
  const piece: Piece;
  const duration: number;
  const formatFil: typeof import('sealdrop-client').formatFil;
}
`;

/** The examples of a document in TypeScript or JavaScript, each with where it begins. */
async function examples(file) {
  const text = await readFile(file, 'utf8');
  return [...text.matchAll(/^```(tsx?|js)\n([\s\S]*?)^```$/gm)].map((match) => ({
    line: text.slice(0, match.index).split('\n').length,
    language: match[1] === 'tsx' ? 'tsx' : 'ts',
    code: match[2],
  }));
}

test('every example of the documentation has the right types', LIMIT, async () => {
  const folder = await dapp('examples');
  await writeFile(join(folder, 'given.d.ts'), GIVEN);
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify(options({ module: 'ESNext', moduleResolution: 'bundler' })),
  );
  let count = 0;
  for (const [name, file] of Object.entries({
    package: join(CLIENT, 'README.md'),
    root: resolve(CLIENT, '../README.md'),
  })) {
    for (const { line, language, code } of await examples(file)) {
      count += 1;
      await writeFile(join(folder, `${name}-${line}.${language}`), `export {};\n${code}`);
    }
  }
  assert.ok(count >= 10, `${count} examples were found`);
  await exec(TSC, ['--project', folder]);
});

test('the reference is made without warnings', LIMIT, async () => {
  await exec('npm', ['run', '--silent', 'docs', '--', '--treatWarningsAsErrors'], { cwd: CLIENT });
});
