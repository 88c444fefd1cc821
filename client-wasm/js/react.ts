'use client';
/**
 * Hooks for React 18 and later: the client of a tree, its deals and files as they are now, and one order on its way.
 *
 * ```tsx
 * const client = createClient({ chain: 'http://127.0.0.1:4403/rpc' });
 * <SealdropProvider client={client}><App /></SealdropProvider>;
 * ```
 *
 * On a server nothing is loaded: everything is `isLoading` there.
 *
 * @packageDocumentation
 */

import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import type { Client } from './client.js';
import { Book } from './react-book.js';
import type { Deal, Input, Stored, StoredFile, StoreEvent, StoreOptions } from './types.js';

/** What is known by now. Keeps what it had when something goes wrong. */
export interface Loaded<T> {
  readonly data: T | undefined;
  /** Why there is nothing newer; tried again when the chain is back. */
  readonly error: unknown;
  readonly isLoading: boolean;
}

const Context = createContext<Client | undefined>(undefined);

/** Gives a client to all that is in it. Who makes the client closes it: one for the page is usual, and is never closed. */
export function SealdropProvider({ client, children }: { client: Client; children?: ReactNode }): ReactElement {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the nearest `SealdropProvider`. Throws where there is none. */
export function useClient(): Client {
  const client = useContext(Context);
  if (client === undefined) {
    throw new Error('there is no <SealdropProvider client={…}> around this component');
  }
  return client;
}

const books = new WeakMap<Client, Book>();

function useBook<T>(look: (book: Book) => Loaded<T>): Loaded<T> {
  const client = useClient();
  const book = books.get(client) ?? new Book(client);
  books.set(client, book);
  return useSyncExternalStore(
    book.subscribe,
    () => look(book),
    () => LOADING,
  );
}

const LOADING: Loaded<never> = { data: undefined, error: undefined, isLoading: true };

/** All deals, newest first, as they are now. */
export function useDeals(): Loaded<readonly Deal[]> {
  return useBook((book) => book.deals);
}

/** One deal as it is now; `data` is undefined where there is none with this id. */
export function useDeal(id: string): Loaded<Deal> {
  return useBook((book) => book.deal(id));
}

/** All files and folders, newest first, as they are now. */
export function useFiles(): Loaded<readonly StoredFile[]> {
  return useBook((book) => book.files);
}

/** One file as it is now; `data` is undefined where there is none with this id. */
export function useFile(id: string): Loaded<StoredFile> {
  return useBook((book) => book.file(id));
}

/** An order on its way. */
export interface StoreState {
  readonly status: 'idle' | 'running' | 'stored' | 'failed';
  /** The last one. */
  readonly event: StoreEvent | undefined;
  readonly stored: Stored | undefined;
  readonly error: unknown;
}

const IDLE: StoreState = { status: 'idle', event: undefined, stored: undefined, error: undefined };

/** What `useStore` gives. */
export interface StoreHook extends StoreState {
  /** Stores something; what becomes of it is the hook's state. Ends the waiting for what was stored before. */
  readonly store: (input: Input, options: StoreOptions) => void;
  /** Stops it, before the order is taken; ends the waiting after that. */
  readonly abort: () => void;
}

/** Stores something and shows how far it is. Leaving the page of a component that does is as `abort` is. */
export function useStore(): StoreHook {
  const client = useClient();
  const [state, setState] = useState(IDLE);
  const running = useRef<AbortController>(undefined);
  const abort = useCallback(() => running.current?.abort(), []);
  useEffect(() => abort, [abort]);
  const store = useCallback(
    (input: Input, options: StoreOptions) => {
      running.current?.abort();
      const own = new AbortController();
      running.current = own;
      const show = (next: (before: StoreState) => StoreState): void => {
        if (running.current === own) {
          setState(next);
        }
      };
      show(() => ({ ...IDLE, status: 'running' }));
      const signal = options.signal ? AbortSignal.any([own.signal, options.signal]) : own.signal;
      const storing = client.store(input, { ...options, signal });
      void (async () => {
        try {
          for await (const event of storing) {
            show((before) => ({ ...before, event }));
          }
          const stored = await storing;
          show((before) => ({ ...before, status: 'stored', stored }));
        } catch (error) {
          show((before) => ({ ...before, status: 'failed', error }));
        }
      })();
    },
    [client],
  );
  return { ...state, store, abort };
}
