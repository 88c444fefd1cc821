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

/** A file of the disk, larger than a sector. */
export const largeFile = {
  /** Opens the client, and an input that the file is put into. */
  async open({ chain }) {
    const { createClient } = await import('/client/index.js');
    globalThis.client = createClient({ chain });
    const input = document.createElement('input');
    input.type = 'file';
    document.body.append(input);
  },

  /**
   * Hashes and stores it by reference, encrypted if that is said; milliseconds until it is hashed, and from there until all of it is at the
   * miner.
   */
  async store({ encrypt }) {
    const { client } = globalThis;
    const [large] = document.querySelector('input').files;
    const start = performance.now();
    const prepared = await client.prepare(large, encrypt ? { encrypt: 'new-key' } : {});
    const hashed = performance.now();
    const { id } = await client.store(large, {
      prepared,
      until: 'ordered',
      duration: 5000,
      keep: 'reference',
      most: 1000n * 10n ** 18n,
    });
    for (;;) {
      const { progress, problem } = await client.file(id);
      if (problem) throw new Error(problem.message);
      const { state, transferred, bytes } = progress;
      if (state === 'kept' || transferred >= bytes) break;
      if (state !== 'under-way') throw new Error(`the file is ${state}: ${JSON.stringify(progress).slice(0, 400)}`);
      await new Promise((done) => setTimeout(done, 50));
    }
    return { hashMs: hashed - start, sendMs: performance.now() - hashed };
  },
};
