/**
 * Makes and reads what puts an account into safety, for one call: then it ends, and with it the memory that held secrets. A passphrase takes 256 MiB
 * and seconds.
 */

import { BackupModule } from './backup-module.js';
import type { BackupCalls } from './backups.js';
import { readAsset, wasmFile } from './host.js';
import { answerOnce } from './one-call.js';

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

answerOnce(calls);
