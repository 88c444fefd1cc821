// `cargo xtask bench sealing page`: a file is dropped on the page of a fresh daemon, and this tells when it is Complete, and where
// the time in between went. The last line is JSON.
//
//     node drop.mjs [8MiB|2KiB]        6 MB for a sector of 8 MiB, or a letter for one of 2 KiB to see that this runs
//
// Blocks come once a second, and everything else is as a daemon has it by itself. Times are those that the page and the miner
// keep of their own steps; both have this machine's clock.

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Daemon } from './daemon.mjs';
import { dealPage, hook, launch, onPage, pressStore, reach, SOON_MS, withClient } from './page.mjs';

/** Bytes of the file, by the size of the sector. */
const BYTES = { '8MiB': 6_100_000, '2KiB': 2_000 };
/** Sealing a sector once, on a busy machine. */
const SEAL_MS = 900_000;
/** What happens in each phase of a sector, in words. */
const PHASES = {
  packing: 'the sector waits for more pieces',
  closed: 'the ticket is drawn',
  preCommit1: 'P1: the replica is labelled',
  preCommit2: 'P2: the replica is encoded',
  preCommitting: 'the pre-commit comes to a block',
  waitSeed: 'the seed is awaited',
  commit1: 'C1: the replica is opened',
  commit2: 'C2: the proof',
  committing: 'the commit comes to a block',
  proving: 'the page hears of it',
};
/** The phases that are the prover's work, whatever it takes. */
const PROVER = ['preCommit1', 'preCommit2', 'commit1', 'commit2'];

/** The account has money before the file is dropped: a newcomer gets it while the page loads. */
async function untilThereIsMoney(page, daemon) {
  const limit = Date.now() + SOON_MS;
  while (
    Number(
      (await withClient(page, daemon.chain, async (client) => ({ balance: await client.wallet.balance() }))).balance,
    ) === 0
  ) {
    if (Date.now() > limit) throw new Error('the faucet gives nothing');
    await pause(250);
  }
}

/** Drops the file, presses Store as soon as it can be pressed, and waits. Gives what happened when, in order. */
async function drop(page, daemon, size) {
  const file = join(daemon.home, 'dropped.bin');
  writeFileSync(file, randomBytes(size));
  await untilThereIsMoney(page, daemon);
  const chosen = Date.now();
  await hook(page, 'file-input').first().setInputFiles(file);
  await pressStore(page);
  const pressed = Date.now();
  await dealPage(page);
  await reach(page, 'complete', SEAL_MS);
  const seen = Date.now();
  const id = await hook(page, 'deal-id').getAttribute('data-id');
  const { steps } = await withClient(page, daemon.chain, (client, id) => client.deal(id), id);
  const at = (step) => steps.find((known) => known.step === step).at;
  const [sector] = (await daemon.status()).sectors;
  const phases = sector.history.map(({ phase, at }) => ({ at, name: phase, text: PHASES[phase] }));
  return {
    seconds: (at('complete') - chosen) / 1e3,
    seen: (seen - chosen) / 1e3,
    starts: [
      { at: chosen, name: 'hashing', text: 'the page hashes the file, quotes the price, and Store is pressed' },
      { at: pressed, name: 'drafting', text: 'the deal is drawn up, and the miner reached' },
      { at: at('drafted'), name: 'channel', text: 'the payment channel comes to a block' },
      { at: at('channel'), name: 'proposing', text: 'vouchers are signed, and the miner decides' },
      { at: at('accepted'), name: 'transfer', text: 'the miner fetches the file and checks it' },
      ...phases,
      { at: at('complete') },
    ],
  };
}

/** Prints the time line; gives seconds by stage. */
function timeline({ starts }) {
  const took = {};
  console.log('\n  after     takes');
  for (const [index, { at, name, text }] of starts.slice(0, -1).entries()) {
    took[name] = (starts[index + 1].at - at) / 1e3;
    console.log(`${((at - starts[0].at) / 1e3).toFixed(2).padStart(7)} ${took[name].toFixed(2).padStart(9)}  ${text}`);
  }
  return took;
}

const sectorSize = process.argv[2] ?? '8MiB';
const size = BYTES[sectorSize];
if (size === undefined)
  throw new Error(`${sectorSize} is no sector size for this: take ${Object.keys(BYTES).join(' or ')}`);
const daemon = await Daemon.start([], { sectorSize, blockTime: '1s' });
try {
  const browser = await launch();
  try {
    let found;
    await onPage(browser, daemon, 'drop', async (page) => (found = await drop(page, daemon, size)));
    const took = timeline(found);
    const prover = PROVER.reduce((sum, name) => sum + took[name], 0);
    const { seconds, seen } = found;
    console.log(
      `\nComplete after ${seconds.toFixed(1)} s, of which the prover takes ${prover.toFixed(1)}; seen on the page after ${seen.toFixed(1)} s\n`,
    );
    const stages = Object.fromEntries(Object.entries(took).map(([name, took]) => [`drop_${name}_s`, took]));
    console.log(
      JSON.stringify({
        drop_bytes: size,
        drop_to_complete_s: seconds,
        drop_outside_prover_s: seconds - prover,
        ...stages,
      }),
    );
  } finally {
    await browser.close();
  }
} finally {
  await daemon.end();
}
