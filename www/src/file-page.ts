// A file or folder whose pieces have deals of their own: how far the whole is, its files, its pieces with their copies, the way back.

import { html, nothing } from 'lit';
import type { FilesQuote, FolderEntry, Progress, WholeFile } from 'sealdrop-client';
import { ActingView } from './acting';
import { bytes, fil } from './amounts';
import { chosenIn } from './choosing-files';
import './drill-panel';
import { encryptionPanel } from './encryption-panel';
import './foreign-file';
import { isOver } from './book-entries';
import { fileHeader, fileProgress, fileRecord } from './file-facts';
import { pieceRow, rowWord, shareSent, worst } from './file-rows';
import { previewOfEntry } from './previewed';
import { isAborted, type Problem, problemOf, translated } from './problem';
import { DEALS } from './route';
import { canSaveFolders, saveFile, saveFolder } from './saving';
import { session } from './session';
import { type Text, t } from './words';
import { percent } from './words/numbers';

/** Least milliseconds between two looks at all that is in a file. */
const LOOK_MS = 1_000;
/** Lines of a list that are shown before somebody asks for the others. */
const LINES = 200;

/** A download that runs. */
interface Running {
  path: string | undefined;
  done: number;
  total: number;
  stop: AbortController;
}

export class FilePage extends ActingView {
  static override properties = { fileId: { attribute: false } };
  declare fileId: string;
  private whole: WholeFile | undefined;
  private missing = false;
  private looked = 0;
  private looking: ReturnType<typeof setTimeout> | undefined;
  private running: Running | undefined;
  private saved: string | undefined;
  /** What it costs to keep it once more, once its time is over. */
  private again: FilesQuote | undefined;
  private asked = false;
  /** How far the files are checked that were chosen again. */
  private checking: { done: number; total: number } | undefined;
  /** Whether it is not known where its files are on the disk, or the browser does not let them be read. */
  private unknownPlace = false;
  private allFiles = false;
  private allPieces = false;
  /** The file of a folder that is shown. */
  private showing: string | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    session.addEventListener('change', this.look);
    this.look();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    session.removeEventListener('change', this.look);
    clearTimeout(this.looking);
    this.running?.stop.abort();
  }

  /** Asks for all that is in the file, now and then. */
  private readonly look = () => {
    if (this.looking !== undefined || !session.client) return;
    const wait = Math.max(0, this.looked + LOOK_MS - Date.now());
    this.looking = setTimeout(async () => {
      this.looked = Date.now();
      try {
        const whole = await session.client?.file(this.fileId);
        this.whole = whole;
        this.missing = whole === undefined;
      } catch (error) {
        this.problem = problemOf(() => t.file.notLookedAt, error);
      }
      this.looking = undefined;
      this.requestUpdate();
    }, wait);
  };

  override render() {
    const { whole } = this;
    if (!whole || whole.file !== this.fileId)
      return this.missing
        ? html`<sd-foreign .fileId=${this.fileId}></sd-foreign>`
        : html`<p class="empty wait">${t.common.openingBook}</p>`;
    const file: WholeFile = { ...whole, ...session.file(this.fileId) };
    return html`
      <p class="back"><a href=${DEALS}>← ${t.app.book}</a></p>
      ${fileHeader(file)}
      <div class="columns deal-columns">
        <div class="main-column">
          ${isOver(file) ? this.over(file) : this.needsFiles(file) ? this.supplying(file) : this.trouble(file)}
          <sd-problem .problem=${this.problem}></sd-problem>
          ${this.preview(file)}
          ${fileProgress(file)}
          ${file.folder ? this.fileList(file) : nothing}
          ${this.pieces(file)}
        </div>
        <div class="side-column">
          ${this.takeBack(file)}
          ${encryptionPanel(file)}
          <sd-drills .file=${file} @drilled=${this.lookAgain}></sd-drills>
          ${fileRecord(file)}
          ${this.farewell(file)}
        </div>
      </div>
    `;
  }

  /** Its time is over: what it costs to keep it once more. */
  private over(file: WholeFile) {
    if (!this.asked) this.ask();
    const { again } = this;
    const price =
      again && (again.least === again.most ? fil(again.most) : t.file.fromTo(fil(again.least), fil(again.most)));
    const problem: Problem = {
      code: again?.problem?.code ?? 'ended',
      what: () => t.file.timeOver,
      why: () => t.file.timeOverWhy(file.ends, file.folder),
      next: () => {
        const stands = again?.problem;
        if (!stands) return t.file.mayAgain;
        return t.file.notAgain(translated({ ...problemOf('', stands) })?.why ?? stands.message);
      },
    };
    const store = again && !again.problem ? () => this.storeAgain(again) : undefined;
    return html`<sd-problem .problem=${problem} .retry=${store} .label=${price === undefined ? t.file.again : t.file.againFor(price)}></sd-problem>`;
  }

  private ask(): void {
    this.asked = true;
    void this.act(
      () => t.file.noPrice,
      async () => {
        this.again = await session.client?.quoteAgain(this.fileId);
      },
    );
  }

  private storeAgain({ most }: FilesQuote): void {
    void this.act(
      () => t.file.notStoredAgain,
      async () => {
        await session.client?.storeAgain(this.fileId, most);
        this.asked = false;
        this.again = undefined;
      },
    );
  }

  /** What hinders it, or why it stopped. */
  private trouble(file: WholeFile) {
    if (file.stopped !== undefined && file.progress.state !== 'kept') {
      const { state, copiesKept, copiesWanted } = file.progress;
      const problem: Problem =
        state === 'abandoned'
          ? {
              code: 'abandoned',
              what: () => t.file.givenUp,
              why: () => t.file.givenUpWhy(copiesKept, copiesWanted),
              next: () => t.file.mayGoOn,
            }
          : {
              code: 'deal-failed',
              what: () => (state === 'failed' ? t.file.notWhole : t.file.fewerCopies),
              why: file.stopped,
              next: () => t.file.goesOn,
              foreign: true,
            };
      return html`<sd-problem .problem=${problem} .retry=${() => this.goOn()} .label=${t.file.goOn}></sd-problem>`;
    }
    if (!file.problem || (session.problem && file.problem.code === 'chain-unreachable')) return nothing;
    const problem = problemOf(() => t.file.delayed, file.problem);
    return html`<sd-problem .problem=${problem} calm></sd-problem>`;
  }

  /** Whether the miners still need bytes that this browser no longer has. */
  private needsFiles(file: WholeFile): boolean {
    const deals = session.deals?.filter((deal) => deal.partOf === file.file && deal.state === 'working') ?? [];
    return [file.problem, ...deals.map((deal) => deal.error)].some((error) => error?.code === 'file-lost');
  }

  /** The same files are to be chosen once more. */
  private supplying(file: WholeFile) {
    const { checking } = this;
    const input = (folder: boolean) => html`<input
      class="unseen"
      type="file"
      multiple
      ?webkitdirectory=${folder}
      data-testid=${folder ? 'again-folder' : 'again-files'}
      ?disabled=${checking !== undefined}
      @change=${this.supply}
    />`;
    return html`
      <div class="problem problem-calm" role="status" data-testid="files-again">
        <p class="problem-what">${t.file.needs(file.folder)}</p>
        <p>${t.file.needsMeans(file.folder)}</p>
        ${
          checking
            ? html`<progress max="1" .value=${checking.total > 0 ? checking.done / checking.total : 0} aria-label=${t.file.checking}></progress>
              <p class="num">${t.file.checkingOf(bytes(checking.done), bytes(checking.total))}</p>`
            : html`<p class="row">
                <button type="button" class="quiet" data-testid="again-allow" ?hidden=${this.unknownPlace} @click=${this.allow}>${t.file.allow(file.folder)}</button>
                <label class="button quiet">${input(false)}${t.file.choose(file.folder)}</label>
                ${file.folder ? html`<label class="button quiet">${input(true)}${t.file.chooseFolder}</label>` : nothing}
              </p>`
        }
      </div>
    `;
  }

  /** The browser asks whether the page may read them where they are. */
  private readonly allow = () =>
    void this.act(
      () => t.file.notRead,
      async () => {
        this.unknownPlace = !(await session.client?.allow(this.fileId));
      },
    );

  private readonly supply = (event: Event) => {
    const chosen = chosenIn((event.target as HTMLInputElement).files);
    if (!chosen) return;
    this.checking = { done: 0, total: chosen.size };
    const onProgress = ({ done, total }: Progress) => {
      this.checking = { done, total };
      this.requestUpdate();
    };
    void this.act(
      () => t.file.notSame,
      async () => {
        try {
          await session.client?.supply(this.fileId, chosen.files, { onProgress });
        } finally {
          this.checking = undefined;
        }
      },
    );
  };

  private fileList(file: WholeFile) {
    const shown = this.allFiles ? file.files : file.files.slice(0, LINES);
    return html`
      <section class="sheet listing" aria-labelledby="files-title">
        <h2 id="files-title">${t.common.files(file.files.length)}</h2>
        <ol class="file-list">
          ${shown.map((entry, index) => this.fileRow(file, entry, index))}
        </ol>
        ${
          shown.length < file.files.length
            ? html`<p class="file-more"><button type="button" class="plain" @click=${this.showFiles}>${t.file.showAllFiles(file.files.length)}</button></p>`
            : nothing
        }
      </section>
    `;
  }

  private fileRow(file: WholeFile, entry: FolderEntry, index: number) {
    const parts = partsOf(file, index);
    const state = entry.size === 0 ? 'empty' : worst(parts);
    const share = state === 'sending' ? shareSent(parts) : 0;
    const here = this.running?.path === entry.path ? this.running : undefined;
    const can = state === 'kept' || state === 'empty' || state === 'sealing';
    return html`<li data-testid="file-row" data-path=${entry.path} data-state=${state}>
      ${
        can && previewOfEntry(file.file, entry)
          ? html`<button type="button" class="plain file-path" data-testid="show-file" title=${t.file.showHere} @click=${() => this.show(entry.path)}>${entry.path}</button>`
          : html`<span class="file-path">${entry.path}</span>`
      }
      <span class="note num">${bytes(entry.plainSize ?? entry.size)}</span>
      <span class="file-state file-${state}">${here ? percent(here.total > 0 ? here.done / here.total : 1) : rowWord(state, share)}</span>
      <button
        type="button"
        class="copy"
        data-testid="download-file"
        aria-label=${t.file.downloadOf(entry.path)}
        ?disabled=${!can || this.running !== undefined}
        @click=${() => this.download(entry.path, entry.plainSize ?? entry.size)}
      >${t.common.download}</button>
    </li>`;
  }

  /** The file itself, or the one of the folder that was asked for, once it is there and where a page can show it. */
  private preview(file: WholeFile) {
    const at = file.folder ? file.files.findIndex(({ path }) => path === this.showing) : 0;
    const entry = file.files[at];
    const shown = entry && previewOfEntry(file.file, entry);
    if (!shown || !isHere(file, at)) return nothing;
    return html`<sd-preview .file=${shown} ?asked=${file.folder}></sd-preview>`;
  }

  private show(path: string): void {
    this.showing = path;
    this.requestUpdate();
  }

  private pieces(file: WholeFile) {
    const shown = this.allPieces ? file.parts : file.parts.slice(0, LINES);
    return html`
      <details class="sheet listing pieces" ?open=${!file.folder}>
        <summary><h2>${t.file.piecesIn(file.parts.length, file.copies)}</h2></summary>
        <ol class="piece-list">${shown.map((part) => pieceRow(file, part))}</ol>
        ${
          shown.length < file.parts.length
            ? html`<p class="file-more"><button type="button" class="plain" @click=${this.showPieces}>${t.file.showAllPieces(file.parts.length)}</button></p>`
            : nothing
        }
      </details>
    `;
  }

  private readonly showFiles = () => {
    this.allFiles = true;
    this.requestUpdate();
  };

  private readonly showPieces = () => {
    this.allPieces = true;
    this.requestUpdate();
  };

  private takeBack(file: WholeFile) {
    const ready = file.progress.state === 'kept' || file.progress.state === 'incomplete';
    const [only] = file.files;
    const { running } = this;
    const folders = canSaveFolders();
    return html`
      <section class="panel take-back ${ready ? 'take-back-ready' : ''}" aria-labelledby="take-back-title">
        <h2 id="take-back-title">${t.file.back(file.folder)}</h2>
        <p class="note">
          ${ready ? t.file.backReady : t.file.backLater}
          ${file.folder && !folders ? t.file.noFolders : nothing}
        </p>
        <div class="row">
          ${
            file.folder
              ? folders
                ? html`<button type="button" class="button" data-testid="download-all" ?disabled=${!ready || running !== undefined} @click=${() => this.downloadAll(file)}>${t.file.downloadFolder}</button>`
                : nothing
              : html`<button type="button" class="button" data-testid="download-all" ?disabled=${!ready || running !== undefined || !only} @click=${() => only && this.download(only.path, only.plainSize ?? only.size)}>${t.common.download}</button>`
          }
          ${running ? html`<button type="button" class="quiet" @click=${() => running.stop.abort()}>${t.common.stop}</button>` : nothing}
        </div>
        ${
          running
            ? html`<progress max=${Math.max(1, running.total)} .value=${running.done} aria-label=${t.file.fetched}></progress>
              <p class="live"><span class="num">${t.common.of(bytes(running.done), bytes(running.total))}</span></p>`
            : nothing
        }
        <p class="saved" role="status" data-testid=${this.saved ? 'file-download-done' : nothing}>
          ${this.saved ? t.file.verified(this.saved) : ''}
        </p>
      </section>
    `;
  }

  private farewell(file: WholeFile) {
    const under = file.progress.state === 'under-way';
    return html`<p class="forget">
      ${
        under
          ? html`<button type="button" class="plain" data-testid="file-give-up" ?disabled=${this.busy} @click=${() => this.giveUp(file)}>${t.file.giveUp}</button>`
          : html`<button type="button" class="plain" data-testid="file-forget" ?disabled=${this.busy} @click=${() => this.forgetFile(file)}>${t.file.forget}</button>`
      }
    </p>`;
  }

  private async download(path: string, size: number): Promise<void> {
    await this.run(path, size, path.split('/').at(-1) ?? path, (saving) => saveFile(this.fileId, path, size, saving));
  }

  private async downloadAll(file: WholeFile): Promise<void> {
    await this.run(undefined, file.encryption?.plainSize ?? file.size, t.file.quoted(file.name), (saving) =>
      saveFolder(file, saving),
    );
  }

  private async run(
    path: string | undefined,
    total: number,
    name: string,
    work: (saving: Parameters<typeof saveFolder>[1]) => Promise<void>,
  ): Promise<void> {
    if (this.running) return;
    const running: Running = { path, done: 0, total, stop: new AbortController() };
    this.running = running;
    this.saved = this.problem = undefined;
    this.requestUpdate();
    const onBytes = (done: number) => {
      running.done = done;
      this.requestUpdate();
    };
    try {
      await work({ signal: running.stop.signal, onBytes });
      this.saved = name;
    } catch (error) {
      if (!isAborted(error)) this.problem = problemOf(() => t.file.notFetched, error);
    }
    this.running = undefined;
    this.requestUpdate();
  }

  private readonly lookAgain = () => {
    this.looked = 0;
    this.look();
  };

  private readonly goOn = () =>
    void this.act(
      () => t.file.notGoneOn,
      async () => {
        await session.client?.retry(this.fileId);
      },
    );

  private giveUp(file: WholeFile): void {
    if (!confirm(t.file.giveUpReally(file.name))) return;
    void this.act(
      () => t.file.notGivenUp,
      async () => {
        await session.client?.giveUp(this.fileId);
      },
    );
  }

  private forgetFile(file: WholeFile): void {
    if (!confirm(t.file.forgetReally(file.name))) return;
    void this.act(
      () => t.file.notForgotten,
      async () => {
        await session.client?.remove(this.fileId);
        location.hash = DEALS;
        session.fileRemoved(this.fileId);
      },
    );
  }

  protected override async act(what: Text, action: () => Promise<void>): Promise<void> {
    await super.act(what, action);
    this.looked = 0;
    this.look();
  }
}
customElements.define('sd-file', FilePage);

/** Whether miners have all of one of the files. */
function isHere(file: WholeFile, at: number): boolean {
  const state = worst(partsOf(file, at));
  return state === 'kept' || state === 'sealing';
}

/** Of files with the same bytes, the first has the pieces. */
function partsOf({ files, parts }: WholeFile, at: number) {
  const first = files.findIndex((other) => other.root === files[at]?.root);
  return parts.filter((part) => part.file === at || part.file === first);
}
