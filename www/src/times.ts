// Spans of time and moments for the views. Blocks become time through the network's block time, so they are always "about".

import { span } from './words/numbers';

export { moment, span } from './words/numbers';

/** A running clock, as in 1:05 or 1:02:07. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (value: number) => value.toString().padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** About how long a number of blocks takes. */
export function blocksAsTime(blocks: number, blockTimeMs: number): string {
  return span(blocks * blockTimeMs);
}
