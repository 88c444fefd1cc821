// A daemon with fake proofs and fast blocks: `killable-daemon`, which `cargo build --release` makes beside `sealdrop`.

import { dirname, join } from 'node:path';
import { Daemon, PROGRAM } from '../browser/daemon.mjs';

export function start() {
  const program = process.env.SEALDROP_FAKE_BIN ?? join(dirname(PROGRAM), 'killable-daemon');
  const options = [
    '--auto-seal',
    '100ms',
    '--price',
    '0.000001',
    '--proving-period',
    '400',
    '--challenge-window',
    '200',
  ];
  return Daemon.start(options, { blockTime: '100ms', program });
}
