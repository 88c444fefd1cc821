// A file in facts: its head, how far the whole is, its figures. The file's page puts them together.

import { html, nothing } from 'lit';
import type { WholeFile } from 'sealdrop-client';
import { bytes, count, fil } from './amounts';
import { isOver, stateOf } from './book-entries';
import { quarterSent } from './journey';
import { seal } from './seal';
import { session } from './session';
import { blocksAsTime, moment } from './times';
import { t } from './words';

/** Its name and state. */
export function fileHeader(file: WholeFile) {
  const { look, word, kind } = stateOf(file);
  return html`
    <div class="deal-head">
      ${seal(look, look === 'sealed' ? file.file : undefined, 116)}
      <div>
        <h1>${file.name}</h1>
        <p class="note">
          ${[file.folder ? t.common.files(file.files.length) : '', bytes(file.encryption?.plainSize ?? file.size), file.encryption ? t.common.encrypted : '', t.file.begun(moment(file.createdAt))].filter(Boolean).join(' · ')}
        </p>
        <p class="deal-state">
          <span class="state state-${kind}" data-testid="file-state" data-state=${isOver(file) ? 'ended' : file.progress.state}>${word}</span>
        </p>
      </div>
    </div>
  `;
}

/** How far the whole is. */
export function fileProgress(file: WholeFile) {
  const { transferred, bytes: all, copiesKept, copiesWanted, copiesUnderWay, state } = file.progress;
  const sent = transferred >= all;
  return html`
    <section class="sheet whole" aria-labelledby="whole-title" data-testid="file-progress">
      <h2 id="whole-title">${isOver(file) ? t.file.wasSealed : state === 'kept' ? t.file.isSealed : sent ? t.file.beingSealed : t.file.onItsWay}</h2>
      <div class="bars">
        <label>
          <span>${t.file.sent}</span><span class="num">${t.common.of(bytes(Math.min(transferred, all)), bytes(all))}</span>
          <progress max=${Math.max(1, all)} .value=${transferred}></progress>
        </label>
        <label>
          <span>${t.file.sealedAndProven}</span><span class="num">${(file.copies > 1 ? t.file.ofCopies : t.file.ofPieces)(copiesKept, copiesWanted)}</span>
          <progress max=${Math.max(1, copiesWanted)} .value=${copiesKept}></progress>
        </label>
      </div>
      <p class="unseen" role="status">${state === 'under-way' ? quarterSent(transferred, all) : ''}</p>
      ${
        state !== 'under-way'
          ? nothing
          : html`<p class="advice">
            ${sent ? t.file.mayClose : t.file.keepOpen}
            ${copiesUnderWay > 0 ? html`<span class="unseen">${t.file.underWay(copiesUnderWay)}</span>` : nothing}
          </p>`
      }
    </section>
  `;
}

export function fileRecord(file: WholeFile) {
  const blockTimeMs = session.network?.blockTimeMs;
  const about = blockTimeMs ? blocksAsTime(file.duration, blockTimeMs) : undefined;
  const [only] = file.files;
  return html`
    <section class="panel" aria-labelledby="record-title">
      <h2 id="record-title">${t.file.figures}</h2>
      <dl class="facts stacked">
        <div><dt>${t.file.id}</dt><dd data-testid="file-id" data-id=${file.file}><sd-copyable .value=${file.file} .label=${t.file.idCopy} short></sd-copyable></dd></div>
        ${!file.folder && only ? html`<div><dt>${t.file.dataId}</dt><dd><sd-copyable .value=${only.root} .label=${t.file.dataIdCopy} short></sd-copyable></dd></div>` : nothing}
        <div><dt>${t.file.copiesEach}</dt><dd>${count(file.copies)}</dd></div>
        <div><dt>${t.file.duration}</dt><dd>${t.file.lasts(t.common.blocks(file.duration), about, file.ends)}</dd></div>
        <div><dt>${t.file.price}</dt><dd>${fil(file.progress.committed)}${file.most === undefined ? nothing : html` <span class="note">${t.file.atMost(fil(file.most))}</span>`}</dd></div>
      </dl>
    </section>
  `;
}
