// What the operator's views share: their base, texts of the daemon, bars, moments.

import { html, nothing } from 'lit';
import { count } from './amounts';
import { legible } from './legible';
import { operator } from './operator-state';
import { inEnglish } from './problem-box';
import { moment, span } from './times';
import { View } from './view';
import { spoken } from './words';
import { o } from './words/operator';

/** Longest text of the daemon that is shown, in characters; it bounds them itself, peers' names among them. */
const LONGEST = 600;

/** Asked for on every page: how it is doing. */
const BASE = ['mining'];

export abstract class OperatorView extends View {
  protected override sources(): readonly EventTarget[] {
    return [operator, spoken];
  }

  protected override ticks(): boolean {
    return true;
  }

  /** What it shows, by path. */
  protected abstract wants(): readonly string[];

  protected override willUpdate(): void {
    // One that is gone may be drawn once more.
    if (this.isConnected) operator.want([...BASE, ...this.wants()]);
  }
}

/** A text of the daemon as it is said: in English, bounded, with what is not seen written out. */
export function said(text: string, whole = true) {
  const bounded = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  // What begins with a name is no sentence of its own.
  const isSentence = whole && bounded === text && /^\p{L}+[ ,:;]/u.test(text);
  return inEnglish(legible(bounded), isSentence);
}

/** A name or an address of others. */
export function name(text: string, longest = 200) {
  return html`<bdi class="op-name" title=${legible(text.slice(0, LONGEST))}>${legible(text.length > longest ? `${text.slice(0, longest)}…` : text)}</bdi>`;
}

/** A share as a bar; what it says stands beside it. */
export function bar(share: number, look = '', second = 0) {
  const width = (part: number) => `${(Math.min(1, Math.max(0, part)) * 100).toFixed(2)}%`;
  return html`<div class="op-bar" aria-hidden="true">
    ${second > 0 ? html`<i class="op-bar-second" .style=${`width:${width(second)}`}></i>` : nothing}<i class=${look} .style=${`width:${width(share)}`}></i>
  </div>`;
}

/** A moment with its machine-readable form. */
export const at = (ms: number) => html`<time datetime=${new Date(ms).toISOString()}>${moment(ms)}</time>`;

/** An estimate is no stopwatch: the longer it is, the coarser it is told. */
export function roughly(ms: number): string {
  const step = ms > 3_600_000 ? 300_000 : ms > 120_000 ? 60_000 : ms > 10_000 ? 5_000 : 1_000;
  return span(Math.max(step, Math.round(ms / step) * step));
}

/** A fact in a list of them. */
export const fact = (what: unknown, value: unknown) => html`<div><dt>${what}</dt><dd>${value}</dd></div>`;

/** A height, as numbers are written. */
export const block = (height: number) => html`<span class="num">${o.block(count(height))}</span>`;

/** While nothing was heard yet, or why nothing is. */
export function waiting(...paths: Parameters<typeof operator.heard>[0][]) {
  const failed = paths.map((path) => operator.heard(path)).find(({ value, problem }) => value === undefined && problem);
  return failed ? nothing : html`<p class="wait sheet op-wait">${o.asking}</p>`;
}
