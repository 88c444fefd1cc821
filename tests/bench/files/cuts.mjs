// An upload whose connections are cut again and again: what is sent twice for it.

import { connect, createServer } from 'node:net';
import { launch } from '../../browser/page.mjs';
import { prepare, store } from '../transports/page.mjs';

/** Chunks that a client has under way at once: its window. */
const WINDOW = 4;

/** Passes connections on to a port of this machine, reads which chunks go through, and cuts all of them when it is told to. */
class CuttingProxy {
  /** How often each chunk was begun between two cuts: one count for each time between. */
  rounds = [new Map()];
  #passed = 0;
  #sockets = new Set();

  /** Cuts every connection each time that `every` bytes have gone towards the port, so many times. */
  static async start(port, every, times) {
    const proxy = new CuttingProxy();
    proxy.server = createServer((from) => proxy.#pass(from, connect(port, '127.0.0.1'), every, times));
    await new Promise((done) => proxy.server.listen(0, '127.0.0.1', done));
    proxy.port = proxy.server.address().port;
    return proxy;
  }

  #pass(from, to, every, times) {
    const end = () => {
      for (const socket of [from, to]) {
        this.#sockets.delete(socket);
        socket.destroy();
      }
    };
    for (const socket of [from, to]) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', end);
    }
    const requests = new Requests((path) => this.#begins(path));
    from.on('data', (bytes) => {
      requests.push(bytes);
      if (!to.write(bytes)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      this.#passed += bytes.length;
      if (this.cuts < times && this.#passed >= every) this.#cut();
    });
    to.pipe(from);
  }

  #begins(path) {
    const chunk = /^\/uploads\/\w+\/(\d+)$/.exec(path)?.[1];
    if (chunk === undefined) return;
    const round = this.rounds.at(-1);
    round.set(chunk, (round.get(chunk) ?? 0) + 1);
  }

  get cuts() {
    return this.rounds.length - 1;
  }

  #cut() {
    this.#passed = 0;
    this.rounds.push(new Map());
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Of each cut, the chunks that were begun after it and had been begun before. */
  resent() {
    const begun = new Set();
    return this.rounds.map((round) => {
      const again = [...round].reduce((sum, [chunk, times]) => sum + times - (begun.has(chunk) ? 0 : 1), 0);
      for (const chunk of round.keys()) begun.add(chunk);
      return again;
    });
  }

  end() {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
  }
}

/** Reads HTTP/1.1 requests as they pass, and names the path of each whose body has begun. */
class Requests {
  #head = '';
  #body = 0;
  #path;

  constructor(begins) {
    this.begins = begins;
  }

  push(bytes) {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#body > 0) {
        if (this.#path) this.begins(this.#path);
        this.#path = undefined;
        const taken = Math.min(this.#body, rest.length);
        this.#body -= taken;
        rest = rest.subarray(taken);
        continue;
      }
      const before = this.#head.length;
      this.#head += rest.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      rest = rest.subarray(end + 4 - before);
      const head = this.#head.slice(0, end);
      this.#head = '';
      this.#path = head.split(' ', 2)[1];
      this.#body = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    }
  }
}

/** Sends a file of `bytes` while its connections are cut `times` times; the most that was sent again after one cut, in windows. */
export async function measureCuts(product, bytes, times) {
  const port = product.daemon.ports.http;
  const proxy = await CuttingProxy.start(port, Math.floor(bytes / (times + 2)), times);
  const browser = await launch([`--host-resolver-rules=MAP 127.0.0.1:${port} 127.0.0.1:${proxy.port}`]);
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(300_000);
    await page.goto(`http://127.0.0.1:${product.site.port}/`);
    await page.evaluate(prepare, { chain: product.daemon.chain, bytes });
    const { ms } = await page.evaluate(store, { address: product.miner });
    if (proxy.cuts < times) throw new Error(`${proxy.cuts} of ${times} cuts were made: the bytes went another way`);
    const resent = proxy.resent();
    const all = resent.reduce((sum, chunks) => sum + chunks, 0);
    console.log(
      `cut ${times} times in ${(ms / 1e3).toFixed(1)} s: ${all} chunks were sent again, ${Math.max(...resent)} after one cut at most`,
    );
    return { resend_windows_max: Math.max(...resent) / WINDOW, resent_chunks: all, cuts: times };
  } finally {
    await browser.close();
    proxy.end();
  }
}
