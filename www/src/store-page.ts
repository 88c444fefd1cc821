// The store page: choose a file, have it measured, agree on terms, store it. What comes next is the deal's own page.

import { html, nothing } from 'lit';
import type { MinerInfo, Piece, Progress } from 'sealdrop-client';
import './account-panel';
import './drop-zone';
import './terms';
import { bytes } from './amounts';
import { entry } from './deal-book';
import { isAborted, type Problem, problemOf } from './problem';
import { DEALS, dealLink } from './route';
import { session } from './session';
import type { Terms } from './terms';
import { View } from './view';

const RECENT_DEALS = 3;

export class StorePage extends View {
  private file: File | undefined;
  private piece: Piece | undefined;
  private progress: Progress | undefined;
  private problem: Problem | undefined;
  private total: string | undefined;
  private storing = false;
  /** The last ones that were agreed on. */
  private terms: Terms | undefined;
  private measuring: AbortController | undefined;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.measuring?.abort();
  }

  override render() {
    const recent = (session.deals ?? []).slice(0, RECENT_DEALS);
    return html`
      <div class="page-title">
        <h1>Store a file under seal</h1>
        <p>
          A storage miner seals your file into a sector of its own and proves to the chain, window after window, that it
          still holds it. You can check each step yourself.
        </p>
      </div>
      <div class="columns">
        <div class="main-column">
          <sd-drop-zone
            .file=${this.file}
            .piece=${this.piece}
            .progress=${this.progress}
            .limit=${largest(session.miners)}
            .refused=${this.problem !== undefined && this.piece === undefined}
            .locked=${this.storing}
            @chosen=${(event: CustomEvent<File>) => void this.choose(event.detail)}
            @cleared=${this.clear}
          ></sd-drop-zone>
          <sd-problem .problem=${this.problem} .retry=${this.retryable()} .calm=${this.problem?.code === 'duplicate'} .label=${this.problem?.code === 'duplicate' ? 'Store it once more' : undefined}></sd-problem>
          ${
            this.file && !this.tooLarge(this.file)
              ? html`<sd-terms
                .piece=${this.piece}
                .storing=${this.storing}
                @quoted=${this.quoted}
                @agreed=${(event: CustomEvent<Terms>) => void this.store(event.detail)}
              ></sd-terms>`
              : nothing
          }
          ${
            !this.file && recent.length > 0
              ? html`<section class="recent" aria-labelledby="recent-title">
                <h2 id="recent-title">Recently stored</h2>
                <ol class="ledger sheet">${recent.map(entry)}</ol>
                <p class="more"><a href=${DEALS}>The whole deal book</a></p>
              </section>`
              : nothing
          }
          ${!this.file && recent.length === 0 ? how() : nothing}
        </div>
        <aside class="side-column" aria-label="Account and network">
          <sd-account .needed=${this.total}></sd-account>
          <sd-network></sd-network>
        </aside>
      </div>
    `;
  }

  private async choose(file: File): Promise<void> {
    this.clear();
    this.file = file;
    this.requestUpdate();
    if (file.size === 0) {
      this.problem = {
        code: 'empty-file',
        what: 'This file is empty',
        why: `“${file.name}” has no bytes`,
        next: 'Choose a file with something in it',
      };
      return;
    }
    if (this.tooLarge(file)) return;
    await this.measure(file);
  }

  private async measure(file: File): Promise<void> {
    const measuring = new AbortController();
    this.measuring = measuring;
    this.problem = undefined;
    try {
      const client = await session.connected();
      if (this.measuring !== measuring) return;
      const piece = await client.prepare(file, {
        signal: measuring.signal,
        onProgress: (progress) => {
          if (this.measuring !== measuring) return;
          this.progress = progress;
          this.requestUpdate();
        },
      });
      if (this.measuring === measuring) this.piece = piece;
    } catch (error) {
      if (this.measuring === measuring && !isAborted(error)) {
        this.problem = problemOf('The file could not be measured', error);
      }
    }
    this.requestUpdate();
  }

  /** Says so when no miner here has a sector for the file; nothing has been paid then. */
  private tooLarge(file: File): boolean {
    const limit = largest(session.miners);
    if (limit === undefined || file.size <= limit) return false;
    this.problem = {
      code: 'file-too-large',
      what: 'This file is larger than a sector',
      why: `“${file.name}” has ${bytes(file.size)} (${file.size.toLocaleString('en-US')} bytes), and the largest sector here holds ${bytes(limit)} (${limit.toLocaleString('en-US')} bytes) of file`,
      next: 'Choose a smaller file, or a network with larger sectors. Nothing was paid',
    };
    return true;
  }

  private async store(terms: Terms, allowDuplicates = false): Promise<void> {
    const { file, piece } = this;
    if (!session.client || !file || !piece || this.storing) return;
    this.storing = true;
    this.terms = terms;
    this.problem = undefined;
    this.requestUpdate();
    try {
      const deal = await session.client.store(file, piece, terms.miner, {
        duration: terms.duration,
        name: file.name,
        allowDuplicates,
      });
      session.dealChanged(deal);
      location.hash = dealLink(deal.id);
    } catch (error) {
      this.problem = problemOf('The deal was not made', error);
      if (this.problem.code === 'duplicate') {
        this.problem.next =
          'It stands in the deal book. You can store it once more: that is a second deal, and costs the same again';
      }
    }
    this.storing = false;
    this.requestUpdate();
  }

  private retryable(): (() => void) | undefined {
    const { file, problem, terms } = this;
    if (problem?.code === 'duplicate' && terms) return () => void this.store(terms, true);
    if (!file || this.piece || !problem || problem.code === 'empty-file' || problem.code === 'file-too-large')
      return undefined;
    return () => void this.measure(file);
  }

  private readonly quoted = (event: CustomEvent<string | undefined>) => {
    this.total = event.detail;
    this.requestUpdate();
  };

  private readonly clear = () => {
    this.measuring?.abort();
    this.measuring = this.file = this.piece = this.progress = this.problem = this.total = undefined;
    this.requestUpdate();
  };
}
customElements.define('sd-store', StorePage);

/** The most file bytes that any miner takes; unknown while there are no miners. */
function largest(miners: MinerInfo[] | undefined): number | undefined {
  return miners?.length ? Math.max(...miners.map((miner) => miner.usableBytes)) : undefined;
}

/** What a newcomer reads before the first deal. */
function how() {
  return html`
    <ol class="how" aria-label="How it works">
      <li><h2>Measured here</h2><p>Your browser computes the file’s commitment: a fingerprint that every later proof is held against.</p></li>
      <li><h2>Sealed there</h2><p>The miner takes the file over an encrypted connection, seals it into a sector and proves the seal to the chain.</p></li>
      <li><h2>Proven again and again</h2><p>In every window the miner shows that it still holds it, and is paid as it does. Take the file back at any time.</p></li>
    </ol>
  `;
}
