/**
 * Makes and reads what puts an account into safety, for one call: then it ends, and with it the memory that held secrets. A passphrase takes 256 MiB
 * and seconds.
 */

import { BackupModule } from './backup-module.js';
import type { BackupCalls, FromBackup, ToBackup } from './backups.js';
import { problemOf } from './errors.js';
import { nameAssets, readAsset, wasmFile } from './host.js';

async function load(): Promise<BackupModule> {
  const beside = new URL('./wasm/sealdrop_backup_module.wasm', import.meta.url);
  return BackupModule.load(await readAsset(wasmFile('sealdrop_backup_module.wasm', beside)));
}

const calls: BackupCalls = {
  phraseOf: async (root) => (await load()).phraseOf(root),
  rootOf: async (phrase) => (await load()).rootOf(phrase),
  seal: async (book, by) => (await load()).seal(book, by),
  open: async (file, by) => (await load()).open(file, by),
  async taking(pairs) {
    const module = await load();
    return pairs.map(([backed, here]) => module.takesThePlace(backed, here));
  },
};

function post(message: FromBackup): void {
  self.postMessage(message);
}

self.onmessage = async ({ data }: MessageEvent<ToBackup>) => {
  try {
    nameAssets(data);
    const call = calls[data.method] as (...args: readonly unknown[]) => Promise<unknown>;
    post({ kind: 'value', value: await call(...data.args) });
  } catch (thrown) {
    post({ kind: 'problem', problem: problemOf(thrown) });
  }
};
