/** What all requests to a miner's HTTP listener have in common, and how much of an answer is taken in. */

/** Sends a request that says nothing of this page, and whose answer is nobody else's and kept by nobody else. */
export function fetchFromMiner(
  url: string,
  init: Pick<RequestInit, 'method' | 'headers' | 'body' | 'signal'>,
): Promise<Response> {
  return fetch(url, {
    ...init,
    // What comes is checked and goes to its reader; the browser's cache would hold it twice.
    cache: 'no-store',
    credentials: 'omit',
    // Whoever answers would otherwise choose who is asked, or to whom a file is sent.
    redirect: 'error',
    referrerPolicy: 'no-referrer',
  });
}

/** The answer's body; undefined where it is longer than `most` bytes: no more of it is taken in, it may never end. */
export async function atMost({ body }: Response, most: number): Promise<Blob | undefined> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  const reader = body?.getReader();
  for (;;) {
    const read = await reader?.read();
    if (read === undefined || read.done) {
      return new Blob(parts);
    }
    length += read.value.length;
    if (length > most) {
      void reader?.cancel().catch(() => undefined);
      return undefined;
    }
    parts.push(read.value);
  }
}

/** The answer's body, which is to have `length` bytes, whether or not the miner says beforehand how many it has. Rejects where it has others. */
export async function exactly(response: Response, length: number): Promise<Blob> {
  const said = response.headers.get('content-length');
  if (said !== null && Number(said) !== length) {
    void response.body?.cancel().catch(() => undefined);
    throw new Error(`${said} bytes for ${length}`);
  }
  const body = await atMost(response, length);
  if (body?.size !== length) {
    throw new Error(`${body?.size ?? 'more'} bytes came for ${length}`);
  }
  return body;
}
