/**
 * One call of `store`, on the page's side: reads, hashes, asks what it costs, has it ordered, and follows it until miners keep all of it.
 *
 * Files of one piece and of many go the same way. Only what was hashed alone, by `computePiece`, is a deal by itself.
 */

import { formatFil } from './amounts.js';
import { SealdropError } from './errors.js';
import { Following, outcomeOfDeal, outcomeOfFile } from './following.js';
import type { Engine } from './link.js';
import { minerOf, named, orderOf, prepareFiles, storeRequest } from './preparing.js';
import { spool } from './spooling.js';
import { Told } from './told.js';
import type {
  Deal,
  FilesInput,
  Input,
  Piece,
  Prepared,
  Problem,
  Progress,
  Stored,
  StoredFile,
  StoreEvent,
  StoreOptions,
} from './types.js';

/** Stores `input`; begins at once. */
export function store(engine: Engine, input: Input, options: StoreOptions): Storing {
  const told = new Told<StoreEvent>();
  const work = new Work(engine, options, (event) =>
    told.tell(event.type === 'deal' ? `deal ${event.deal.id}` : event.type, event),
  );
  const done = work.run(input);
  done.then(
    () => told.end(),
    (thrown) => told.end(thrown),
  );
  return new Storing(done, told);
}

/**
 * What `store` returns: await it for what was stored, or read its events with `for await`, or both. Leaving the loop stops nothing; the
 * signal does, until the order is taken (`ordered`). From then on it only ends the waiting, and `giveUp` gives the order up.
 */
export class Storing implements Promise<Stored>, AsyncIterable<StoreEvent> {
  readonly [Symbol.toStringTag] = 'Storing';
  readonly #done: Promise<Stored>;
  readonly #told: Told<StoreEvent>;

  /** @internal */
  constructor(done: Promise<Stored>, told: Told<StoreEvent>) {
    this.#done = done;
    this.#told = told;
  }

  // biome-ignore lint/suspicious/noThenProperty: it is there to be awaited.
  then<T = Stored, E = never>(
    onfulfilled?: ((stored: Stored) => T | PromiseLike<T>) | null,
    onrejected?: ((reason: unknown) => E | PromiseLike<E>) | null,
  ): Promise<T | E> {
    return this.#done.then(onfulfilled, onrejected);
  }

  catch<E = never>(onrejected?: ((reason: unknown) => E | PromiseLike<E>) | null): Promise<Stored | E> {
    return this.#done.catch(onrejected);
  }

  finally(onfinally?: (() => void) | null): Promise<Stored> {
    return this.#done.finally(onfinally);
  }

  [Symbol.asyncIterator](): AsyncIterator<StoreEvent, void> {
    return this.#told.read();
  }
}

/** Whether it is what `computePiece` gives. */
export function isPiece(prepared: object | undefined): prepared is Piece {
  return prepared !== undefined && 'commP' in prepared;
}

class Work {
  readonly #engine: Engine;
  readonly #options: StoreOptions;
  readonly #tell: (event: StoreEvent) => void;
  #isOrdered = false;

  constructor(engine: Engine, options: StoreOptions, tell: (event: StoreEvent) => void) {
    this.#engine = engine;
    this.#options = { ...options, miner: options.miner ?? engine.miners };
    this.#tell = tell;
  }

  async run(input: Input): Promise<Stored> {
    const { name, signal, prepared } = this.#options;
    const { files, release } = await spool(input, {
      name,
      signal,
      onBytes: (done) => this.#tell({ type: 'reading', done }),
    });
    try {
      const stored = isPiece(prepared)
        ? await this.#storePiece(files, prepared)
        : await this.#storeFiles(files, prepared ?? (await this.#prepare(files)));
      if (this.#options.until !== 'ordered') {
        this.#tell({ type: 'stored', stored });
      }
      return stored;
    } finally {
      if (this.#isOrdered && this.#engine.refersToFiles) {
        this.#engine.whenClosed(() => void release());
      } else {
        await release();
      }
    }
  }

