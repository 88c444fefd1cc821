/**
 * The way from a client's network worker to a network in the same page: requests and sockets to the names of such a network go over
 * a port, all others where they always go. The client's modules see no difference.
 */

import { PortSocket } from './port-socket.js';

/** Where a network in the page is: a name that leads nowhere outside (RFC 2606). */
export const IN_PAGE_DOMAIN = 'devnet.invalid';

/** From a client to the network. */
export type ToInPage =
  | { readonly kind: 'fetch'; readonly id: number; readonly body: string }
  | { readonly kind: 'socket'; readonly host: string; readonly port: MessagePort };

/** The answer to a `fetch`; null where nothing is answered. */
export interface FromInPage {
  readonly id: number;
  readonly text: string | null;
}

function hostOf(url: string | URL | Request): string | undefined {
  const text = url instanceof Request ? url.url : String(url);
  const host = URL.canParse(text) ? new URL(text).hostname : '';
  return host === IN_PAGE_DOMAIN || host.endsWith(`.${IN_PAGE_DOMAIN}`) ? host : undefined;
}

/** From now on this worker reaches the network behind `port`. */
export function reachInPage(port: MessagePort): void {
  const waiting = new Map<number, (text: string | null) => void>();
  let next = 1;
  port.onmessage = ({ data: { id, text } }: MessageEvent<FromInPage>) => {
    waiting.get(id)?.(text);
    waiting.delete(id);
  };
  const post = (message: ToInPage, transfer: Transferable[] = []) => port.postMessage(message, transfer);
  const { fetch: outside, WebSocket: Outside } = self;
  self.fetch = async (input, init) => {
    if (hostOf(input) === undefined) {
      return outside(input, init);
    }
    const id = next++;
    const text = await new Promise<string | null>((resolve) => {
      waiting.set(id, resolve);
      post({ kind: 'fetch', id, body: String(init?.body ?? '') });
    });
    return text === null ? new Response(null, { status: 204 }) : new Response(text);
  };
  self.WebSocket = new Proxy(Outside, {
    construct(target, args: ConstructorParameters<typeof WebSocket>) {
      const host = hostOf(args[0]);
      if (host === undefined) {
        return new target(...args);
      }
      const { port1, port2 } = new MessageChannel();
      post({ kind: 'socket', host, port: port2 }, [port2]);
      return new PortSocket(port1);
    },
  });
}
