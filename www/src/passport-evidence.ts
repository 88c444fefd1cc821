// What shows a step of a deal: the facts of its artefacts with their signatures, the proofs' bytes, and what is drawn of them.

import { html, nothing } from 'lit';
import type { Artefact, Fact, PassportStep, ReceiptProof } from 'sealdrop-client';
import { bytes, count } from './amounts';
import './copyable';
import { legible } from './legible';
import { timeLine, tree } from './passport-drawings';
import { inEnglish } from './problem-box';
import { t } from './words';

/** Values that are longer are shortened, and can be copied whole. */
const SHOWN = 28;

/** All that shows a step; `commit` is the block in which the seal was committed. */
export function evidence({ step, artefacts }: PassportStep, commit: number | undefined) {
  if (artefacts.length === 0) return html`<p class="note">${t.passport.noEvidence}</p>`;
  const posts = artefacts.filter(({ kind }) => kind === 'post');
  // Of several proofs or payments, each opens by itself.
  const isOne = artefacts.every(({ kind }, at) => artefacts.findIndex((other) => other.kind === kind) === at);
  return html`${step === 'proving' && posts.length > 0 ? timeLine(posts, commit) : nothing}${artefacts.map((each) => artefact(each, isOne))}`;
}

function artefact({ kind, height, facts, path, proof }: Artefact, isOpen: boolean) {
  const name =
    height === undefined ? t.passport.artefacts[kind] : t.passport.atBlock(t.passport.artefacts[kind], height);
  const shown = html`
    ${path ? tree(path) : nothing}
    ${proof ? proofOf(proof) : nothing}
    <dl class="facts evidence-facts">${facts.map((fact) => html`<div><dt>${factName(fact)}</dt><dd>${factValue(fact)}</dd></div>`)}</dl>
  `;
  return html`<section class="artefact" data-testid="artefact" data-kind=${kind}>
    ${isOpen ? html`<h4>${name}</h4>${shown}` : html`<details><summary>${name}</summary>${shown}</details>`}
  </section>`;
}

function proofOf({ bytes: digits, verdict, key, reason }: ReceiptProof) {
  const why = reason === undefined ? undefined : inEnglish(reason, false);
  const said =
    verdict === 'holds'
      ? t.passport.proof.holds(
          html`<sd-copyable .value=${key ?? ''} .label=${t.passport.proof.key} short></sd-copyable>`,
        )
      : verdict === 'fails'
        ? t.passport.proof.fails(why)
        : why
          ? t.passport.proof.uncheckedWhy(why)
          : t.passport.proof.unchecked;
  return html`
    <p class="proof-said" data-testid="artefact-proof" data-state=${verdict}>${said}</p>
    <details>
      <summary>${t.passport.proof.size(t.passport.proof.bytes, bytes(digits.length / 2))}</summary>
      <p class="proof-bytes"><sd-copyable .value=${digits} .label=${t.passport.proof.bytes}></sd-copyable></p>
    </details>
  `;
}

/** What a fact is called; one that this page does not know yet keeps the name that it came with. */
function factName({ name }: Fact): string {
  const names: Readonly<Record<string, string>> = t.passport.facts;
  return Object.hasOwn(names, name) ? (names[name] ?? name) : name;
}

function factValue({ name, value }: Fact) {
  switch (name) {
    case 'size':
    case 'sectorSize':
      return bytes(Number(value));
    case 'price':
    case 'total':
    case 'value':
      return html`<span class="num">${value} FIL</span>`;
    case 'duration':
      return t.common.blocks(Number(value));
    case 'start':
    case 'window':
    case 'vouchers':
    case 'sectors':
    case 'files':
    case 'pieces':
      return html`<span class="num">${count(Number(value))}</span>`;
    case 'voucher':
      return voucher(value);
    case 'state':
      return answerOf(value);
    default:
      return textOf(name, legible(value));
  }
}

function textOf(name: string, value: string) {
  return value.length > SHOWN && !value.includes(' ')
    ? html`<sd-copyable .value=${value} .label=${factName({ name, value })} short></sd-copyable>`
    : html`<bdi>${value}</bdi>`;
}

/** As in `0.5 FIL, block 12, 1f3a…`: the amount, from which block on, the payer's signature. */
function voucher(value: string) {
  const [amount = '', from = '', signature = ''] = value.split(', ');
  const said = t.passport.voucher(amount, count(Number(from.replace(/\D/g, ''))));
  return html`<span class="num">${said}</span> <sd-copyable .value=${signature} .label=${t.passport.facts.signature} short></sd-copyable>`;
}

function answerOf(state: string): string {
  const words: Readonly<Record<string, string>> = t.deal.answers;
  return Object.hasOwn(words, state) ? (words[state] ?? state) : state;
}
