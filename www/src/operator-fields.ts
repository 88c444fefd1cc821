// Which settings there are, in which groups and units, and what is sent of what was typed.

import { attoOf, decimalFil, scaled, unscaled } from './operator-amounts';
import type { Settings } from './operator-types';

export const GROUPS = ['offer', 'taking', 'proving', 'keeping'] as const;

type Unit =
  | 'filByteBlock'
  | 'filGibMonth'
  | 'blocks'
  | 'seconds'
  | 'hours'
  | 'days'
  | 'mib'
  | 'gib'
  | 'mibSecond'
  | 'proofs'
  | 'deals';

export interface Field {
  readonly key: keyof Settings;
  readonly group: (typeof GROUPS)[number];
  readonly kind: 'amount' | 'number' | 'switch';
  readonly unit: Unit;
  /** So many of the daemon's units are one of those that are typed. */
  readonly scale: number;
  /** What nothing means. */
  readonly isAuto?: 'machine' | 'size' | 'never' | 'unlimited';
}

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const MIB = 1 << 20;

const number = (
  key: keyof Settings,
  group: Field['group'],
  unit: Unit,
  scale = 1,
  isAuto?: Field['isAuto'],
): Field => ({ key, group, kind: 'number', unit, scale, isAuto });
const turn = (key: keyof Settings, group: Field['group']): Field => ({
  key,
  group,
  kind: 'switch',
  unit: 'blocks',
  scale: 1,
});

export const FIELDS: readonly Field[] = [
  { key: 'price', group: 'offer', kind: 'amount', unit: 'filByteBlock', scale: 1 },
  number('askBlocks', 'offer', 'blocks'),
  number('minDuration', 'offer', 'blocks'),
  number('maxDuration', 'offer', 'blocks'),
  turn('mining', 'taking'),
  number('stagingMaxBytes', 'taking', 'gib', MIB * 1024, 'size'),
  number('stagingMaxDeals', 'taking', 'deals'),
  number('transferLimitMs', 'taking', 'hours', HOUR),
  number('autoSealMs', 'taking', 'seconds', SECOND),
  number('memoryMib', 'proving', 'mib', 1, 'machine'),
  number('commit2Slots', 'proving', 'proofs', 1, 'machine'),
  turn('ownProver', 'proving'),
  turn('redeem', 'proving'),
  turn('slash', 'proving'),
  turn('keepUnsealed', 'keeping'),
  number('scrubEveryMs', 'keeping', 'days', 24 * HOUR, 'never'),
  number('scrubBytesPerSecond', 'keeping', 'mibSecond', MIB, 'unlimited'),
];

/** What was typed and is not what holds, as text. */
export type Drafts = Partial<Record<keyof Settings, string>>;

/** What holds, as it stands in its field. */
export function shownOf({ key, kind, scale }: Field, settings: Settings): string {
  const value = settings[key];
  if (kind === 'switch' || kind === 'amount') return String(value);
  return scaled(Number(value), scale);
}

/** What is to be sent, and which fields cannot be read. */
export function changeOf(settings: Settings, drafts: Drafts): { change: Partial<Settings>; wrong: (keyof Settings)[] } {
  const change: Record<string, unknown> = {};
  const wrong: (keyof Settings)[] = [];
  for (const { key, kind, scale } of FIELDS) {
    const typed = drafts[key];
    if (typed === undefined) continue;
    const value = kind === 'switch' ? typed === 'true' : kind === 'amount' ? amount(typed) : unscaled(typed, scale);
    if (value === undefined) wrong.push(key);
    else if (value !== settings[key]) change[key] = value;
  }
  return { change: change as Partial<Settings>, wrong };
}

function amount(text: string): string | undefined {
  const atto = attoOf(text);
  return atto === undefined ? undefined : decimalFil(atto);
}
