// What runs in the page: bytes over plain connections, and files through the client package. Each function is handed over as text, so
// none of them uses anything around it.

/** Sends or takes `bytes` over a plain WebSocket; milliseconds of it, and of the first of them. */
export async function plainWebSocket({ url, way, bytes }) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  await new Promise((done, failed) => {
    socket.onopen = done;
    socket.onerror = () => failed(new Error('no WebSocket'));
  });
  const part = new Uint8Array(64 << 10).fill(7);
  const start = performance.now();
  let first;
  const over = new Promise((done, failed) => {
    let got = 0;
    socket.onclose = () => failed(new Error('the WebSocket was closed'));
    socket.onmessage = ({ data }) => {
      first ??= performance.now() - start;
      got += data.byteLength ?? bytes;
      if (got >= bytes) done();
    };
  });
  socket.send(`${way} ${bytes}`);
  for (let sent = 0; way === 'up' && sent < bytes; sent += part.length) {
    socket.send(part.subarray(0, Math.min(part.length, bytes - sent)));
    while (socket.bufferedAmount > 4 << 20) await new Promise((done) => setTimeout(done, 1));
  }
  await over;
  const ms = performance.now() - start;
  socket.onclose = undefined;
  socket.close();
  return { ms, first };
}

/** The same over one stream of a plain WebTransport session, to a server with a certificate of this hash. */
export async function plainWebTransport({ url, hash, way, bytes }) {
  const value = Uint8Array.from(hash.match(/../g), (pair) => Number.parseInt(pair, 16));
  const session = new WebTransport(url, { serverCertificateHashes: [{ algorithm: 'sha-256', value }] });
  await session.ready;
  const { readable, writable } = await session.createBidirectionalStream();
  const writer = writable.getWriter();
  const start = performance.now();
  let first;
  writer.write(new TextEncoder().encode(`${way} ${bytes}\n`));
  const part = new Uint8Array(64 << 10).fill(7);
  // A megabyte is under way: with each write awaited, the browser would stand still between two.
  const waiting = [];
  for (let sent = 0; way === 'up' && sent < bytes; sent += part.length) {
    waiting.push(writer.write(part.subarray(0, Math.min(part.length, bytes - sent))));
    if (waiting.length >= 16) await waiting.shift();
  }
  const reader = readable.getReader({ mode: 'byob' });
  let buffer = new ArrayBuffer(64 << 10);
  for (let got = 0; got < (way === 'up' ? 1 : bytes); ) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) throw new Error('the stream ended early');
    first ??= performance.now() - start;
    got += value.length;
    buffer = value.buffer;
  }
  const ms = performance.now() - start;
  session.close();
  return { ms, first };
}

/** Opens the client and hashes a file of `bytes` random bytes: all that comes before a deal. */
export async function prepare({ chain, bytes }) {
  if (!globalThis.client) {
    const { computePiece, createClient, toBlob } = await import('/client/index.js');
    Object.assign(globalThis, { computePiece, toBlob, client: createClient({ chain }) });
  }
  // Random parts in an order that no other file has: random bytes for all of it would take longer than the transfer.
  const parts = Array.from({ length: 8 }, () => crypto.getRandomValues(new Uint8Array(64 << 10)));
  const order = Array.from({ length: Math.ceil(bytes / (64 << 10)) }, () => parts[(Math.random() * 8) | 0]);
  const file = new File([new Blob(order).slice(0, bytes)], 'bench.bin');
  globalThis.prepared = { file, piece: await globalThis.computePiece(file) };
}

/** Stores what was prepared with a miner: milliseconds from the miner's word until its first and its last byte were fetched, and the deal's id. */
export async function store({ address }) {
  const { client, prepared } = globalThis;
  const miner = (await client.miners()).find((miner) => miner.address === address);
  let first;
  let changed;
  client.on('deal', (deal) => {
    if (deal.transferred > 0) first ??= Date.now();
    changed?.(deal);
  });
  const { id } = await client.store(prepared.file, {
    prepared: prepared.piece,
    miner,
    duration: 5000,
    allowDuplicates: true,
    until: 'ordered',
  });
  for (;;) {
    const next = new Promise((done) => (changed = done));
    const deal = await client.deal(id);
    if (deal.state === 'failed') throw new Error(`the deal failed: ${deal.error?.message ?? deal.reason}`);
    const at = (name) => deal.steps.find(({ step }) => step === name)?.at;
    const [accepted, last] = [at('accepted'), at('transferred')];
    if (last) return { id, accepted, pieceCid: deal.pieceCid, first: (first ?? last) - accepted, ms: last - accepted };
    await Promise.race([next, new Promise((done) => setTimeout(done, 1000))]);
  }
}

/** Waits until the miner has nothing more to do for a deal. */
export async function settle({ id }) {
  for (;;) {
    const deal = await globalThis.client.deal(id);
    if (deal.state === 'failed') throw new Error(`the deal failed: ${deal.error?.message ?? deal.reason}`);
    if (deal.state === 'complete') return;
    await new Promise((done) => setTimeout(done, 200));
  }
}

/** Takes a deal's file back; milliseconds of it, and of the first bytes where the client tells. */
export async function retrieve({ id, bytes }) {
  const start = performance.now();
  let first;
  const onProgress = () => (first ??= performance.now() - start);
  const blob = await globalThis.toBlob(globalThis.client.retrieve(id, { onProgress }));
  if (blob.size !== bytes) throw new Error(`${blob.size} bytes came back, not ${bytes}`);
  return { ms: performance.now() - start, first };
}
