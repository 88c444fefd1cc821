// The network that the other tests stand on: that its paths are as late, as lossy and as cut as was asked for, and that nothing of it is
// left.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Network } from './network.mjs';

let network;
let skip;
before(async () => {
  network = await Network.start(['one', 'other']);
});
after(() => network?.end());

/** A test that needs namespaces: where they are forbidden it says that it was skipped. */
const real = (name, work) =>
  test(name, async (context) => {
    skip = network.isReal ? undefined : `no network namespaces here: ${network.impossible}`;
    return skip ? context.skip(skip) : work();
  });

/** A TCP and a UDP server at port 7 that send back what they hear. */
const echo = async () => {
  const [net, dgram] = [await import('node:net'), await import('node:dgram')];
  const server = net.createServer((socket) => socket.on('error', () => {}).pipe(socket));
  await new Promise((done) => server.listen(7, done));
  const datagrams = dgram.createSocket('udp4');
  datagrams.on('message', (bytes, { port, address }) => datagrams.send(bytes, port, address));
  await new Promise((done) => datagrams.bind(7, done));
};

/** Milliseconds until a byte is back over a new TCP connection, without those that connecting takes; -1 when it does not come. */
const roundTrip = async ({ address, limitMs }) => {
  const net = await import('node:net');
  return new Promise((done) => {
    const socket = net.connect({ host: address, port: 7, noDelay: true });
    const over = (ms) => {
      socket.destroy();
      done(ms);
    };
    socket.setTimeout(limitMs, () => over(-1)).on('error', () => over(-1));
    socket.on('connect', () => {
      const sent = performance.now();
      socket.on('data', () => over(performance.now() - sent));
      socket.write('x');
    });
  });
};

/** How many of so many datagrams come back. */
const datagramsBack = async ({ address, count }) => {
  const dgram = await import('node:dgram');
  const socket = dgram.createSocket('udp4');
  let back = 0;
  socket.on('message', () => (back += 1));
  for (let i = 0; i < count; i += 1) {
    await new Promise((done) => socket.send('x', 7, address, done));
    if (i % 50 === 0) await new Promise((done) => setTimeout(done, 2));
  }
  await new Promise((done) => setTimeout(done, 1000));
  socket.close();
  return back;
};

const between = (limitMs = 10_000) => {
  const address = network.host('other').address;
  return network.host('one').evaluate(roundTrip, { address, limitMs });
};

test('programs of two hosts talk, over IPv4 and IPv6 where there are both', async () => {
  const [one, other] = [network.host('one'), network.host('other')];
  assert.notEqual(one.address, other.address);
  if (!network.isReal) return;
  await other.evaluate(echo);
  for (const address of other.addresses) {
    assert.ok((await one.evaluate(roundTrip, { address, limitMs: 10_000 })) >= 0, address);
  }
});

real('a path is as late as it was told to be, in both directions', async () => {
  const [fast] = [await between()];
  await network.path('other', { delayMs: 40 });
  const slow = await between();
  assert.ok(slow >= 80 && slow < fast + 300, `${slow} ms, ${fast} before`);
  await network.path('other', {});
  assert.ok((await between()) < 80);
});

real('a part of the packets is lost, and TCP loses none of its bytes by it', async () => {
  const address = network.host('other').address;
  const all = await network.host('one').evaluate(datagramsBack, { address, count: 1000 });
  assert.equal(all, 1000);
  await network.path('other', { loss: 0.1 });
  const some = await network.host('one').evaluate(datagramsBack, { address, count: 1000 });
  // A tenth of each direction: 810 come back of 1000, and hardly ever fewer than 730 or more than 890.
  assert.ok(some > 730 && some < 890, `${some} of 1000`);
  assert.ok((await between(60_000)) >= 0);
  assert.ok((await network.count()).lost > 100);
  await network.path('other', {});
});

real('nothing goes through a cut until it is mended', async () => {
  await network.cut('other', ['one']);
  assert.equal(await between(1000), -1);
  await network.mend('other', ['one']);
  assert.ok((await between()) >= 0);
});

real('a host that moves is found at its new address only', async () => {
  const [before] = network.host('other').addresses;
  await network.move('other', '10.77.0.99');
  assert.ok((await between()) >= 0);
  assert.equal(await network.host('one').evaluate(roundTrip, { address: before, limitMs: 1000 }), -1);
});

real('nothing is left of a network whose test was killed, its programs neither', async () => {
  const script = `import { Network } from ${JSON.stringify(`${import.meta.dirname}/network.mjs`)};
    const network = await Network.start(['lonely']);
    const child = network.host('lonely').spawn('sleep', ['1000']);
    console.log(network.router.child.pid, child.pid);
    setInterval(() => {}, 1000);`;
  const tester = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = await new Promise((done) => tester.stdout.once('data', done));
  const processes = `${said}`.trim().split(' ');
  assert.ok(processes.every((id) => existsSync(`/proc/${id}`)));
  tester.kill('SIGKILL');
  const limit = Date.now() + 20_000;
  while (processes.some((id) => existsSync(`/proc/${id}`))) {
    assert.ok(Date.now() < limit, `${processes} live on`);
    await pause(50);
  }
});