  #prepare(files: FilesInput): Promise<Prepared> {
    const onProgress = (progress: Progress): void => {
      this.#options.onProgress?.(progress);
      this.#tell({ type: 'hashing', progress });
    };
    return prepareFiles(this.#engine, files, { ...this.#options, onProgress });
  }

  async #storeFiles(files: FilesInput, prepared: Prepared): Promise<Stored> {
    const { signal } = this.#options;
    const { id } = prepared;
    this.#tell({ type: 'prepared', prepared });
    const most = this.#options.most ?? (await this.#consent(prepared));
    const request = storeRequest(prepared, files, { ...this.#options, most });
    let declined: Problem | undefined;
    const following = new Following<StoredFile>(this.#engine, (file) => outcomeOfFile(file, declined), { signal });
    const hear = (file: StoredFile): void => {
      this.#tell({ type: 'file', file });
      following.hear(file);
    };
    const hearDeal = (deal: Deal): void => {
      if (this.#isOrdered && deal.partOf === id) {
        declined ??= deal.error?.code === 'signer-refused' ? deal.error : undefined;
        this.#tell({ type: 'deal', deal });
      }
    };
    following.until(this.#engine.on('file', (file) => this.#isOrdered && file.file === id && hear(file)));
    following.until(this.#engine.on('deal', hearDeal));
    try {
      const onProgress =
        request.keep === 'opfs' ? (progress: Progress) => this.#tell({ type: 'copying', progress }) : undefined;
      const ordered = await this.#engine.call('storeFiles', [request], { signal, onProgress });
      this.#ordered(id);
      // It may have come further meanwhile.
      const [begun, known] = await Promise.all([this.#engine.call('deals', []), this.#engine.call('file', [id])]);
      begun.forEach(hearDeal);
      hear(known ?? ordered);
      const file = this.#options.until === 'ordered' ? undefined : await following.end;
      const [deals, now] = await Promise.all([this.#engine.call('deals', []), this.#engine.call('file', [id])]);
      const shown = file ?? now;
      return { id, ...(shown && { file: shown }), deals: deals.filter(({ partOf }) => partOf === id) };
    } finally {
      following.stop();
    }
  }

  /** What all deals may cost together: what they cost at most, unless nobody takes them or it is not wanted then. */
  async #consent({ manifest }: Prepared): Promise<bigint> {
    const { signal, confirm } = this.#options;
    const quote = await this.#engine.call('quoteFiles', [manifest, orderOf(this.#options)], { signal });
    this.#tell({ type: 'quoted', quote });
    if (quote.problem) {
      throw SealdropError.from(quote.problem);
    }
    if (confirm && !(await confirm(quote))) {
      throw new SealdropError('aborted', 'the quote was not accepted', 'Nothing was paid.');
    }
    return quote.most;
  }

  async #storePiece(files: FilesInput, piece: Piece): Promise<Stored> {
    const { signal, duration, allowDuplicates = false, miner = this.#engine.miners, most } = this.#options;
    const [file, ...others] = named(files).files;
    if (file === undefined || others.length > 0) {
      throw new SealdropError('bad-argument', 'a piece is of one file, and several were handed in');
    }
    const following = new Following<Deal>(this.#engine, outcomeOfDeal, { signal });
    const hear = (deal: Deal): void => {
      this.#tell({ type: 'deal', deal });
      following.hear(deal);
    };
    let id: string | undefined;
    following.until(this.#engine.on('deal', (deal) => deal.id === id && hear(deal)));
    try {
      const about = {
        file: file.file,
        name: file.path,
        piece,
        miner: minerOf(miner),
        duration,
        allowDuplicates,
        most: most === undefined ? undefined : formatFil(most),
      };
      const drafted = await this.#engine.call('store', [about], { signal });
      id = drafted.id;
      this.#ordered(id);
      // It may have come further before its id was known.
      hear((await this.#engine.call('deal', [id])) ?? drafted);
      const deal = this.#options.until === 'ordered' ? drafted : await following.end;
      return { id, deals: [deal] };
    } finally {
      following.stop();
    }
  }

  #ordered(id: string): void {
    this.#isOrdered = true;
    this.#tell({ type: 'ordered', id });
  }
}
