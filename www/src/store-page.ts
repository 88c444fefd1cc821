// The store page: choose files, have them measured, agree on terms, store them. What comes next is the page of the deal, or of the
// file where it is more than one deal.

import { html, nothing } from 'lit';
import type { EachProgress, MinerInfo, Piece, Prepared, Progress } from 'sealdrop-client';
import { resumePiece } from 'sealdrop-client';
import './account-panel';
import './copy-choice';
import './drop-zone';
import './encrypt-choice';
import './terms';
import { bytes } from './amounts';
import { entries } from './book-entries';
import { bookLine } from './book-line';
import type { Chosen } from './choosing-files';
import type { Encrypting } from './encrypt-choice';
import { isAborted, PageError, type Problem, problemOf } from './problem';
import { DEALS, dealLink, fileLink } from './route';
import { session } from './session';
import type { Terms } from './terms';
import { View } from './view';
import { t } from './words';

const RECENT_DEALS = 3;
/** Of more than that the browser makes no copy unless its person wishes one: it takes minutes, and as much room again. */
const COPIED_BYTES = 2 ** 31;
/** Smaller sectors take no part of a file, so that a file has to fit in one. */
const LEAST_CUT = 1 << 20;
/** Whatever went wrong, nothing leaves as it is while the page says that it is encrypted. */
const notEncrypted = () =>
  new PageError(
    'bad-argument',
    () => t.store.notEncrypted,
    () => t.store.notEncryptedNext,
  );

