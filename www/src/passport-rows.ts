// The deal passport's rows: each of the fifteen steps with whose word it stands on; what shows it is one click away.

import { html, nothing, svg, type TemplateResult } from 'lit';
import type { Artefact, InclusionPath, Passport, PassportStep, ReceiptProof, StepStanding } from 'sealdrop-client';
import { count } from './amounts';
import './copyable';
import { shortened } from './copyable';

const WORDS = {
  standing: {
    checked: 'checked by this tab',
    claimedByClient: 'claimed by the client',
    claimedByMiner: 'claimed by the miner',
    claimedByChain: 'claimed by the chain',
    notYet: 'not yet',
    unchecked: 'not checked',
    wrong: 'wrong',
  } satisfies Record<StepStanding, string>,
  steps: {
    file: 'File chosen',
    piece: 'Fingerprints computed',
    terms: 'Terms and miner chosen',
    payment: 'Money set aside, vouchers signed',
    proposal: 'Proposal signed and sent',
    answer: 'Accepted by the miner',
    transfer: 'Data transferred',
    check: 'Checked by the miner',
    staging: 'Placed in a sector',
    seal: 'Sector sealed',
    commit: 'Seal committed on the chain',
    inclusion: 'Complete, with an inclusion proof',
    proving: 'Proven again in every window',
    redemption: 'Miner paid as it proves',
    retrieval: 'Taken back and compared',
  } satisfies Record<PassportStep['step'], string>,
  artefacts: {
    manifest: 'Manifest',
    piece: 'Piece',
    terms: 'Terms',
    channel: 'Message that opened the payment channel',
    vouchers: 'Vouchers',
    proposal: 'Proposal',
    accepted: 'Answer: accepted',
    started: 'Answer: started',
    staged: 'Answer: staged',
    preCommit: 'Pre-commit message',
    commit: 'Commit message',
    sealTicket: 'Ticket that the seal was made with',
    sealSeed: 'Seed of the proof’s challenges',
    complete: 'Answer: complete',
    post: 'Proof of spacetime',
    redemption: 'Message that paid the miner',
    retrieved: 'What came back',
  } satisfies Record<Artefact['kind'], string>,
  noArtefact: 'Nothing of its own shows this step.',
  evidence: 'Evidence',
  block: 'block',
  tree: 'From your file’s commitment up to the sector’s: at each level the hash of both gives the one above.',
  yours: 'CommP, your file',
  sector: 'CommD, the sector',
  beside: 'beside it',
  proof: {
    holds: 'holds under the verifying key',
    fails: 'does not hold',
    unchecked: 'was not checked here',
    bytes: 'Bytes of the proof',
  },
  time: 'Proofs of spacetime by block',
  limits: 'What this cannot say',
};

const MARKS: Record<StepStanding, { mark: string; look: string }> = {
  checked: { mark: '✓', look: 'holds' },
  claimedByClient: { mark: '–', look: 'over' },
  claimedByMiner: { mark: '–', look: 'over' },
  claimedByChain: { mark: '–', look: 'over' },
  notYet: { mark: '…', look: 'pending' },
  unchecked: { mark: '?', look: 'pending' },
  wrong: { mark: '✕', look: 'fails' },
};

/** All rows of a passport, and what it cannot say. */
export function passportRows({ steps, limits }: Passport): TemplateResult {
  return html`
    <ol class="passport">${steps.map(row)}</ol>
    <section class="limits">
      <h3>${WORDS.limits}</h3>
      <ul>${limits.map((limit) => html`<li>${limit}</li>`)}</ul>
    </section>
  `;
}

function row(report: PassportStep) {
  const { number, step, standing, detail, artefacts } = report;
  const { mark, look } = MARKS[standing];
  return html`
    <li class="check check-${look}" data-testid="passport-step" data-step=${step} data-number=${number} data-standing=${standing}>
      <span class="check-mark" aria-hidden="true">${mark}</span>
      <div>
        <p class="passport-title"><strong>${number}. ${WORDS.steps[step]}</strong> <span class="standing">${WORDS.standing[standing]}</span></p>
        <p class="note check-detail">${brief(detail)}</p>
        <details>
          <summary>${WORDS.evidence}<span class="unseen">, ${WORDS.steps[step]}</span></summary>
          ${artefacts.length === 0 ? html`<p class="note">${WORDS.noArtefact}</p>` : nothing}
          ${step === 'proving' && artefacts.length > 0 ? timeLine(artefacts) : nothing}
          ${artefacts.map(artefact)}
        </details>
      </div>
    </li>
  `;
}

