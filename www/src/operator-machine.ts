// The machine: disk and memory, the daemon's services, its prover and scrubbing, alerts, and how it was started.

import { html, nothing } from 'lit';
import { bytes, count } from './amounts';
import { operator } from './operator-state';
import type { Alerts, Configuration, Machine, MiningStatus, ServiceHealth } from './operator-types';
import { at, bar, fact, name, OperatorView, said, waiting } from './operator-view';
import { span } from './times';
import { o } from './words/operator';

export class OperatorMachine extends OperatorView {
  protected override wants() {
    return ['machine', 'alerts', 'configuration'];
  }

  override render() {
    const [machine, mining] = [operator.get('machine'), operator.get('mining')];
    const [told, configuration] = [operator.get('alerts'), operator.get('configuration')];
    if (!machine || !mining) return waiting('machine', 'mining');
    return html`
      <div class="op-figures" data-testid="machine">${disk(machine)}${memory(machine)}</div>
      <div class="columns">
        <div class="main-column">${services(mining.health.services)}${configuration ? entries(configuration) : nothing}</div>
        <div class="side-column">${program(machine)}${told ? alerts(told) : nothing}${prover(mining)}${scrub(mining)}</div>
      </div>
    `;
  }
}
customElements.define('sd-op-machine', OperatorMachine);

function disk({ disk: { free, total, staging } }: Machine) {
  const used = total === null ? undefined : Math.max(0, total - free);
  return html`
    <section class="panel" aria-labelledby="disk-title">
      <h2 id="disk-title">${o.machine.disk}</h2>
      <p class="figure">${bytes(free)} <small>${o.machine.free}</small></p>
      ${
        total === null || used === undefined
          ? html`<p class="note">${o.machine.diskUnknown}</p>`
          : html`${bar(used / Math.max(1, total), free / total < 0.05 ? 'op-bar-full' : '')}<p class="note">${o.machine.used(bytes(used), bytes(total))}</p>`
      }
      <p class="note">${o.machine.staging(bytes(staging))}</p>
    </section>
  `;
}

function memory({ memory: { available, total, own } }: Machine) {
  const used = total === null || available === null ? undefined : Math.max(0, total - available);
  return html`
    <section class="panel" aria-labelledby="memory-title">
      <h2 id="memory-title">${o.machine.memory}</h2>
      <p class="figure">${available === null ? o.unknown : bytes(available)} <small>${available === null ? nothing : o.machine.available}</small></p>
      ${
        total === null || used === undefined
          ? html`<p class="note">${o.machine.memoryUnknown}</p>`
          : html`${bar((own ?? 0) / Math.max(1, total), '', used / total)}<p class="note">${o.machine.used(bytes(used), bytes(total))}</p>`
      }
      <p class="note">${own === null ? o.machine.ownUnknown : o.machine.own(bytes(own))}</p>
    </section>
  `;
}

function program({ version, startedAt, now, home, cores }: Machine) {
  const m = o.machine;
  return html`
    <section class="panel" aria-labelledby="program-title">
      <h2 id="program-title">${m.program}</h2>
      <dl class="facts">
        ${fact(m.version, html`<code>${version.slice(0, 80)}</code>`)}
        ${fact(m.runsFor, html`<span title=${new Date(startedAt).toISOString()}>${span(Math.max(0, now - startedAt))}</span>`)}
        ${fact(m.cores, html`<span class="num">${count(cores)}</span>`)}
        ${fact(m.home, html`<code>${name(home)}</code>`)}
      </dl>
    </section>
  `;
}

function services(all: readonly ServiceHealth[]) {
  return html`
    <section class="sheet op-part" aria-labelledby="services-title">
      <h2 id="services-title">${o.machine.services}</h2>
      <ul class="op-services">${all.map(service)}</ul>
    </section>
  `;
}

