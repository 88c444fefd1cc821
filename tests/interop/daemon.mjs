// A daemon with fake proofs and fast blocks: `killable-daemon`, which `cargo build --release` makes beside `sealdrop`.

import { dirname, join } from 'node:path';
import { Daemon, PROGRAM } from '../browser/daemon.mjs';

const OPTIONS = ['--auto-seal', '100ms', '--price', '0.000001', '--proving-period', '400', '--challenge-window', '200'];

export function start({ sectorSize = '2KiB' } = {}) {
  const program = process.env.SEALDROP_FAKE_BIN ?? join(dirname(PROGRAM), 'killable-daemon');
  return Daemon.start(OPTIONS, { sectorSize, blockTime: '100ms', program });
}
