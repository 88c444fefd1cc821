/**
 * A WebSocket both of whose ends are in the page: of a client to its in-page devnet (`devnet.ts`).
 *
 * It has of a WebSocket what the modules use of one, so that they need no second way out.
 */

/** What goes over its port. */
type Frame =
  | { readonly kind: 'open' }
  | { readonly kind: 'data'; readonly data: string | ArrayBuffer }
  | { readonly kind: 'close' };

/** `WebSocket`'s numbers. */
const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;

export class PortSocket {
  binaryType = 'arraybuffer';
  /** A port takes everything at once. */
  readonly bufferedAmount = 0;
  onopen: ((event: Event) => void) | null = null;
  onclose: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent<string | ArrayBuffer>) => void) | null = null;
  readonly #port: MessagePort;
  #state = CONNECTING;

  /** The side that opens it waits for the other one, which may close it instead. */
  constructor(port: MessagePort) {
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<Frame>) => this.#take(data);
  }

  get readyState(): number {
    return this.#state;
  }

  /** Takes a socket in that somebody has opened. */
  accept(): void {
    this.#state = OPEN;
    this.#post({ kind: 'open' });
    this.onopen?.(new Event('open'));
  }

  send(data: string | ArrayBuffer | Uint8Array): void {
    if (this.#state !== OPEN) {
      return;
    }
    if (typeof data === 'string') {
      this.#post({ kind: 'data', data });
      return;
    }
    // A copy: what is given is the module's memory.
    const bytes = new Uint8Array(data).slice().buffer;
    this.#post({ kind: 'data', data: bytes }, [bytes]);
  }

  close(): void {
    if (this.#state !== CLOSED) {
      this.#post({ kind: 'close' });
      this.#end();
    }
  }

  #post(frame: Frame, transfer: Transferable[] = []): void {
    this.#port.postMessage(frame, transfer);
  }

  #take(frame: Frame): void {
    if (this.#state === CLOSED) {
      return;
    }
    if (frame.kind === 'data') {
      this.onmessage?.(new MessageEvent('message', { data: frame.data }));
    } else if (frame.kind === 'open') {
      this.#state = OPEN;
      this.onopen?.(new Event('open'));
    } else {
      this.#end();
    }
  }

  #end(): void {
    this.#state = CLOSED;
    this.#port.close();
    this.onclose?.(new Event('close'));
  }
}