export class StorePage extends View {
  private chosen: Chosen | undefined;
  private prepared: Prepared | undefined;
  /** Of a single file while there is no miner that it could be cut for. */
  private piece: Piece | undefined;
  private each = new Map<number, EachProgress>();
  private progress: Progress | undefined;
  private problem: Problem | undefined;
  private total: bigint | undefined;
  private storing = false;
  /** Whether files are to be stored of which the browser has no room for a copy. */
  private withoutCopy = false;
  /** Whether a copy is made of files that are too large for one without a word, and how far it is. */
  private copy = false;
  private copying: Progress | undefined;
  /** The last ones that were agreed on. */
  private terms: Terms | undefined;
  private measuring: AbortController | undefined;
  private encrypting: Encrypting = { encrypt: undefined, held: undefined };

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.measuring?.abort();
  }

  override render() {
    const recent = entries()
      .slice(0, RECENT_DEALS)
      .map((entry) => bookLine(entry));
    return html`
      <div class="page-title">
        <h1>${t.store.title}</h1>
        <p>${t.store.lead}</p>
      </div>
      <div class="columns">
        <div class="main-column">
          <sd-drop-zone
            .chosen=${this.chosen}
            .prepared=${this.prepared}
            .commitment=${this.single()?.pieceCid}
            .progress=${this.progress}
            .each=${this.each}
            .limit=${limit(session.miners)}
            .refused=${this.problem !== undefined && !this.isMeasured()}
            .locked=${this.storing}
            @chosen=${(event: CustomEvent<Chosen>) => void this.choose(event.detail)}
          ></sd-drop-zone>
          <sd-problem .problem=${this.problem} .retry=${this.retryable()} .calm=${this.problem?.code === 'duplicate'} .label=${this.label()}></sd-problem>
          ${
            this.chosen && !this.cannotBe(this.chosen)
              ? html`<sd-encrypt .locked=${this.storing} @encrypting=${this.encryptingChanged}></sd-encrypt>
              ${this.copyChoice(this.chosen)}
              <sd-terms
                .held=${this.encrypting.held}
                .piece=${this.single()}
                .prepared=${this.prepared}
                .storing=${this.storing}
                @quoted=${this.quoted}
                @agreed=${(event: CustomEvent<Terms>) => void this.store(event.detail)}
              ></sd-terms>`
              : nothing
          }
          ${
            !this.chosen && recent.length > 0
              ? html`<section class="recent" aria-labelledby="recent-title">
                <h2 id="recent-title">${t.store.recent}</h2>
                <ol class="ledger sheet">${recent}</ol>
                <p class="more"><a href=${DEALS}>${t.store.wholeBook}</a></p>
              </section>`
              : nothing
          }
          ${!this.chosen && recent.length === 0 ? how() : nothing}
        </div>
        <aside class="side-column" aria-label=${t.store.side}>
          <sd-account .needed=${this.total}></sd-account>
          <sd-network></sd-network>
        </aside>
      </div>
    `;
  }

  private copyChoice({ files, size }: Chosen) {
    if (size <= COPIED_BYTES) return nothing;
    return html`<sd-copy
      .size=${size}
      .known=${files.every(({ handle }) => handle !== undefined)}
      .locked=${this.storing}
      .copying=${this.copying}
      @copy=${(event: CustomEvent<boolean>) => {
        this.copy = event.detail;
      }}
    ></sd-copy>`;
  }

  /** The piece of a file that is one, and no folder: it is an ordinary deal. */
  private single(): Piece | undefined {
    const { prepared } = this;
    // An encrypted file needs its list: it says what the file is called, and how to open it.
    if (!prepared || prepared.folder || prepared.encryption) return this.piece;
    const [file] = prepared.files;
    return file?.pieces.length === 1 ? file.pieces[0] : undefined;
  }

  private isMeasured(): boolean {
    return this.prepared !== undefined || this.piece !== undefined;
  }

  private async choose(chosen: Chosen): Promise<void> {
    this.clear();
    this.chosen = chosen;
    this.problem = this.cannotBe(chosen);
    this.requestUpdate();
    if (!this.problem) await this.measure(chosen);
  }

  /** Why it cannot be stored at all, as far as that is known before it is measured. */
  private cannotBe(chosen: Chosen): Problem | undefined {
    if (chosen.size === 0) {
      return {
        code: 'empty-file',
        what: () => (chosen.folder ? t.store.emptyFiles : t.store.emptyFile),
        why: () => (chosen.folder ? t.store.noBytesIn(chosen.name) : t.store.noBytes(chosen.name)),
        next: () => t.store.chooseFuller,
      };
    }
    const most = limit(session.miners);
    const large = most === undefined ? undefined : chosen.files.find(({ file }) => file.size > most);
    if (!large || most === undefined) return undefined;
    const { size } = large.file;
    return {
      code: 'file-too-large',
      what: () => t.store.tooLarge,
      why: () => t.store.tooLargeWhy(large.path, bytes(size), size, bytes(most), most),
      next: () => t.store.tooLargeNext,
    };
  }

  private async measure(chosen: Chosen): Promise<void> {
    const measuring = new AbortController();
    this.measuring = measuring;
    this.problem = undefined;
    this.each = new Map();
    const told = (work: () => void) => {
      if (this.measuring !== measuring) return;
      work();
      this.requestUpdate();
    };
    try {
      const client = await session.connected();
      if (this.measuring !== measuring) return;
      const options = {
        signal: measuring.signal,
        onProgress: (progress: Progress) =>
          told(() => {
            this.progress = progress;
          }),
        onEach: (each: EachProgress) => told(() => this.each.set(each.index, each)),
      };
      const [first] = chosen.files;
      if (session.miners?.length === 0 && first && !chosen.folder && !this.encrypting.encrypt) {
        // Nobody could take it yet, but what it is can be said.
        const piece = await resumePiece(first.file, options);
        told(() => {
          this.piece = piece;
        });
      } else {
        const { encrypt } = this.encrypting;
        const prepared = await client.prepare(inputOf(chosen), { ...options, encrypt });
        told(() => {
          this.prepared = prepared;
        });
      }
    } catch (error) {
      if (this.measuring === measuring && !isAborted(error)) {
        const what = () => (chosen.folder ? t.store.filesNotMeasured : t.store.fileNotMeasured);
        this.problem = problemOf(what, error);
      }
    }
    this.requestUpdate();
  }

  private async store(terms: Terms, allowDuplicates = false): Promise<void> {
    const { chosen, prepared } = this;
    if (!session.client || !chosen || !this.isMeasured() || this.storing || this.encrypting.held) return;
    this.storing = true;
    this.terms = terms;
    this.problem = undefined;
    this.requestUpdate();
    try {
      location.hash =
        this.single() && terms.copies === 1
          ? await this.storeOne(terms, allowDuplicates)
          : prepared
            ? await this.storeAll(prepared, chosen, terms)
            : location.hash;
    } catch (error) {
      const one = this.single() !== undefined;
      this.problem = problemOf(() => (one ? t.store.noDeal : t.store.notStored), error);
      if (this.problem.code === 'duplicate' && this.single() && terms.copies === 1) {
        this.problem = { ...this.problem, ...duplicate() };
      }
    }
    this.storing = false;
    this.requestUpdate();
  }

  /** A file of one piece; gives where its deal is seen. */
  private async storeOne(terms: Terms, allowDuplicates: boolean): Promise<string> {
    const { chosen, client } = { chosen: this.chosen?.files[0], client: session.client };
    const piece = this.single();
    if (!chosen || !piece || !client) return location.hash;
    if (this.encrypting.encrypt) throw notEncrypted();
    const { miner, duration } = terms;
    const order = { prepared: piece, miner, duration, name: chosen.path, allowDuplicates, until: 'ordered' as const };
    const { id, deals } = await client.store(chosen.file, order);
    for (const deal of deals) session.dealChanged(deal);
    return dealLink(id);
  }

  private async storeAll(prepared: Prepared, chosen: Chosen, terms: Terms): Promise<string> {
    if (this.encrypting.encrypt && !prepared.encryption) throw notEncrypted();
    const { miner, duration, copies, most } = terms;
    const large = this.copy ? 'opfs' : 'reference';
    const keep = this.withoutCopy ? 'reference' : chosen.size > COPIED_BYTES ? large : 'copy';
    const until: 'ordered' = 'ordered';
    const order = { prepared, miner, duration, copies, most, keep, repair: true, withManifest: true, until } as const;
    const storing = session.client?.store(inputOf(chosen), order);
    if (!storing) return location.hash;
    try {
      for await (const event of storing) {
        if (event.type !== 'copying') continue;
        this.copying = event.progress;
        this.requestUpdate();
      }
    } finally {
      this.copying = undefined;
    }
    const { file } = await storing;
    if (!file) return location.hash;
    session.fileChanged(file);
    return fileLink(file.file);
  }

  private retryable(): (() => void) | undefined {
    const { chosen, problem, terms } = this;
    if (problem?.code === 'duplicate' && terms && this.single() && terms.copies === 1) {
      return () => void this.store(terms, true);
    }
    if (problem?.code === 'storage' && terms && this.prepared && !this.withoutCopy) {
      return () => {
        this.withoutCopy = true;
        void this.store(terms);
      };
    }
    if (!chosen || this.isMeasured() || !problem || ['empty-file', 'file-too-large'].includes(problem.code ?? '')) {
      return undefined;
    }
    return () => void this.measure(chosen);
  }

  /** What trying again means. */
  private label(): string | undefined {
    switch (this.problem?.code) {
      case 'duplicate':
        return t.store.onceMore;
      case 'storage':
        return this.prepared ? t.store.withoutCopy : undefined;
      default:
        return undefined;
    }
  }

  private readonly quoted = (event: CustomEvent<bigint | undefined>) => {
    this.total = event.detail;
    this.requestUpdate();
  };

  /** Files are measured as they are to be stored: their ciphertext has other names and sizes. */
  private readonly encryptingChanged = (event: CustomEvent<Encrypting>) => {
    const { chosen, encrypting: before } = this;
    this.encrypting = event.detail;
    this.requestUpdate();
    if (!chosen || JSON.stringify(before.encrypt) === JSON.stringify(event.detail.encrypt)) return;
    this.clear();
    this.chosen = chosen;
    void this.measure(chosen);
  };

  /** All but how files are encrypted: the switch stays as it is, and so does what it says. */
  private readonly clear = () => {
    this.measuring?.abort();
    this.measuring = this.chosen = this.prepared = this.piece = undefined;
    this.progress = this.problem = this.total = undefined;
    this.each = new Map();
    this.withoutCopy = this.copy = false;
    this.requestUpdate();
  };
}
customElements.define('sd-store', StorePage);

/** The most bytes that a file may have, where no miner has sectors that take parts of files. */
function limit(miners: MinerInfo[] | undefined): number | undefined {
  const most = miners?.length ? Math.max(...miners.map((miner) => miner.usableBytes)) : undefined;
  return most !== undefined && most < LEAST_CUT ? most : undefined;
}

/** The page knows more of what can be done than the client, which has no deal book. */
const duplicate = (): Partial<Problem> => ({
  next: () => t.store.duplicate,
  foreign: false,
  why: () => t.store.duplicateWhy,
});

/** Files as the client takes them: a single one is no folder. */
function inputOf({ files, folder }: Chosen) {
  const [first] = files;
  return !folder && first?.file instanceof File && !first.handle ? first.file : files;
}

/** What a newcomer reads before the first deal. */
function how() {
  return html`
    <ol class="how" aria-label=${t.store.how}>
      <li><h2>${t.store.measuredHere}</h2><p>${t.store.measuredHereMeans}</p></li>
      <li><h2>${t.store.sealedThere}</h2><p>${t.store.sealedThereMeans}</p></li>
      <li><h2>${t.store.proven}</h2><p>${t.store.provenMeans}</p></li>
    </ol>
  `;
}
