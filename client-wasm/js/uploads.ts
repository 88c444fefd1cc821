/** Requests to a miner's HTTP listener, for the Rust module: moves what `shared::client::uploading` decides. */

/** What a request of an upload carries beside its path. */
export interface UploadRequest {
  readonly method: string;
  readonly url: string;
  /** Of the session, once there is one. */
  readonly token?: string;
  /** A part of the deal's file is handed to the browser as it is, and read by it while it is sent. */
  readonly body?: Blob | Uint8Array<ArrayBuffer>;
  /** Milliseconds that it may take with its answer. */
  readonly limit: number;
  /** Bytes of the answer, at most. */
  readonly most: number;
}

/** What a miner answers; `text` is absent where it is longer than any answer of a miner. */
export interface UploadAnswer {
  readonly status: number;
  readonly text?: string;
}

/** Sends one request. Rejects when there is no answer. */
export async function askMiner({ method, url, token, body, limit, most }: UploadRequest): Promise<UploadAnswer> {
  const response = await fetch(url, {
    method,
    headers: { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    ...(body === undefined ? {} : { body }),
    signal: AbortSignal.timeout(limit),
    cache: 'no-store',
    credentials: 'omit',
    // Whoever answers would otherwise choose to whom the file is sent.
    redirect: 'error',
    referrerPolicy: 'no-referrer',
  });
  const text = await shortText(response, most);
  return { status: response.status, ...(text === undefined ? {} : { text }) };
}

async function shortText(response: Response, most: number): Promise<string | undefined> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const read = await reader?.read();
    if (read === undefined || read.done) break;
    length += read.value.length;
    if (length > most) {
      await reader?.cancel();
      return undefined;
    }
    parts.push(read.value);
  }
  return new Blob(parts).text();
}
