// "Proofs, checked in this tab": the seal's proof and the newest proofs of spacetime, each verified by this browser itself; or, where that
// is not possible, marked as what the chain claims.

import { html, nothing } from 'lit';
import type { Deal, PostEvidence, ProofEvidence, ProofVerdict } from 'sealdrop-client';
import { ProofChecker } from 'sealdrop-client/verify';
import { shortened } from './copyable';
import { type Problem, problemOf } from './problem';
import { inEnglish } from './problem-box';
import { session } from './session';
import { View } from './view';
import { t } from './words';
import { decimal } from './words/numbers';

/** A proof, and what is known of it by now. */
interface Proof {
  /** None for the seal's. */
  readonly post?: PostEvidence;
  /** Without one it is still to be checked. */
  verdict?: ProofVerdict;
}

/** The mark of each outcome, and how it looks. */
const LOOKS = {
  holds: { mark: '✓', look: 'holds' },
  fails: { mark: '✕', look: 'fails' },
  unchecked: { mark: '–', look: 'over' },
} as const;

export class ProofChecks extends View {
  static override properties = { deal: { attribute: false } };
  declare deal: Deal;
  private proofs: Proof[] = [];
  private of = '';
  private problem: Problem | undefined;
  private busy = false;
  private checker: ProofChecker | undefined;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.checker?.close();
    this.checker = undefined;
  }

  override render() {
    if (this.of !== this.deal.id) this.proofs = [];
    const checked = this.proofs.length > 0;
    const proofs: readonly Proof[] = checked ? this.proofs : [{}];
    const label = this.busy ? t.checks.checking : checked ? t.checks.again : t.proofs.check;
    return html`
      <section class="panel" aria-labelledby="proofs-title" data-testid="proof-checks">
        <h2 id="proofs-title">${t.proofs.title}</h2>
        <p class="note">${checked ? t.proofs.after : t.proofs.before}</p>
        <ul class="checks" aria-live="polite">${proofs.map((proof) => this.row(proof))}</ul>
        <button type="button" class="quiet" data-testid="check-proofs-button" ?disabled=${this.busy} @click=${this.check}>${label}</button>
        <sd-problem .problem=${this.problem}></sd-problem>
        ${checked ? html`<p class="note">${t.proofs.publicSeed}</p>` : nothing}
      </section>
    `;
  }

  private row({ post, verdict }: Proof) {
    const waiting = this.busy && !verdict;
    const { mark, look } = LOOKS[verdict?.state ?? 'unchecked'];
    const aloud = t.proofs.outcomes[verdict?.state ?? 'unchecked'];
    return html`
      <li class="check check-${verdict ? look : 'unknown'}" data-testid="proof" data-proof=${post ? 'post' : 'seal'}
        data-height=${post?.height ?? nothing} data-state=${waiting ? 'checking' : (verdict?.state ?? 'claimed')}>
        <span class="check-mark" aria-hidden="true">${verdict ? mark : ''}</span>
        <div>
          <strong>${post ? t.proofs.post(post.height) : t.proofs.seal}</strong><span class="unseen">, ${waiting ? t.proofs.beingChecked : aloud}</span>
          <p class="note">${meaningOf(post)}</p>
          <p class="note check-detail">${waiting ? t.proofs.beingChecked : detail(verdict)}</p>
        </div>
      </li>
    `;
  }

  private readonly check = async () => {
    const { id } = this.deal;
    this.busy = true;
    this.problem = undefined;
    this.of = id;
    this.requestUpdate();
    try {
      const evidence = await session.client?.evidence(id);
      if (evidence && this.of === id) {
        this.proofs = proofsOf(evidence);
        this.requestUpdate();
        await this.checkAll(evidence, this.proofs);
      }
    } catch (error) {
      this.problem = problemOf(() => t.proofs.failed, error);
    }
    this.busy = false;
    this.requestUpdate();
  };

  private async checkAll(evidence: ProofEvidence, proofs: readonly Proof[]): Promise<void> {
    this.checker ??= new ProofChecker();
    const { checker } = this;
    for (const proof of proofs) {
      const { post } = proof;
      const { missing } = post ?? evidence.seal;
      if (missing !== undefined) {
        proof.verdict = { state: 'unchecked', detail: missing };
      } else if (post?.claim) {
        proof.verdict = await checker.window(post.claim);
      } else if (evidence.seal.claim) {
        proof.verdict = await checker.seal(evidence.seal.claim);
      }
      this.requestUpdate();
    }
  }
}
customElements.define('sd-proof-checks', ProofChecks);

function proofsOf({ posts }: ProofEvidence): Proof[] {
  return [{}, ...posts.map((post) => ({ post }))];
}

function meaningOf(post: PostEvidence | undefined): string {
  if (!post) return t.proofs.sealMeans;
  const sectors = post.claim?.sectors.length ?? 0;
  return sectors > 1 ? t.proofs.postOver(sectors) : t.proofs.postMeans;
}

function detail(verdict: ProofVerdict | undefined) {
  switch (verdict?.state) {
    case 'holds': {
      const { key, milliseconds } = verdict;
      return t.proofs.holds(decimal(milliseconds, 1), html`<code title=${key}>${shortened(key)}</code>`);
    }
    case 'fails':
      return t.proofs.fails(inEnglish(verdict.detail, false));
    case 'unchecked':
      return t.proofs.unchecked(inEnglish(verdict.detail, false));
    default:
      return t.proofs.outcomes.unchecked;
  }
}
