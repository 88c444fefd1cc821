/** A client's deals and files as components see them: loaded once somebody looks, and kept up to date by the client's events. */

import type { Client } from './client.js';
import type { Loaded } from './react.js';
import type { Deal, StoredFile } from './types.js';

/** Milliseconds until it is tried again, when nothing could be loaded. */
const AGAIN_MS = 3_000;

const loading = <T>(): Loaded<T> => ({ data: undefined, error: undefined, isLoading: true });

export class Book {
  deals: Loaded<readonly Deal[]> = loading();
  files: Loaded<readonly StoredFile[]> = loading();
  readonly #client: Client;
  readonly #watchers = new Set<() => void>();
  /** So that what has not changed is the same object. */
  readonly #single = new Map<string, Loaded<Deal> | Loaded<StoredFile>>();
  #stops: (() => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  readonly subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1) {
      this.#begin();
    }
    return () => {
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) {
        this.#end();
      }
    };
  };

  deal(id: string): Loaded<Deal> {
    return this.#one(`deal ${id}`, this.deals, (deal) => deal.id === id);
  }

  file(id: string): Loaded<StoredFile> {
    return this.#one(`file ${id}`, this.files, ({ file }) => file === id);
  }

  #one<T extends Deal | StoredFile>(key: string, all: Loaded<readonly T[]>, is: (one: T) => boolean): Loaded<T> {
    const known = this.#single.get(key) as Loaded<T> | undefined;
    const now: Loaded<T> = { ...all, data: all.data?.find(is) };
    if (known?.data === now.data && known?.error === now.error && known?.isLoading === now.isLoading) {
      return known;
    }
    this.#single.set(key, now as Loaded<Deal> | Loaded<StoredFile>);
    return now;
  }

  #begin(): void {
    const client = this.#client;
    this.#stops = [
      client.on('deal', (deal) => this.#show({ deals: withOne(this.deals, deal, ({ id }) => id === deal.id) })),
      client.on('file', (file) => this.#show({ files: withOne(this.files, file, (one) => one.file === file.file) })),
      client.on('removed', ({ id }) =>
        this.#show({
          deals: without(this.deals, (deal) => deal.id === id || deal.partOf === id),
          files: without(this.files, ({ file }) => file === id),
        }),
      ),
    ];
    void this.#load();
  }

  #end(): void {
    clearTimeout(this.#timer);
    for (const stop of this.#stops) {
      stop();
    }
    this.#stops = [];
    // Nobody hears of changes until somebody looks again.
    this.#single.clear();
  }

  async #load(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const [deals, files] = await Promise.all([this.#client.deals(), this.#client.files()]);
      const found = { error: undefined, isLoading: false };
      this.#show({ deals: { data: deals, ...found }, files: { data: files, ...found } });
    } catch (error) {
      this.#show({ deals: { ...this.deals, error }, files: { ...this.files, error } });
      if (this.#stops.length > 0 && (error as { code?: string }).code !== 'closed') {
        this.#timer = setTimeout(() => void this.#load(), AGAIN_MS);
      }
    }
  }

  #show(news: Partial<Pick<Book, 'deals' | 'files'>>): void {
    Object.assign(this, news);
    for (const watcher of this.#watchers) {
      watcher();
    }
  }
}

/** What comes before all of it is loaded is in what is loaded. */
function withOne<T>(all: Loaded<readonly T[]>, one: T, is: (other: T) => boolean): Loaded<readonly T[]> {
  const { data } = all;
  if (data === undefined) {
    return all;
  }
  return { ...all, data: data.some(is) ? data.map((other) => (is(other) ? one : other)) : [one, ...data] };
}

function without<T>(all: Loaded<readonly T[]>, is: (one: T) => boolean): Loaded<readonly T[]> {
  return { ...all, ...(all.data && { data: all.data.filter((one) => !is(one)) }) };
}
