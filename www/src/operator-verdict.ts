// Whether all is well with the daemon, from everything that it says of itself: well only when it was heard just now, and nothing in it is wrong.

import type { Heard } from './operator-state';
import type { Alerts, MiningStatus, Proofs } from './operator-types';
import { o } from './words/operator';

/** How bad: what must be seen to, what is good to know. */
export type Weight = 'ill' | 'notice';
export type Verdict = Weight | 'well' | 'unknown';

export interface Finding {
  readonly weight: Weight;
  /** In words of the page. */
  readonly what: string;
  /** In the daemon's words. */
  readonly said?: string;
  /** What to do: in words of the page, or the daemon's. */
  readonly todo?: string;
  readonly saidTodo?: string;
  readonly since?: number;
  /** Where it is seen to. */
  readonly link?: { readonly to: string; readonly text: string };
}

/** An answer that is older was not heard now. */
const FRESH_MS = 60_000;
/** Less room than this share of the disk is told. */
const LITTLE_ROOM = 0.05;

export interface Known {
  readonly isLive: boolean;
  readonly mining: Heard<MiningStatus>;
  /** Whether everything else that tells of trouble was heard, too. */
  readonly isWhole: boolean;
  readonly proofs?: Proofs;
  readonly alerts?: Alerts;
  /** Share of the disk that is free. */
  readonly free?: number;
}

export function verdictOf(known: Known, now = Date.now()): { verdict: Verdict; findings: Finding[] } {
  const { value, at = 0, problem } = known.mining;
  if (value === undefined) return { verdict: 'unknown', findings: [] };
  const findings = [...ills(value), ...notices(value, known)];
  const isKnown = known.isLive && problem === undefined && now - at < FRESH_MS;
  const worst = findings.some(({ weight }) => weight === 'ill') ? 'ill' : findings.length > 0 ? 'notice' : 'well';
  const isSure = isKnown && (known.isWhole || worst !== 'well');
  return { verdict: isSure ? worst : 'unknown', findings };
}

function ills(mining: MiningStatus): Finding[] {
  const { health, stuck, scrub, proving, addresses } = mining;
  const f = o.findings;
  const found: Finding[] = health.problems.map(({ service, text, since }) => ({
    weight: 'ill',
    what: f.service(service),
    said: text,
    todo: f.serviceTodo,
    since,
    link: { to: '#/operator/log', text: f.toLog },
  }));
  // It says that something is wrong, and does not say what.
  if (!health.ok && found.length === 0) found.push({ weight: 'ill', what: f.unnamed, todo: f.serviceTodo });
  for (const id of stuck) {
    const link = { to: `#/operator/sectors/${id}`, text: f.toSector(id) };
    found.push({ weight: 'ill', what: f.stuck(id), todo: f.stuckTodo, link });
  }
  for (const { sector, text } of scrub.damage) {
    const link = { to: `#/operator/sectors/${sector}`, text: f.toSector(sector) };
    found.push({ weight: 'ill', what: f.damage(sector), said: text, todo: f.damageTodo, link });
  }
  if (proving.warning !== null) {
    const link = { to: '#/operator/proofs', text: f.toProofs };
    found.push({ weight: 'ill', what: f.slowProofs, said: proving.warning, link });
  }
  const tried = addresses.filter(({ answers, outside }) => answers !== null || outside !== undefined);
  if (tried.length > 0 && !tried.some(({ answers, outside }) => answers || outside?.reached)) {
    const [fault] = tried.map((each) => each.fault).filter((each) => each !== undefined);
    const link = { to: '#/operator/peers', text: f.toPeers };
    found.push({ weight: 'ill', what: f.unreached, said: fault?.text, saidTodo: fault?.advice, link });
  }
  return found;
}

function notices(mining: MiningStatus, { proofs, alerts, free }: Known): Finding[] {
  const { intake, ownProver, addresses } = mining;
  const f = o.findings;
  const found: Finding[] = [];
  if (proofs && proofs.missed.length > 0) {
    const link = { to: '#/operator/proofs', text: f.toProofs };
    found.push({ weight: 'notice', what: f.missed(proofs.missed.length), todo: f.missedTodo, link });
  }
  if (!mining.mining) found.push({ weight: 'notice', what: f.stopped, todo: f.stoppedTodo });
  else if (!intake.open) {
    found.push({ weight: 'notice', what: f.closed, said: intake.reason ?? undefined, todo: f.closedTodo });
  }
  if (addresses.length === 0) {
    const link = { to: '#/operator/peers', text: f.toPeers };
    found.push({ weight: 'notice', what: f.noAddress, todo: f.noAddressTodo, link });
  }
  if (ownProver.refusals > 0) {
    found.push({
      weight: 'notice',
      what: f.refusals(ownProver.refusals),
      said: ownProver.lastRefusal ?? undefined,
      todo: f.refusalsTodo,
    });
  }
  if (free !== undefined && free < LITTLE_ROOM) {
    const link = { to: '#/operator/machine', text: f.toMachine };
    found.push({ weight: 'notice', what: f.littleRoom, todo: f.littleRoomTodo, link });
  }
  if (alerts?.lastError) {
    const link = { to: '#/operator/machine', text: f.toMachine };
    found.push({ weight: 'notice', what: f.alerts, said: alerts.lastError, todo: f.alertsTodo, link });
  }
  return found;
}
