// Numbers, spans of time, moments and plurals as the language that is spoken writes them: all of it is asked of `Intl`.

import { language, locale } from './language';

type Options = Intl.NumberFormatOptions;

/** Formats are slow to make, and wanted again and again. */
const formats = new Map<string, Intl.NumberFormat>();

function format(options: Options = {}): Intl.NumberFormat {
  const key = `${locale()} ${JSON.stringify(options)}`;
  let found = formats.get(key);
  if (!found) {
    found = new Intl.NumberFormat(locale(), options);
    formats.set(key, found);
  }
  return found;
}

/** A whole number, as in 1,234. */
export function count(value: number | bigint): string {
  return format({ maximumFractionDigits: 0 }).format(value);
}

/** A decimal number of any size, exact, with so many places at most. */
export function decimal(value: number | string, places: number): string {
  return format({ maximumFractionDigits: places }).format(value as number);
}

/** A share from 0 to 1 in whole percent, never rounded up: what is not all is less than 100 %. */
export function percent(share: number): string {
  const whole = Math.floor(Math.min(1, Math.max(0, share)) * 100) / 100;
  return format({ style: 'percent', maximumFractionDigits: 0 }).format(whole);
}

/** A share in quarters, for what is read out: as in 25 %. */
export function quarter(share: number): string {
  return percent(Math.floor(share * 4) / 4);
}

/** A number of units, as in 3 hours or 0.5 seconds; in Chinese the short form is the usual one. */
export function unit(value: number, name: string, places = 0): string {
  return format({
    style: 'unit',
    unit: name,
    unitDisplay: language() === 'zh' ? 'short' : 'long',
    maximumFractionDigits: places,
  }).format(value);
}

const plurals = new Map<string, Intl.PluralRules>();

/** The form that goes with a number. A language without plurals gives `other` alone. */
export function plural<Form>(value: number, forms: { readonly one?: Form; readonly other: Form }): Form {
  let rules = plurals.get(locale());
  if (!rules) {
    rules = new Intl.PluralRules(locale());
    plurals.set(locale(), rules);
  }
  return rules.select(value) === 'one' ? (forms.one ?? forms.other) : forms.other;
}

/** Things in a row, as in “a, b and c”. */
export function list(parts: readonly string[], type: 'conjunction' | 'unit' = 'conjunction'): string {
  const style = type === 'unit' ? 'narrow' : 'long';
  return new Intl.ListFormat(locale(), { type, style }).format(parts);
}

/** The time of day, with the date unless it is today's. */
export function moment(ms: number, now: number = Date.now()): string {
  const at = new Date(ms);
  const time: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
  const isToday = at.toDateString() === new Date(now).toDateString();
  const date: Intl.DateTimeFormatOptions = isToday ? {} : { day: 'numeric', month: 'short' };
  return new Intl.DateTimeFormat(locale(), { ...date, ...time }).format(at);
}

/** A day of the calendar, as in 5 December 2026; within two days with the time, which then says more. */
export function day(ms: number, now: number = Date.now()): string {
  const near = ms - now < 2 * 86_400_000;
  const options: Intl.DateTimeFormatOptions = near
    ? { weekday: 'long', hour: '2-digit', minute: '2-digit' }
    : { day: 'numeric', month: 'long', year: 'numeric' };
  return new Intl.DateTimeFormat(locale(), options).format(ms);
}

const UNITS: readonly (readonly [string, number])[] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];

/** A span in its two largest units, as in 1 hour 12 minutes. */
export function span(ms: number): string {
  let rest = Math.max(0, Math.round(ms / 1000));
  const parts: string[] = [];
  for (const [name, size] of UNITS) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole > 0 || (size === 1 && parts.length === 0)) parts.push(unit(whole, name));
    if (parts.length === 2) break;
    if (parts.length === 1 && whole === 0) break;
  }
  return list(parts, 'unit');
}
