/** All of a stream that the client hands out. */

/** Reads a stream to its end, as a Blob, which the browser may have on the disk. Fails as the stream does, with its code. */
export async function toBlob(stream: ReadableStream<Uint8Array<ArrayBuffer>>, type = ''): Promise<Blob> {
  const parts: Blob[] = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return new Blob(parts, { type });
    }
    parts.push(new Blob([value]));
  }
}
