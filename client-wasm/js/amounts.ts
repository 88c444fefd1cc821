/** Amounts of money: attoFIL as `bigint`, exact; the engine writes them as decimal FIL. */

import { SealdropError } from './errors.js';
import { AMOUNTS } from './generated.js';

const DECIMALS = 18;
/** attoFIL of one FIL. */
const ONE_FIL = 10n ** BigInt(DECIMALS);

/** attoFIL of a decimal number of FIL such as `0.00025`. Throws `bad-argument` for what is none, and for more than 18 decimals. */
export function parseFil(text: string): bigint {
  const [, whole = '', decimals = ''] = /^(\d*)(?:\.(\d*))?$/.exec(text) ?? [];
  if (whole + decimals === '' || decimals.length > DECIMALS) {
    throw new SealdropError(
      'bad-argument',
      `“${text.slice(0, 40)}” is no amount of FIL`,
      'An amount is a decimal number of FIL such as 0.00025, with at most 18 decimals.',
    );
  }
  return BigInt(whole + decimals.padEnd(DECIMALS, '0'));
}

/** An amount of attoFIL as decimal FIL, exact: `0.00025`. `parseFil` reads it. */
export function formatFil(amount: bigint): string {
  const sign = amount < 0n ? '-' : '';
  const size = amount < 0n ? -amount : amount;
  const decimals = (size % ONE_FIL).toString().padStart(DECIMALS, '0').replace(/0+$/, '');
  return `${sign}${size / ONE_FIL}${decimals && '.'}${decimals}`;
}

/** What came of the engine, with its amounts as attoFIL. Changes the value itself: nobody else has it. */
export function withAmounts<T>(value: T): T {
  const whole: unknown = value;
  if (Array.isArray(whole)) {
    whole.forEach(withAmounts);
  } else if (isRecord(whole)) {
    for (const [field, of] of Object.entries(whole)) {
      if (typeof of === 'object') {
        withAmounts(of);
      } else if (typeof of === 'string' && AMOUNTS.has(field)) {
        whole[field] = parseFil(of);
      }
    }
  }
  return value;
}

/** Bytes, files and handles hold no amounts. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
