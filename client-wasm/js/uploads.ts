/** Requests to a miner's HTTP listener, for the Rust module: moves what `shared::client::uploading` decides. */

import { atMost, fetchFromMiner } from './miner-http.js';

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
  const response = await fetchFromMiner(url, {
    method,
    headers: { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    ...(body === undefined ? {} : { body }),
    signal: AbortSignal.timeout(limit),
  });
  const text = await (await atMost(response, most))?.text();
  return { status: response.status, ...(text === undefined ? {} : { text }) };
}
