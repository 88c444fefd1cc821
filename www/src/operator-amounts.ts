// Amounts and measures of the operator's page: FIL as the daemon writes it, kept exact; and what settings are called by people.

const DECIMALS = 18;
/** Prices are told for as much as people buy: a GiB for thirty days. */
const GIB = 1n << 30n;
const MONTH_MS = 30 * 86_400_000;

/** FIL as decimal text in attoFIL; undefined for what is no amount. */
export function attoOf(text: string): bigint | undefined {
  const [, whole = '', decimals = ''] = /^\s*(\d*)(?:[.,](\d*))?\s*$/.exec(text) ?? [];
  if ((whole === '' && decimals === '') || decimals.length > DECIMALS || whole.length > 20) return undefined;
  return BigInt(whole + decimals.padEnd(DECIMALS, '0'));
}

/** FIL as the daemon says it; what cannot be read counts for nothing. */
export const atto = (text: string): bigint => attoOf(text) ?? 0n;

/** An amount as decimal text, exact. */
export function decimalFil(amount: bigint): string {
  const digits = amount.toString().padStart(DECIMALS + 1, '0');
  const decimals = digits.slice(-DECIMALS).replace(/0+$/, '');
  return digits.slice(0, -DECIMALS) + (decimals ? `.${decimals}` : '');
}

const blocksPerMonth = (blockMs: number): bigint => BigInt(Math.max(1, Math.round(MONTH_MS / Math.max(1, blockMs))));

/** What a GiB costs for thirty days, from a price for a byte and a block. */
export const perGibMonth = (perByteBlock: bigint, blockMs: number): bigint =>
  perByteBlock * GIB * blocksPerMonth(blockMs);

/** The price for a byte and a block that comes nearest to one for a GiB and thirty days. */
export function perByteBlock(perMonth: bigint, blockMs: number): bigint {
  const volume = GIB * blocksPerMonth(blockMs);
  return (perMonth + volume / 2n) / volume;
}

/** A number in a larger unit, as it is typed: 3000 of a thousandth are 3. */
export function scaled(value: number, scale: number): string {
  const text = (value / scale).toFixed(6);
  return text.replace(/\.?0+$/, '');
}

/** What was typed, in the daemon's unit; undefined for what is no number or less than nothing. */
export function unscaled(text: string, scale: number): number | undefined {
  if (!/^\s*\d+([.,]\d*)?\s*$/.test(text)) return undefined;
  const value = Math.round(Number(text.trim().replace(',', '.')) * scale);
  return Number.isSafeInteger(value) ? value : undefined;
}
