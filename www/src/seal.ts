// The wax seal: the page's mark, and each deal's own picture. The impression in the wax is drawn from a commitment, so
// the same sector always carries the same seal, and another one looks different.

import { html, nothing, svg, type TemplateResult } from 'lit';

const CENTRE = 60;
const WAX_RADIUS = 50;
const POINTS = 120;

/** The wax's shading, which all seals share; drawn once in the page. */
export const WAX = html`<svg class="shared-paint" width="0" height="0" aria-hidden="true">
  <defs>
    <radialGradient id="wax" cx=".36" cy=".28" r=".85">
      <stop offset="0" stop-color="#d9484f"></stop>
      <stop offset=".5" stop-color="#ab1f2d"></stop>
      <stop offset="1" stop-color="#7a111f"></stop>
    </radialGradient>
    <radialGradient id="wax-floor" cx=".6" cy=".7" r=".8">
      <stop offset="0" stop-color="#b92c38"></stop>
      <stop offset="1" stop-color="#931826"></stop>
    </radialGradient>
    <radialGradient id="wax-cold" cx=".36" cy=".28" r=".85">
      <stop offset="0" stop-color="#9a8f8c"></stop>
      <stop offset="1" stop-color="#5d5552"></stop>
    </radialGradient>
  </defs>
</svg>`;

export type SealLook = 'molten' | 'sealed' | 'broken';

/** A seal of `size` CSS pixels. `mark` is the commitment that shapes it; without one the wax stays blank. */
export function seal(look: SealLook, mark: string | undefined, size: number): TemplateResult {
  const random = numbers(mark ?? 'sealdrop');
  const outline = waxOutline(random);
  const curves = mark && look !== 'molten' ? impression(random) : [];
  return html`
    <svg class="seal seal-${look}" width=${size} height=${size} viewBox="0 0 120 120" aria-hidden="true">
      <path class="seal-shadow" d=${outline} transform="translate(0 2.5)"></path>
      <path class="seal-wax" d=${outline}></path>
      <path class="seal-gloss" d="M28 50 A36 36 0 0 1 58 23"></path>
      <circle class="seal-floor" cx="60" cy="60" r="36"></circle>
      <circle class="seal-dark" cx="60" cy="60" r="36"></circle>
      <path class="seal-light" d="M34 86 A37 37 0 0 0 96 52"></path>
      ${
        curves.length > 0
          ? curves.map(
              (d) =>
                svg`<path class="seal-light" d=${d} transform="translate(.8 .9)"></path><path class="seal-dark" d=${d}></path>`,
            )
          : blank(look)
      }
      ${look === 'broken' ? svg`<path class="seal-crack" d="M62 4 L54 31 L66 52 L52 73 L63 91 L57 116"></path>` : nothing}
    </svg>
  `;
}

/** The drop that stands in the mark of the page and in wax without an impression. */
const DROP = 'M60 37 C69 50 75 58 75 67 A15 15 0 0 1 45 67 C45 58 51 50 60 37 Z';

function blank(look: SealLook): TemplateResult | typeof nothing {
  if (look === 'molten') return nothing as typeof nothing;
  return svg`<path class="seal-light" d=${DROP} transform="translate(.8 .9)"></path><path class="seal-dark seal-fill" d=${DROP}></path>`;
}

/** A closed, slightly irregular edge, as wax has that was pressed. */
function waxOutline(random: () => number): string {
  const waves = [3, 4, 5, 7].map((turns) => ({
    turns,
    size: (0.4 + random()) * (5 / turns),
    shift: random() * 2 * Math.PI,
  }));
  const at = (angle: number) =>
    WAX_RADIUS + waves.reduce((sum, wave) => sum + wave.size * Math.sin(wave.turns * angle + wave.shift), 0);
  return closed(at);
}

/** What stands inside the ring: two interlaced bands, a figure at the heart, beads; all of it from the commitment. */
function impression(random: () => number): string[] {
  const folds = 3 + Math.floor(random() * 9);
  const depth = 3 + random() * 5;
  const slow = Math.floor(random() * 3);
  const shift = random() * 2 * Math.PI;
  const band = (phase: number) =>
    closed((angle) => 24 + depth * Math.sin(folds * angle + phase) * (0.75 + 0.25 * Math.cos(slow * angle + shift)));
  const points = 3 + Math.floor(random() * 6);
  const sharpness = 0.25 + random() * 0.35;
  const size = 9 + random() * 5;
  const heart = closed((angle) => size * (1 - sharpness + sharpness * Math.cos(points * angle + shift)));
  const beads =
    random() < 0.5
      ? [circle(0, 0, 4 + random() * 2)]
      : Array.from({ length: points }, (_, index) => {
          const angle = ((index + 0.5) / points) * 2 * Math.PI - shift / points;
          return circle(size * Math.cos(angle), size * Math.sin(angle), 1.6);
        });
  return [band(0), ...(random() < 0.75 ? [band(Math.PI)] : []), heart, ...beads];
}

function circle(x: number, y: number, radius: number): string {
  const left = `${(CENTRE + x - radius).toFixed(1)} ${(CENTRE + y).toFixed(1)}`;
  return `M${left}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`;
}

function closed(radius: (angle: number) => number): string {
  const points = Array.from({ length: POINTS }, (_, index) => {
    const angle = (index / POINTS) * 2 * Math.PI;
    const r = radius(angle);
    return `${(CENTRE + r * Math.cos(angle)).toFixed(1)} ${(CENTRE + r * Math.sin(angle)).toFixed(1)}`;
  });
  return `M${points.join('L')}Z`;
}

/** The same numbers in [0, 1) for the same text: FNV-1a for the start, mulberry32 for the rest. */
function numbers(text: string): () => number {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  }
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
