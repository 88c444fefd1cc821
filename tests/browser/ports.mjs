// Ports for the daemons under test: a block for each test process, below the range from which systems choose ports by
// themselves (`tests/src/ports.rs` says why) and beside the one of the Rust tests.

import { createServer } from 'node:net';

const FIRST = 10_000;
const BLOCK = 200;
const BLOCKS = 50;

/** The server that listens on `port`, or undefined if another one does. */
function listening(port) {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(undefined)).listen(port, '127.0.0.1', () => done(server));
  });
}

/** The first port of a block that is this process's own: the server on it holds the claim until the process ends. */
async function claimed() {
  for (let i = 0; i < BLOCKS; i += 1) {
    const first = FIRST + ((process.pid + i) % BLOCKS) * BLOCK;
    const claim = await listening(first);
    if (claim) {
      claim.unref();
      return first;
    }
  }
  throw new Error(`no block of ${BLOCK} ports is free from ${FIRST} on`);
}

let block;
let given = 0;

/** As many different ports, which no other test process uses. */
export async function freePorts(count) {
  block ??= claimed();
  const first = await block;
  const ports = [];
  for (let tried = 1; ports.length < count && tried < BLOCK; tried += 1) {
    const port = first + 1 + (given++ % (BLOCK - 1));
    const server = await listening(port);
    if (server) {
      await new Promise((done) => server.close(done));
      ports.push(port);
    }
  }
  if (ports.length < count) throw new Error(`fewer than ${count} ports are free from ${first} on`);
  return ports;
}
