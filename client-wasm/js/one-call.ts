/** A function of a worker that ends with its answer, and keeps no key longer than that. */

import { problemOf, SealdropError } from './errors.js';
import { namedWasmFolder, takeWasmFolder } from './host.js';
import type { Problem } from './types.js';

/** What such a worker is asked. */
export interface OneCall<Calls> {
  readonly method: keyof Calls;
  readonly args: readonly unknown[];
  readonly wasmUrl: string | undefined;
}

/** What it answers. */
export type Answered =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** Asks a worker that was just started, and ends it; `what` it is called in an error. */
export async function callOnce<Calls>(
  worker: Worker,
  what: string,
  method: keyof Calls,
  args: readonly unknown[],
): Promise<unknown> {
  try {
    const answer = await new Promise<Answered>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Answered>) => resolve(data);
      worker.onerror = (event) =>
        reject(
          new SealdropError(
            'unsupported',
            `the ${what} worker does not run: ${event.message || 'it cannot be loaded'}`,
          ),
        );
      const call: OneCall<Calls> = { method, args, wasmUrl: namedWasmFolder() };
      worker.postMessage(call);
    });
    if (answer.kind === 'problem') {
      throw SealdropError.from(answer.problem);
    }
    return answer.value;
  } finally {
    worker.terminate();
  }
}

/** The worker's side: answers with what the function gives, or why not. `ready` comes before it. */
export function answerOnce<Calls>(calls: Calls, ready?: () => Promise<unknown>): void {
  const post = (message: Answered) => self.postMessage(message);
  self.onmessage = async ({ data }: MessageEvent<OneCall<Calls>>) => {
    try {
      takeWasmFolder(data);
      await ready?.();
      const call = calls[data.method] as (...args: readonly unknown[]) => Promise<unknown>;
      post({ kind: 'value', value: await call(...data.args) });
    } catch (thrown) {
      post({ kind: 'problem', problem: problemOf(thrown) });
    }
  };
}