function service({ name: called, state, since, restarts, panics, lastError, lastErrorAt, isLate }: ServiceHealth) {
  const isUp = state === 'up' && !isLate;
  return html`
    <li data-testid="service" data-state=${isLate ? 'late' : state}>
      <p class="op-measure">
        <code>${name(called, 60)}</code>
        <span class="state ${isUp ? 'state-complete' : 'state-failed'}">${isLate ? o.machine.late : o.machine.states[state]}</span>
      </p>
      <p class="note">${o.since(at(since))}${restarts > 0 ? html` · ${o.machine.restarts(restarts)}` : nothing}${panics > 0 ? html` · ${o.machine.panics(panics)}` : nothing}</p>
      ${lastError === null ? nothing : html`<p class="note">${lastErrorAt === null ? nothing : at(lastErrorAt)} ${said(lastError)}</p>`}
    </li>
  `;
}

function alerts({ webhook, lastSent, lastError, pending }: Alerts) {
  const a = o.alerts;
  return html`
    <section class="panel" aria-labelledby="alerts-title" data-testid="alerts">
      <h2 id="alerts-title">${a.title}</h2>
      ${
        webhook === null
          ? html`<p class="note">${a.none}</p>`
          : html`
              <dl class="facts">
                ${fact(a.to, html`<code>${name(webhook)}</code>`)}
                ${fact(a.lastSent, lastSent === null ? a.never : at(lastSent))}
                ${pending > 0 ? fact(a.pending, html`<span class="num">${count(pending)}</span>`) : nothing}
              </dl>
              ${lastError === null ? nothing : html`<p class="op-warning">${said(lastError)}</p>`}
              <sd-order .order=${{
                id: 'webhook-test',
                label: a.test,
                needs: 'operate',
                failed: () => o.alerts.failed,
                run: async () => {
                  operator.learn('alerts', await operator.order<Alerts>('alerts/test'));
                  return () => o.alerts.sent;
                },
              }}></sd-order>
            `
      }
    </section>
  `;
}

function prover({ ownProver }: MiningStatus) {
  const p = o.prover;
  return html`
    <section class="panel" aria-labelledby="prover-title">
      <h2 id="prover-title">${p.title}</h2>
      <dl class="facts">
        ${fact(p.own, ownProver.enabled ? p.on : p.off)}
        ${fact(p.kernel, html`<code>${ownProver.kernel.slice(0, 40)}</code>`)}
        ${fact(p.proofs, html`<span class="num">${count(ownProver.proofs)}</span>`)}
        ${fact(p.refusals, html`<span class="num">${count(ownProver.refusals)}</span>`)}
      </dl>
      ${ownProver.lastRefusal ? html`<p class="op-warning">${said(ownProver.lastRefusal)}</p>` : nothing}
    </section>
  `;
}

function scrub({ scrub }: MiningStatus) {
  const s = o.scrub;
  return html`
    <section class="panel" aria-labelledby="scrub-title">
      <h2 id="scrub-title">${s.title}</h2>
      <p class="note">${s.means}</p>
      <dl class="facts">
        ${fact(s.sectors, html`<span class="num">${count(scrub.sectors)}</span>`)}
        ${fact(s.last, scrub.lastAt === null ? s.never : at(scrub.lastAt))}
        ${fact(s.restored, html`<span class="num">${count(scrub.restored)}</span>`)}
        ${fact(s.damage, html`<span class="num">${count(scrub.damage.length)}</span>`)}
      </dl>
    </section>
  `;
}

/** How it was started: what is changed in its configuration file or on its command line. */
function entries({ entries }: Configuration) {
  const c = o.configuration;
  return html`
    <section class="sheet op-part" aria-labelledby="configuration-title">
      <h2 id="configuration-title">${c.title}</h2>
      <p class="note">${c.means}</p>
      <details>
        <summary>${c.show(entries.length)}</summary>
        <dl class="facts stacked op-entries">
          ${entries.map(({ key, value, source, changesAtStart }) => fact(html`<code>${name(key, 80)}</code>`, html`<code>${name(value)}</code> <span class="note">${name(source, 120)}${changesAtStart ? html` · ${c.atStart}` : nothing}</span>`))}
        </dl>
      </details>
    </section>
  `;
}
