// What a passport draws: the inclusion path as a tree, and the proofs of spacetime on a line of blocks. Both say the same in words, for people who
// do not see them.

import { html, nothing, svg } from 'lit';
import type { Artefact, InclusionPath, ProofState } from 'sealdrop-client';
import { count } from './amounts';
import './copyable';
import { t } from './words';

const WIDTH = 340;
const MIDDLE = WIDTH / 2;
/** From a node's middle to that of the one beside it. */
const ASIDE = 112;
/** From one level of the tree to the next. */
const LEVEL = 62;
const BOX = { width: 106, height: 40 };

/** The path from the piece up to the sector: the sector's root on top, below each node the two whose hash it is. */
export function tree({ commP, commD, steps }: InclusionPath) {
  const height = steps.length * LEVEL + BOX.height + 8;
  const y = (level: number) => height - 4 - BOX.height / 2 - level * LEVEL;
  const name = (level: number) =>
    level === 0 ? t.passport.tree.file : level === steps.length ? t.passport.tree.sector : '';
  const hash = (level: number) => (level === 0 ? commP : (steps[level - 1]?.parent ?? commD));
  return html`
    <figure class="tree" data-testid="inclusion-tree" data-levels=${steps.length}>
      <svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label=${t.passport.tree.aloud(steps.length)}>
        ${steps.map(({ sibling, isLeft }, level) => {
          const x = isLeft ? MIDDLE - ASIDE : MIDDLE + ASIDE;
          return svg`
            <path class="tree-way" d="M${MIDDLE} ${y(level)} V${y(level + 1)}"></path>
            <path class="tree-side" d="M${x} ${y(level)} C${x} ${y(level) - LEVEL / 2} ${MIDDLE} ${y(level + 1) + LEVEL / 1.6} ${MIDDLE} ${y(level + 1)}"></path>
            ${node(x, y(level), sibling, t.passport.tree.beside, 'tree-beside')}
          `;
        })}
        ${Array.from({ length: steps.length + 1 }, (_, level) => node(MIDDLE, y(level), hash(level), name(level), name(level) ? 'tree-end' : 'tree-own'))}
      </svg>
      <figcaption class="note">${t.passport.tree.means}</figcaption>
      ${steps.length > 0 ? allHashes(steps) : nothing}
    </figure>
  `;
}

function node(x: number, y: number, hash: string, name: string, look: string) {
  const [left, top] = [x - BOX.width / 2, y - BOX.height / 2];
  return svg`<g class=${look}>
    <rect x=${left} y=${top} width=${BOX.width} height=${BOX.height} rx="5"></rect>
    <text x=${x} y=${name ? y - 3 : y + 4}>${hash.slice(0, 6)}…${hash.slice(-4)}</text>
    ${name ? svg`<text class="tree-name" x=${x} y=${y + 12}>${name}</text>` : nothing}
  </g>`;
}

/** The tree as a table: every hash in full, from the piece upward. */
function allHashes(steps: InclusionPath['steps']) {
  const { all, level, side, left, right, sibling, parent } = t.passport.tree;
  return html`<details>
    <summary>${all}</summary>
    <div class="table-wide" tabindex="0" role="region" aria-label=${all}>
      <table class="hashes">
        <thead><tr><th scope="col">${level}</th><th scope="col">${side}</th><th scope="col">${sibling}</th><th scope="col">${parent}</th></tr></thead>
        <tbody>
          ${steps.map(
            (step, at) => html`<tr>
              <td class="num">${count(at + 1)}</td>
              <td>${step.isLeft ? left : right}</td>
              <td><sd-copyable .value=${step.sibling} .label=${sibling} short></sd-copyable></td>
              <td><sd-copyable .value=${step.parent} .label=${parent} short></sd-copyable></td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`;
}

const LINE = { left: 24, right: WIDTH - 24, y: 24, height: 64 };

/** When the proofs of spacetime were accepted, and what came of each; the seal's commit stands before them. */
export function timeLine(posts: readonly Artefact[], commit: number | undefined) {
  const at = posts.map(({ height = 0 }) => height);
  const ends = commit === undefined ? at : [...at, commit];
  const [first, last] = [Math.min(...ends), Math.max(...ends)];
  const x = (height: number) =>
    first === last ? MIDDLE : LINE.left + ((height - first) / (last - first)) * (LINE.right - LINE.left);
  const states = [...new Set(posts.map(stateOf))];
  return html`
    <figure class="time-line" data-testid="time-line" data-posts=${posts.length}>
      <svg viewBox="0 0 ${WIDTH} ${LINE.height}" role="img" aria-label=${t.passport.line.aloud(posts.length, Math.min(...at), Math.max(...at))}>
        <path class="tree-side" d="M8 ${LINE.y} H${WIDTH - 8}"></path>
        ${
          commit === undefined
            ? nothing
            : svg`<g class="post-commit"><rect x=${x(commit) - 5} y=${LINE.y - 5} width="10" height="10"></rect><title>${t.passport.line.at(commit, t.passport.line.commit)}</title></g>`
        }
        ${posts.map((post) => {
          const { height = 0 } = post;
          const state = stateOf(post);
          return svg`<g class="post post-${state}"><circle cx=${x(height)} cy=${LINE.y} r="5.5"></circle><title>${t.passport.line.at(height, t.passport.line[state])}</title></g>`;
        })}
        <text class="tree-name line-start" x=${first === last ? MIDDLE : 8} y="56">${count(first)}</text>
        ${first === last ? nothing : svg`<text class="tree-name line-end" x=${WIDTH - 8} y="56">${count(last)}</text>`}
      </svg>
      <figcaption class="note">
        ${t.passport.line.title}
        <span class="legend">
          ${commit === undefined ? nothing : html`<span><i class="legend-commit" aria-hidden="true"></i>${t.passport.line.commit}</span>`}
          ${states.map((state) => html`<span><i class="legend-${state}" aria-hidden="true"></i>${t.passport.line[state]}</span>`)}
        </span>
      </figcaption>
    </figure>
  `;
}

const stateOf = ({ proof }: Artefact): ProofState => proof?.verdict ?? 'unchecked';
