// Durations and moments in words. Blocks become time through the network's block time, so they are always "about".

const UNITS: [string, number][] = [
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
    if (whole > 0 || (size === 1 && parts.length === 0)) parts.push(`${whole} ${name}${whole === 1 ? '' : 's'}`);
    if (parts.length === 2) break;
    if (parts.length === 1 && whole === 0) break;
  }
  return parts.join(' ');
}

/** A running clock, as in 1:05 or 1:02:07. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number) => value.toString().padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** The time of day, with the date unless it is today's. */
export function moment(ms: number, now: number = Date.now()): string {
  const at = new Date(ms);
  const time = at.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  if (at.toDateString() === new Date(now).toDateString()) return time;
  return `${at.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })}, ${time}`;
}

/** About how long a number of blocks takes. */
export function blocksAsTime(blocks: number, blockTimeMs: number): string {
  return span(blocks * blockTimeMs);
}
