/** A stream that is looked for only when somebody reads it. */

type Bytes = Uint8Array<ArrayBuffer>;

/** The stream that `find` finds, once somebody reads it. */
export function whenRead(find: () => Promise<ReadableStream<Bytes>>): ReadableStream<Bytes> {
  let reader: ReadableStreamDefaultReader<Bytes> | undefined;
  let over = false;
  return new ReadableStream<Bytes>(
    {
      async pull(controller) {
        reader ??= (await find()).getReader();
        if (over) {
          await reader.cancel();
          return;
        }
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
        } else {
          controller.enqueue(value);
        }
      },
      async cancel() {
        over = true;
        await reader?.cancel();
      },
    },
    { highWaterMark: 0 },
  );
}
