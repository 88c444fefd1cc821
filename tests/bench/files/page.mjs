// What runs in the page. Each function is handed over as text, so none of them uses anything around it.

/** Posts a Blob of `bytes` in one request; milliseconds of it. */
export async function postBlob({ url, bytes }) {
  const part = crypto.getRandomValues(new Uint8Array(64 << 10));
  const blob = new Blob(Array.from({ length: Math.ceil(bytes / part.length) }, () => part)).slice(0, bytes);
  const start = performance.now();
  const response = await fetch(url, { method: 'POST', body: blob });
  await response.text();
  return performance.now() - start;
}

/** Fetches `bytes` into a Blob; milliseconds of it. */
export async function fetchBlob({ url, bytes }) {
  const start = performance.now();
  const response = await fetch(url, { cache: 'no-store' });
  const blob = await response.blob();
  if (blob.size !== bytes) throw new Error(`${blob.size} bytes came, not ${bytes}`);
  return performance.now() - start;
}

/** A file that is larger than a sector. */
export const largeFile = {
  async open({ chain, bytes }) {
    const { Sealdrop } = await import('/client/index.js');
    globalThis.client = await Sealdrop.open({ chain });
    // The same megabyte over and over, so that making it costs nothing; each leaf has a number of its own.
    const part = new Uint8Array(1 << 20);
    for (let at = 0; at < part.length; at += 1 << 16) crypto.getRandomValues(part.subarray(at, at + (1 << 16)));
    const blob = new Blob([part]);
    const leaves = Array.from({ length: Math.ceil(bytes / part.length) }, (_, i) => [
      new Uint32Array([i]),
      blob.slice(4),
    ]);
    globalThis.large = new File(leaves.flat(), 'large.bin');
  },

  /** Hashes and stores it by reference; milliseconds until it is hashed, and from there until all of it is at the miner. */
  async store() {
    const { client, large } = globalThis;
    const start = performance.now();
    const prepared = await client.prepareFiles(large);
    const hashed = performance.now();
    const { file: id } = await client.storeFiles(prepared, large, { duration: 5000, keep: 'reference', most: '1000' });
    for (;;) {
      const { progress, problem } = await client.file(id);
      if (problem) throw new Error(problem.message);
      const { state, transferred, bytes } = progress;
      if (state === 'kept' || transferred >= bytes) break;
      if (state !== 'under-way') throw new Error(`the file is ${state}`);
      await new Promise((done) => setTimeout(done, 200));
    }
    return { hashMs: hashed - start, sendMs: performance.now() - hashed };
  },
};
