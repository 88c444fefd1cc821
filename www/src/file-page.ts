// A file or folder whose pieces have deals of their own: how far the whole is, its files, its pieces with their copies, the way back.

import { html, nothing } from 'lit';
import type { FilesQuote, FolderEntry, Progress, WholeFile } from 'sealdrop-client';
import { ActingView } from './acting';
import { bytes, count, fil } from './amounts';
import { chosenIn } from './choosing-files';
import './drill-panel';
import { encryptionPanel } from './encryption-panel';
import './foreign-file';
import { isOver, stateOf } from './deal-book';
import { percentSent, pieceRow, ROW_WORDS, worst } from './file-rows';
import { previewOfEntry } from './previewed';
import { isAborted, type Problem, problemOf } from './problem';
import { DEALS } from './route';
import { canSaveFolders, saveFile, saveFolder } from './saving';
import { seal } from './seal';
import { session } from './session';
import { blocksAsTime, moment } from './times';

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
        this.problem = problemOf('The file cannot be looked at', error);
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
        : html`<p class="empty wait">Opening the deal book…</p>`;
    const file: WholeFile = { ...whole, ...session.file(this.fileId) };
    return html`
      <p class="back"><a href=${DEALS}>← Deal book</a></p>
      ${header(file)}
      <div class="columns deal-columns">
        <div class="main-column">
          ${isOver(file) ? this.over(file) : this.needsFiles(file) ? this.supplying(file) : this.trouble(file)}
          <sd-problem .problem=${this.problem}></sd-problem>
          ${this.preview(file)}
          ${progress(file)}
          ${file.folder ? this.fileList(file) : nothing}
          ${this.pieces(file)}
        </div>
        <div class="side-column">
          ${this.takeBack(file)}
          ${encryptionPanel(file)}
          <sd-drills .file=${file} @drilled=${this.lookAgain}></sd-drills>
          ${record(file)}
          ${this.farewell(file)}
        </div>
      </div>
    `;
  }

  /** Its time is over: what it costs to keep it once more. */
  private over(file: WholeFile) {
    if (!this.asked) this.ask();
    const { again } = this;
    const price = again && (again.least === again.most ? fil(again.most) : `${fil(again.least)} to ${fil(again.most)}`);
    const problem: Problem = {
      code: again?.problem?.code ?? 'ended',
      what: 'Its time is over',
      why: `Its deals lasted until block ${count(file.ends)}: no miner has to keep ${file.folder ? 'these files' : 'this file'} any more`,
      next: again?.problem
        ? `It cannot be stored again at present: ${again.problem.message}`
        : 'You can store it again, as before and for as long. Its bytes come from this browser, or else from the miners while they still have them',
    };
    const store = again && !again.problem ? () => this.storeAgain(again) : undefined;
    return html`<sd-problem .problem=${problem} .retry=${store} label="Store it again for ${price ?? ''}"></sd-problem>`;
  }

  private ask(): void {
    this.asked = true;
    void this.act('What it costs could not be found out', async () => {
      this.again = await session.client?.quoteAgain(this.fileId);
    });
  }

  private storeAgain({ most }: FilesQuote): void {
    void this.act('It could not be stored again', async () => {
      await session.client?.storeAgain(this.fileId, most);
      this.asked = false;
      this.again = undefined;
    });
  }

  /** What hinders it, or why it stopped. */
  private trouble(file: WholeFile) {
    if (file.stopped !== undefined && file.progress.state !== 'kept') {
      const problem: Problem = {
        code: 'deal-failed',
        what:
          file.progress.state === 'failed'
            ? 'It is not kept as a whole'
            : 'It is kept, in fewer copies than you asked for',
        why: file.stopped,
        next: 'What is under way goes on. You can let it go on, within the price that you agreed to',
      };
      return html`<sd-problem .problem=${problem} .retry=${() => this.goOn()} label="Go on"></sd-problem>`;
    }
    if (!file.problem || (session.problem && file.problem.code === 'chain-unreachable')) return nothing;
    const problem = problemOf('Delayed; it is tried again automatically', file.problem);
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
        <p class="problem-what">The miners still need ${file.folder ? 'these files' : 'this file'} from you</p>
        <p>
          This browser has no copy of ${file.folder ? 'them' : 'it'}, and the page was loaded anew since. Choose the same
          ${file.folder ? 'files' : 'file'} again: ${file.folder ? 'they are' : 'it is'} checked, and everything goes on where it was.
        </p>
        ${
          checking
            ? html`<progress max="1" .value=${checking.total > 0 ? checking.done / checking.total : 0} aria-label="Checking"></progress>
              <p class="num">Checking: ${bytes(checking.done)} of ${bytes(checking.total)}</p>`
            : html`<p class="row">
                <button type="button" class="quiet" data-testid="again-allow" ?hidden=${this.unknownPlace} @click=${this.allow}>Go on with the same ${file.folder ? 'files' : 'file'}</button>
                <label class="button quiet">${input(false)}Choose the ${file.folder ? 'files' : 'file'}</label>
                ${file.folder ? html`<label class="button quiet">${input(true)}Choose the folder</label>` : nothing}
              </p>`
        }
      </div>
    `;
  }

  /** The browser asks whether the page may read them where they are. */
  private readonly allow = () =>
    void this.act('They could not be read', async () => {
      this.unknownPlace = !(await session.client?.allow(this.fileId));
    });

  private readonly supply = (event: Event) => {
    const chosen = chosenIn((event.target as HTMLInputElement).files);
    if (!chosen) return;
    this.checking = { done: 0, total: chosen.size };
    const onProgress = ({ done, total }: Progress) => {
      this.checking = { done, total };
      this.requestUpdate();
    };
    void this.act('These are not the same files', async () => {
      try {
        await session.client?.supply(this.fileId, chosen.files, { onProgress });
      } finally {
        this.checking = undefined;
      }
    });
  };

  private fileList(file: WholeFile) {
    const shown = this.allFiles ? file.files : file.files.slice(0, LINES);
    return html`
      <section class="sheet listing" aria-labelledby="files-title">
        <h2 id="files-title">${count(file.files.length)} ${file.files.length === 1 ? 'file' : 'files'}</h2>
        <ol class="file-list">
          ${shown.map((entry, index) => this.fileRow(file, entry, index))}
        </ol>
        ${
          shown.length < file.files.length
            ? html`<p class="file-more"><button type="button" class="plain" @click=${this.showFiles}>Show all ${count(file.files.length)} files</button></p>`
            : nothing
        }
      </section>
    `;
  }

  private fileRow(file: WholeFile, entry: FolderEntry, index: number) {
    const parts = partsOf(file, index);
    const state = entry.size === 0 ? 'empty' : worst(parts);
    const share = state === 'sending' ? percentSent(parts) : 0;
    const sent = share > 0 ? ` ${share} %` : '';
    const here = this.running?.path === entry.path ? this.running : undefined;
    const can = state === 'kept' || state === 'empty' || state === 'sealing';
    return html`<li data-testid="file-row" data-path=${entry.path} data-state=${state}>
      ${
        can && previewOfEntry(file.file, entry)
          ? html`<button type="button" class="plain file-path" data-testid="show-file" title="Show it here" @click=${() => this.show(entry.path)}>${entry.path}</button>`
          : html`<span class="file-path">${entry.path}</span>`
      }
      <span class="note num">${bytes(entry.plainSize ?? entry.size)}</span>
      <span class="file-state file-${state}">${here ? `${percent(here.done, here.total)} %` : ROW_WORDS[state] + sent}</span>
      <button
        type="button"
        class="copy"
        data-testid="download-file"
        aria-label="Download ${entry.path}"
        ?disabled=${!can || this.running !== undefined}
        @click=${() => this.download(entry.path, entry.plainSize ?? entry.size)}
      >Download</button>
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
        <summary><h2>${count(file.parts.length)} ${file.parts.length === 1 ? 'piece' : 'pieces'}, each in ${file.copies === 1 ? 'a deal' : `${file.copies} deals`} of its own</h2></summary>
        <ol class="piece-list">${shown.map((part) => pieceRow(file, part))}</ol>
        ${
          shown.length < file.parts.length
            ? html`<p class="file-more"><button type="button" class="plain" @click=${this.showPieces}>Show all ${count(file.parts.length)} pieces</button></p>`
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
        <h2 id="take-back-title">Take ${file.folder ? 'the files' : 'the file'} back</h2>
        <p class="note">
          ${
            ready
              ? 'The miners send it piece by piece; this browser checks each piece before a byte of it is saved, and asks the next miner when one fails.'
              : 'Possible as a whole as soon as all of it is sealed.'
          }
          ${file.folder && !folders ? 'This browser lets no page write folders: download the files one by one.' : nothing}
        </p>
        <div class="row">
          ${
            file.folder
              ? folders
                ? html`<button type="button" class="button" data-testid="download-all" ?disabled=${!ready || running !== undefined} @click=${() => this.downloadAll(file)}>Download the folder…</button>`
                : nothing
              : html`<button type="button" class="button" data-testid="download-all" ?disabled=${!ready || running !== undefined || !only} @click=${() => only && this.download(only.path, only.plainSize ?? only.size)}>Download</button>`
          }
          ${running ? html`<button type="button" class="quiet" @click=${() => running.stop.abort()}>Stop</button>` : nothing}
        </div>
        ${
          running
            ? html`<progress max=${Math.max(1, running.total)} .value=${running.done} aria-label="Fetched from the miners"></progress>
              <p class="live"><span class="num">${bytes(running.done)} of ${bytes(running.total)}</span></p>`
            : nothing
        }
        <p class="saved" role="status" data-testid=${this.saved ? 'file-download-done' : nothing}>
          ${this.saved ? `Verified: ${this.saved} is exactly what you stored.` : ''}
        </p>
      </section>
    `;
  }

  private farewell(file: WholeFile) {
    const under = file.progress.state === 'under-way';
    return html`<p class="forget">
      ${
        under
          ? html`<button type="button" class="plain" data-testid="file-give-up" ?disabled=${this.busy} @click=${() => this.giveUp(file)}>Give it up</button>`
          : html`<button type="button" class="plain" data-testid="file-forget" ?disabled=${this.busy} @click=${() => this.forgetFile(file)}>Forget it</button>`
      }
    </p>`;
  }

  private async download(path: string, size: number): Promise<void> {
    await this.run(path, size, path.split('/').at(-1) ?? path, (saving) => saveFile(this.fileId, path, size, saving));
  }

  private async downloadAll(file: WholeFile): Promise<void> {
    await this.run(undefined, file.encryption?.plainSize ?? file.size, `“${file.name}”`, (saving) =>
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
      if (!isAborted(error)) this.problem = problemOf('It could not be fetched', error);
    }
    this.running = undefined;
    this.requestUpdate();
  }

  private readonly lookAgain = () => {
    this.looked = 0;
    this.look();
  };

  private readonly goOn = () =>
    void this.act('It could not go on', async () => {
      await session.client?.retry(this.fileId);
    });

  private giveUp(file: WholeFile): void {
    if (
      !confirm(`Give “${file.name}” up? No more deals are made for it, and those under way end; what is sealed stays.`)
    )
      return;
    void this.act('It could not be given up', async () => {
      await session.client?.giveUp(this.fileId);
    });
  }

  private forgetFile(file: WholeFile): void {
    if (!confirm(`Forget “${file.name}” and its deals? This browser can no longer follow them or take it back.`))
      return;
    void this.act('It cannot be forgotten yet', async () => {
      await session.client?.remove(this.fileId);
      location.hash = DEALS;
      session.fileRemoved(this.fileId);
    });
  }

  protected override async act(what: string, action: () => Promise<void>): Promise<void> {
    await super.act(what, action);
    this.looked = 0;
    this.look();
  }
}
customElements.define('sd-file', FilePage);

function header(file: WholeFile) {
  const { look, word, kind } = stateOf(file);
  return html`
    <div class="deal-head">
      ${seal(look, look === 'sealed' ? file.file : undefined, 116)}
      <div>
        <h1>${file.name}</h1>
        <p class="note">
          ${file.folder ? `${count(file.files.length)} files · ` : ''}${bytes(file.encryption?.plainSize ?? file.size)}${file.encryption ? ' · encrypted' : ''} · begun ${moment(file.createdAt)}
        </p>
        <p class="deal-state">
          <span class="state state-${kind}" data-testid="file-state" data-state=${isOver(file) ? 'ended' : file.progress.state}>${word}</span>
        </p>
      </div>
    </div>
  `;
}

/** How far the whole is. */
function progress(file: WholeFile) {
  const { transferred, bytes: all, copiesKept, copiesWanted, copiesUnderWay, state } = file.progress;
  const sent = transferred >= all;
  return html`
    <section class="sheet whole" aria-labelledby="whole-title" data-testid="file-progress">
      <h2 id="whole-title">${isOver(file) ? 'All of it was sealed' : state === 'kept' ? 'All of it is sealed' : sent ? 'Being sealed' : 'On its way to the miners'}</h2>
      <div class="bars">
        <label>
          <span>Sent</span><span class="num">${bytes(Math.min(transferred, all))} of ${bytes(all)}</span>
          <progress max=${Math.max(1, all)} .value=${transferred}></progress>
        </label>
        <label>
          <span>Sealed and proven</span><span class="num">${count(copiesKept)} of ${count(copiesWanted)} ${file.copies > 1 ? 'copies of pieces' : 'pieces'}</span>
          <progress max=${Math.max(1, copiesWanted)} .value=${copiesKept}></progress>
        </label>
      </div>
      ${
        state !== 'under-way'
          ? nothing
          : html`<p class="advice">
            ${
              sent
                ? 'The miners have all of it. You may close this page: it goes on, and the page catches up when you return.'
                : 'Please keep this page open until all is sent: the miners fetch it from this browser. After a reload it goes on where it was; very large files it asks you for again.'
            }
            ${copiesUnderWay > 0 ? html`<span class="unseen">${copiesUnderWay} under way.</span>` : nothing}
          </p>`
      }
    </section>
  `;
}

function record(file: WholeFile) {
  const blockTimeMs = session.network?.blockTimeMs;
  const about = blockTimeMs ? `, about ${blocksAsTime(file.duration, blockTimeMs)}` : '';
  const [only] = file.files;
  return html`
    <section class="panel" aria-labelledby="record-title">
      <h2 id="record-title">In figures</h2>
      <dl class="facts stacked">
        <div><dt>Id (gets it back)</dt><dd data-testid="file-id" data-id=${file.file}><sd-copyable .value=${file.file} label="id" short></sd-copyable></dd></div>
        ${!file.folder && only ? html`<div><dt>Data (IPFS) id</dt><dd><sd-copyable .value=${only.root} label="data id" short></sd-copyable></dd></div>` : nothing}
        <div><dt>Copies of each piece</dt><dd>${count(file.copies)}</dd></div>
        <div><dt>Duration</dt><dd>${count(file.duration)} blocks${about}, until block ${count(file.ends)}</dd></div>
        <div><dt>Price</dt><dd>${fil(file.progress.committed)}${file.most === undefined ? nothing : html` <span class="note">of at most ${fil(file.most)}</span>`}</dd></div>
      </dl>
    </section>
  `;
}

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

function percent(done: number, total: number): number {
  return total > 0 ? Math.floor((done / total) * 100) : 100;
}
