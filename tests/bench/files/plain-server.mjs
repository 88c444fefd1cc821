// A minimal server in a process of its own, which takes what is posted and throws it away.

import { fork } from 'node:child_process';
import { createServer } from 'node:http';

export class PlainServer {
  static async start() {
    const server = new PlainServer();
    server.child = fork(import.meta.filename, ['serve']);
    const port = await new Promise((done, failed) => {
      server.child.once('message', done).once('error', failed);
    });
    server.url = `http://127.0.0.1:${port}/`;
    return server;
  }

  end() {
    this.child.kill();
  }
}

if (process.argv[2] === 'serve') {
  const server = createServer((request, response) => {
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-allow-headers', '*');
    // A connection that ends between two requests would fail the second one.
    response.setHeader('connection', 'close');
    request.resume().on('end', () => response.end('done'));
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
}