/** A finding with its long identifiers shortened; they stand in full in the evidence. */
function brief(detail: string) {
  return detail
    .split(/\b([0-9a-z]{40,})\b/)
    .map((part, index) => (index % 2 === 1 ? html`<code title=${part}>${shortened(part)}</code>` : part));
}

function artefact({ kind, height, facts, path, proof }: Artefact) {
  return html`
    <section class="artefact" data-testid="artefact" data-kind=${kind}>
      <h4>${WORDS.artefacts[kind]}${height === undefined ? '' : `, ${WORDS.block} ${count(height)}`}</h4>
      <dl class="facts stacked">
        ${facts.map(
          ({ name, value }) =>
            html`<div><dt>${name}</dt><dd>${value.length > 24 ? html`<sd-copyable .value=${value} label=${name} short></sd-copyable>` : value}</dd></div>`,
        )}
      </dl>
      ${path ? tree(path) : nothing}
      ${proof ? proofOf(proof) : nothing}
    </section>
  `;
}

function proofOf({ bytes, verdict, key, reason }: ReceiptProof) {
  return html`
    <p class="note">${WORDS.proof[verdict]} ${key ? html`<code title=${key}>${shortened(key)}</code>` : (reason ?? '')}</p>
    <details>
      <summary>${WORDS.proof.bytes} (${bytes.length / 2})</summary>
      <sd-copyable .value=${bytes} label=${WORDS.proof.bytes}></sd-copyable>
    </details>
  `;
}

const LEVEL = 52;
const WIDTH = 320;

/** The path from the piece up to the sector: the root on top, each level's two children below it. */
function tree({ commP, commD, steps }: InclusionPath) {
  const height = (steps.length + 1) * LEVEL;
  const y = (level: number) => height - LEVEL / 2 - level * LEVEL;
  const middle = WIDTH / 2;
  const name = (level: number) => (level === 0 ? WORDS.yours : level === steps.length ? WORDS.sector : '');
  const hash = (level: number) => (level === 0 ? commP : (steps[level - 1]?.parent ?? commD));
  return html`
    <figure class="tree">
      <svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label=${`${WORDS.yours} → ${WORDS.sector}: ${steps.length}`}>
        ${steps.map(({ sibling, isLeft }, level) => {
          const x = isLeft ? middle - 105 : middle + 105;
          return svg`
            <line class="tree-line" x1=${middle} y1=${y(level)} x2=${middle} y2=${y(level + 1)}></line>
            <line class="tree-side" x1=${x} y1=${y(level)} x2=${middle} y2=${y(level + 1)}></line>
            ${node(x, y(level), sibling, WORDS.beside, 'tree-beside')}
          `;
        })}
        ${Array.from({ length: steps.length + 1 }, (_, level) => node(middle, y(level), hash(level), name(level), 'tree-own'))}
      </svg>
      <figcaption class="note">${WORDS.tree}</figcaption>
    </figure>
  `;
}

function node(x: number, y: number, hash: string, name: string, look: string) {
  return svg`<g class=${look}>
    <rect x=${x - 46} y=${y - 13} width="92" height="26" rx="6"></rect>
    <text x=${x} y=${y - (name ? 1 : -4)}>${hash.slice(0, 6)}…${hash.slice(-4)}</text>
    ${name ? svg`<text class="tree-name" x=${x} y=${y + 9}>${name}</text>` : nothing}
    <title>${hash}</title>
  </g>`;
}

/** When the proofs of spacetime were made. */
function timeLine(posts: readonly Artefact[]) {
  const heights = posts.map(({ height = 0 }) => height);
  const [first, last] = [Math.min(...heights), Math.max(...heights)];
  const x = (height: number) => (last === first ? WIDTH / 2 : 20 + ((height - first) / (last - first)) * (WIDTH - 40));
  return html`
    <figure class="time-line">
      <svg viewBox="0 0 ${WIDTH} 46" role="img" aria-label="${WORDS.time}: ${heights.join(', ')}">
        <line class="tree-side" x1="8" y1="18" x2=${WIDTH - 8} y2="18"></line>
        ${posts.map(
          ({ height = 0, proof }) => svg`<g class="post post-${proof?.verdict ?? 'unchecked'}">
            <circle cx=${x(height)} cy="18" r="6"></circle><title>${WORDS.block} ${height}</title></g>`,
        )}
        <text class="tree-name" x=${x(first)} y="40">${first}</text>
        ${last === first ? nothing : svg`<text class="tree-name" x=${x(last)} y="40">${last}</text>`}
      </svg>
      <figcaption class="note">${WORDS.time}</figcaption>
    </figure>
  `;
}
