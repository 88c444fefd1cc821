// The package as it is packed, laid out beside dapps that use it: `dist/node_modules/sealdrop-client`, and a folder for each dapp in `dist`.
// They find the package there, and their tools one folder further up.

import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const HERE = import.meta.dirname;
export const CLIENT = resolve(HERE, '../../client-wasm');
export const WORK = join(HERE, 'dist');
export const PACKAGE = join(WORK, 'node_modules/sealdrop-client');
export const TARBALL = join(WORK, 'sealdrop-client.tgz');

let packed;

/** Packs what was built, once in a process. */
export function pack() {
  packed ??= (async () => {
    await rm(PACKAGE, { recursive: true, force: true });
    await mkdir(PACKAGE, { recursive: true });
    // Building it is another command's work.
    const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', WORK], {
      cwd: CLIENT,
    });
    const [{ filename, files }] = JSON.parse(stdout);
    await rm(TARBALL, { force: true });
    await cp(join(WORK, filename), TARBALL);
    await rm(join(WORK, filename));
    await run('tar', ['-xzf', TARBALL, '-C', PACKAGE, '--strip-components=1']);
    return files.map(({ path, size }) => ({ path, size }));
  })();
  return packed;
}

/** A dapp's folder, with these files of `consumers` in it. */
export async function dapp(name, ...files) {
  await pack();
  const folder = join(WORK, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const file of files) await cp(join(HERE, 'consumers', file), join(folder, file), { recursive: true });
  return folder;
}

/** A program of this folder's tools. */
export const tool = (name) => join(HERE, 'node_modules/.bin', name);

/** Runs a program to its end; what it said is the error's message where it fails. */
export async function exec(program, args, options) {
  try {
    return await run(program, args, { maxBuffer: 64 << 20, ...options });
  } catch (error) {
    throw new Error(`${program} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`);
  }
}

/** Starts a server and waits until it says where it is; `end` ends it with all that it started. */
export async function serving(program, args, options) {
  const child = spawn(program, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const gone = new Promise((done) => child.once('exit', done));
  let said = '';
  const url = await new Promise((found, failed) => {
    const read = (data) => {
      said += data;
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal.
      const [address] = /http:\/\/(localhost|127\.0\.0\.1):\d+\/?/.exec(said.replace(/\x1b\[[0-9;]*m/g, '')) ?? [];
      if (address) found(address);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    void gone.then(() => failed(new Error(`${program} ended:\n${said}`)));
  });
  return {
    url,
    async end() {
      process.kill(-child.pid, 'SIGTERM');
      await gone;
    },
  };
}

/** All files of a folder, with their paths in it. */
export async function filesOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
