// Has schemathesis ask a daemon (with proofs that are named fake) by the document of its operator's API.
//
//   operator-api.mjs SCHEMATHESIS
//
// Left out: `mineOnce`, which waits for a block, and the rule that every request of the right form is accepted (`positive_data_acceptance`): a deal's
// id is a CID, a filter has levels, and no form says so.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, FAKE } from '../browser/daemon.mjs';

const [program] = process.argv.slice(2);
if (!program) throw new Error('give the program schemathesis');
const daemon = await Daemon.start([], { program: FAKE });
try {
  const { admin } = JSON.parse(readFileSync(join(daemon.home, 'operator.token'), 'utf8'));
  const document = new URL('api/v1/openapi.json', daemon.page).href;
  const args = [
    'run',
    document,
    '--header',
    `Authorization: Bearer ${admin}`,
    '--max-examples',
    '50',
    '--request-timeout',
    '30',
  ];
  args.push('--exclude-operation-id', 'mineOnce', '--exclude-checks', 'positive_data_acceptance', '--no-color');
  const asking = spawn(program, args, { stdio: 'inherit' });
  process.exitCode = await new Promise((done, fail) =>
    asking.once('exit', (code) => done(code ?? 1)).once('error', fail),
  );
} finally {
  await daemon.end();
}
