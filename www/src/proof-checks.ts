// "Proofs, checked in this tab": the seal's proof and the newest proofs of spacetime, each verified by this browser itself; or, where that
// is not possible, marked as what the chain claims.

import { html, nothing } from 'lit';
import type { Deal, PostEvidence, ProofEvidence, ProofVerdict } from 'sealdrop-client';
import { ProofChecker } from 'sealdrop-client/verify';
import { count } from './amounts';
import { shortened } from './copyable';
import { type Problem, problemOf } from './problem';
import { session } from './session';
import { View } from './view';

/** A proof, and what is known of it by now. */
interface Proof {
  readonly name: string;
  readonly meaning: string;
  readonly post?: PostEvidence;
  /** Without one it is still to be checked. */
  verdict?: ProofVerdict;
}

const SEAL = 'That the sealed copy holds exactly the sector’s data, encoded for this miner alone.';
const POST = 'That the miner had the sealed copies when the window opened.';
const HEAD = 'Whoever sealed and stored this sent the chain zero-knowledge proofs. ';
const BEFORE = `${HEAD}So far you believe the chain that they hold; your browser can check them by itself.`;
const AFTER = `${HEAD}Here they are checked by your browser itself, against what the chain has on record.`;

/** Marks and words of each outcome, for eyes and for ears. */
const LOOKS = {
  holds: { mark: '✓', look: 'holds', words: 'checked by this tab' },
  fails: { mark: '✕', look: 'fails', words: 'checked by this tab, and wrong' },
  unchecked: { mark: '–', look: 'over', words: 'claimed by the chain' },
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
    const proofs = checked ? this.proofs : [{ name: 'The seal', meaning: SEAL }];
    const label = this.busy ? 'Checking…' : checked ? 'Check again' : 'Check the proofs';
    return html`
      <section class="panel" aria-labelledby="proofs-title" data-testid="proof-checks">
        <h2 id="proofs-title">The proofs themselves</h2>
        <p class="note">${checked ? AFTER : BEFORE}</p>
        <ul class="checks" aria-live="polite">${proofs.map((proof) => this.row(proof))}</ul>
        <button type="button" class="quiet" data-testid="check-proofs-button" ?disabled=${this.busy} @click=${this.check}>${label}</button>
        <sd-problem .problem=${this.problem}></sd-problem>
        ${
          checked
            ? html`<p class="note">This is a development network: its proving keys come from a public seed, so that anybody could make such proofs. What holds here
              shows that page, chain and miner agree; that your file is there is shown by taking it back.</p>`
            : nothing
        }
      </section>
    `;
  }

  private row({ name, meaning, post, verdict }: Proof) {
    const waiting = this.busy && !verdict;
    const { mark, look, words } = LOOKS[verdict?.state ?? 'unchecked'];
    return html`
      <li class="check check-${verdict ? look : 'unknown'}" data-testid="proof" data-proof=${post ? 'post' : 'seal'}
        data-height=${post?.height ?? nothing} data-state=${waiting ? 'checking' : (verdict?.state ?? 'claimed')}>
        <span class="check-mark" aria-hidden="true">${verdict ? mark : ''}</span>
        <div>
          <strong>${name}</strong><span class="unseen">, ${waiting ? 'being checked' : words}</span>
          <p class="note">${meaning}</p>
          <p class="note check-detail">${waiting ? 'being checked…' : detail(verdict, words)}</p>
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
      this.problem = problemOf('The proofs could not be checked', error);
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
  const proofOf = (post: PostEvidence): Proof => {
    const sectors = post.claim?.sectors.length ?? 0;
    const over = sectors > 1 ? ` This proof is over ${count(sectors)} sectors, yours among them.` : '';
    return { name: `Proof of spacetime in block ${count(post.height)}`, meaning: `${POST}${over}`, post };
  };
  return [{ name: 'The seal', meaning: SEAL }, ...posts.map(proofOf)];
}

function detail(verdict: ProofVerdict | undefined, words: string) {
  switch (verdict?.state) {
    case 'holds': {
      const { key, milliseconds } = verdict;
      return html`${words} in ${milliseconds.toFixed(1)} ms, under the verifying key <code title=${key}>${shortened(key)}</code>`;
    }
    case 'fails':
      return html`${words}: ${verdict.detail}. Do not rely on this copy: take the file back, and store it with another miner.`;
    case 'unchecked':
      return html`${words}, not checked here: ${verdict.detail}`;
    default:
      return words;
  }
}
