// Sizes and prices for the views. FIL amounts are decimal strings and stay exact: they are computed as whole attoFIL and only rounded
// to be shown.

import { t } from './words';
import { count, decimal } from './words/numbers';

export { count } from './words/numbers';

const ATTO_PER_FIL = 10n ** 18n;
const BINARY_UNITS = ['', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
/** Smaller units of FIL, the largest first, with their size in attoFIL. */
const SMALL_UNITS: [string, bigint][] = [
  ['milliFIL', 10n ** 15n],
  ['microFIL', 10n ** 12n],
  ['nanoFIL', 10n ** 9n],
  ['picoFIL', 10n ** 6n],
  ['attoFIL', 1n],
];

/** A number of bytes with three figures, as in 2.41 MiB. */
export function bytes(value: number): string {
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < BINARY_UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  if (unit === 0) return t.common.bytes(Math.round(value));
  const places = scaled < 10 ? 2 : scaled < 100 ? 1 : 0;
  return `${decimal(scaled, places)} ${BINARY_UNITS[unit]}`;
}

/** An amount of attoFIL with a unit that keeps it short, as in 12.5 FIL or 45.3 nanoFIL. */
export function money(atto: bigint): string {
  if (atto === 0n) return `${count(0)} FIL`;
  if (atto >= ATTO_PER_FIL / 100n) return `${ratio(atto, ATTO_PER_FIL)} FIL`;
  for (const [name, size] of SMALL_UNITS) {
    if (atto >= size) return `${ratio(atto, size)} ${name}`;
  }
  return `${count(0)} FIL`;
}

/** A decimal FIL amount, shortened. */
export function fil(amount: bigint): string {
  return money(amount);
}

/** What one MiB costs for a day, from a price in FIL per byte per block. */
export function pricePerMibDay(price: bigint, blockTimeMs: number): string {
  const blocksPerDay = BigInt(Math.round(86_400_000 / Math.max(1, blockTimeMs)));
  const atto = price * 1_048_576n * blocksPerDay;
  return atto === 0n ? t.common.free : t.common.perMibDay(money(atto));
}

function ratio(value: bigint, unit: bigint): string {
  const whole = value / unit;
  const places = whole >= 10n ? 2 : 3;
  const fraction = ((value % unit) * 10n ** BigInt(places)) / unit;
  return decimal(`${whole}.${fraction.toString().padStart(places, '0')}`, places);
}
