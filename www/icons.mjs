// The page's icons, drawn by the build: the wax seal with its drop as SVG, and as PNG in the sizes that systems ask for when the page is
// installed. No program and no library: the mark is a circle with waves, a ring and a drop, so that each pixel can be asked for its colour.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

/** Pixels of each side; a `maskable` one leaves room for the shape that a system cuts out of it. */
export const ICONS = [
  { name: 'icon-192.png', size: 192, purpose: 'any' },
  { name: 'icon-512.png', size: 512, purpose: 'any' },
  { name: 'icon-maskable-512.png', size: 512, purpose: 'maskable' },
  { name: 'apple-touch-icon.png', size: 180, purpose: 'maskable' },
];
/** Samples of each pixel along a side. */
const FINE = 3;

/** The mark's colours: wax from light to dark, the floor of the impression, its edge, the drop; the paper behind a maskable one. */
const WAX = [
  [217, 72, 79],
  [171, 31, 45],
  [122, 17, 31],
];
const FLOOR = [160, 37, 48];
const EDGE = [111, 15, 27];
const DROP = [251, 233, 230];
const PAPER = [232, 236, 231];

const RADIUS = 0.83;
const WAVES = [
  [3, 0.02, 0.4],
  [4, 0.016, 2.1],
  [7, 0.01, 4.4],
];

/** The colour at a place from -1 to 1 each way; undefined outside of the wax. */
function colour(x, y) {
  const away = Math.hypot(x, y);
  const angle = Math.atan2(y, x);
  const edge = RADIUS + WAVES.reduce((sum, [turns, size, shift]) => sum + size * Math.sin(turns * angle + shift), 0);
  if (away > edge) return undefined;
  if (inDrop(x, y)) return DROP;
  if (Math.abs(away - 0.56) < 0.022) return EDGE;
  if (away < 0.56) return FLOOR;
  // Light falls from above on the left.
  const shade = Math.min(1, Math.hypot(x + 0.28, y + 0.44) / 1.45) * 2;
  const [from, to] = shade < 1 ? [WAX[0], WAX[1]] : [WAX[1], WAX[2]];
  const part = shade < 1 ? shade : shade - 1;
  return from.map((value, index) => value + (to[index] - value) * part);
}

/** A circle with a point above it. */
function inDrop(x, y) {
  const [centre, radius, top] = [0.13, 0.24, -0.36];
  if (Math.hypot(x, y - centre) < radius) return true;
  if (y < top || y > centre) return false;
  const part = (y - top) / (centre - top);
  return Math.abs(x) < radius * part ** 1.25;
}

/** The mark in so many pixels each way, as RGBA. */
function pixels(size, maskable) {
  const scale = maskable ? 1.35 : 1.02;
  const out = Buffer.alloc(size * size * 4);
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const sum = [0, 0, 0, 0];
      for (let sample = 0; sample < FINE * FINE; sample += 1) {
        const at = (place, part) => (((place + (part + 0.5) / FINE) / size) * 2 - 1) * scale;
        const found =
          colour(at(column, sample % FINE), at(row, Math.floor(sample / FINE))) ?? (maskable ? PAPER : undefined);
        if (!found) continue;
        for (let part = 0; part < 3; part += 1) sum[part] += found[part];
        sum[3] += 1;
      }
      const place = (row * size + column) * 4;
      for (let part = 0; part < 3; part += 1) out[place + part] = sum[3] ? Math.round(sum[part] / sum[3]) : 0;
      out[place + 3] = Math.round((sum[3] * 255) / (FINE * FINE));
    }
  }
  return out;
}

/** RGBA as a PNG: RFC 2083 with one filter, none. */
function png(size, rgba) {
  const rows = Buffer.alloc(size * (size * 4 + 1));
  for (let row = 0; row < size; row += 1)
    rgba.copy(rows, row * (size * 4 + 1) + 1, row * size * 4, (row + 1) * size * 4);
  const chunk = (type, data) => {
    const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  // Eight bits for each of red, green, blue and alpha.
  header.set([8, 6, 0, 0, 0], 8);
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The mark as SVG. */
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#a61b29" d="M16 1c4 0 6 2 9 3s5 4 5 8-1 5-1 8-2 7-6 9-5 1-8 1-7 0-10-3-3-6-3-10 0-7 3-10 6-6 11-6z"/><circle cx="16" cy="16" r="10" fill="none" stroke="#6f0f1b" stroke-width="1.5"/><path fill="#fbe9e6" d="M16 8c3 4.5 5 6.8 5 10a5 5 0 0 1-10 0c0-3.2 2-5.5 5-10z"/></svg>
`;

/** Draws all icons into a folder. */
export async function drawIcons(folder) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'icon.svg'), SVG);
  for (const { name, size, purpose } of ICONS) {
    await writeFile(join(folder, name), png(size, pixels(size, purpose === 'maskable')));
  }
}
