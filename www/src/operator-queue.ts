// What the prover is at: what runs, with how far it should be, then what waits and when it should begin.

import { html, nothing } from 'lit';
import { operator } from './operator-state';
import type { Job } from './operator-types';
import { bar, roughly, said } from './operator-view';
import { operatorLink } from './route';
import { span } from './times';
import { o } from './words/operator';

/** Most jobs that are listed; a count stands for the rest. */
const MOST = 30;

export function queue(jobs: readonly Job[]) {
  return html`
    <section class="sheet op-part" aria-labelledby="queue-title">
      <h2 id="queue-title">${o.queue.title}</h2>
      ${
        jobs.length === 0
          ? html`<p class="note">${o.queue.idle}</p>`
          : html`<ol class="op-queue">${jobs.slice(0, MOST).map(job)}</ol>`
      }
      ${jobs.length > MOST ? html`<p class="note">${o.andMore(jobs.length - MOST)}</p>` : nothing}
    </section>
  `;
}

function job(each: Job) {
  const { sector, step, state, expectedMs, basis } = each;
  const isRunning = 'running' in state;
  const name = o.steps[step as keyof typeof o.steps] ?? step;
  return html`
    <li class="op-job ${isRunning ? 'op-job-runs' : ''}" data-testid="job" data-step=${step} data-running=${isRunning}>
      <p class="op-job-what">
        <strong>${name}</strong>
        ${sector === null ? html`<span class="note">${o.queue.allSectors}</span>` : html`<a href=${operatorLink('sectors', sector)}>${o.sector(sector)}</a>`}
        <span class="op-job-when">${when(each)}</span>
      </p>
      ${'running' in state && expectedMs !== null ? bar((operator.now - state.running.sinceMs) / Math.max(1, expectedMs)) : nothing}
      ${expectedMs === null ? nothing : html`<p class="note">${o.queue.takes(roughly(expectedMs), said(basis, false))}</p>`}
    </li>
  `;
}

function when({ state, expectedMs, waitMs }: Job): string {
  if ('running' in state) {
    const spent = Math.max(0, operator.now - state.running.sinceMs);
    if (expectedMs === null) return o.queue.runsFor(span(spent));
    const left = expectedMs - spent;
    return left < 1000 ? o.queue.anyMoment(span(spent)) : o.queue.left(roughly(left));
  }
  if (waitMs === null) return o.queue.waits;
  return waitMs < 1000 ? o.queue.next : o.queue.startsIn(roughly(waitMs));
}
