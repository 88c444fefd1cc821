// A stored file shown in the page: images, text, PDF, and audio and video that seek. Nothing is fetched before somebody asks for it, and
// nothing is shown that was not checked. No script of a stored file runs: what it is shown as is decided by `kinds.ts` alone.

import { html, nothing, type PropertyValues } from 'lit';
import { bytes } from './amounts';
import type { Kind, Shown } from './kinds';
import { hindrance, offer } from './playing';
import { isAborted, type Problem, problemOf } from './problem';
import { View } from './view';
import { t } from './words';

/** A file that may be shown. */
export interface Previewed {
  /** Tells it from others. */
  readonly key: string;
  readonly name: string;
  readonly size: number;
  readonly shown: Shown;
  /** The bytes from the first to the one behind the last, each checked before it is handed out. */
  readonly read: (from: number, to: number, signal: AbortSignal) => ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** Bytes of a text that are shown: more would make the page slow, and nobody reads it here. */
const TEXT_BYTES = 256 << 10;
/** Bytes of what is shown as a whole, at most: it is held in memory while it is decoded. */
const WHOLE_BYTES: Readonly<Record<Kind, number>> = {
  image: 64 << 20,
  pdf: 128 << 20,
  audio: 64 << 20,
  video: 64 << 20,
  text: Number.POSITIVE_INFINITY,
};

type Content =
  | { readonly as: 'text'; readonly text: string }
  | { readonly as: 'whole'; readonly url: string }
  | { readonly as: 'player'; readonly document: string; readonly media: string };

export class Preview extends View {
  static override properties = { file: { attribute: false }, asked: { type: Boolean } };
  declare file: Previewed;
  /** Whether it was asked for already, elsewhere on the page. */
  declare asked: boolean;
  private content: Content | undefined;
  private problem: Problem | undefined;
  private state: 'idle' | 'loading' | 'shown' = 'idle';
  private fetched = 0;
  private stop: AbortController | undefined;
  private end: (() => void) | undefined;

  override willUpdate(changed: PropertyValues): void {
    const before: Previewed | undefined = changed.get('file');
    if (before && before.key !== this.file.key) this.close();
  }

  override updated(changed: PropertyValues): void {
    const before: Previewed | undefined = changed.get('file');
    if (!this.asked || !changed.has('file') || before?.key === this.file.key || this.cannot() !== undefined) return;
    void this.open();
    this.scrollIntoView({ block: 'nearest' });
    this.querySelector<HTMLElement>('h2')?.focus();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.close();
  }

  override render() {
    const { file, state } = this;
    const { kind } = file.shown;
    const { verb, title } = t.preview[kind];
    const reason = this.cannot();
    return html`
      <section class="panel preview" aria-labelledby="preview-title" data-testid="preview" data-state=${state} data-kind=${kind}>
        <h2 id="preview-title" tabindex="-1">${this.asked ? file.name : title}</h2>
        ${reason ? html`<p class="note" data-testid="preview-cannot">${reason}</p>` : this.note()}
        ${
          state === 'idle'
            ? html`<div class="row">
                <button type="button" class="button quiet" data-testid="preview-button" ?disabled=${reason !== undefined} @click=${this.open}>
                  ${verb}
                </button>
              </div>`
            : html`
                ${this.shown()}
                <div class="row preview-row">
                  <p class="note num">${t.preview.fetched(bytes(this.fetched), bytes(file.size))}</p>
                  <p class="unseen" role="status">${state === 'loading' ? t.preview.loadingAloud : t.preview.shownAloud}</p>
                  <button type="button" class="quiet" data-testid="preview-close" @click=${this.leave}>${t.common.close}</button>
                </div>
              `
        }
        <sd-problem .problem=${this.problem} .retry=${this.open}></sd-problem>
      </section>
    `;
  }

  /** Why it cannot be shown here; undefined where it can. */
  private cannot(): string | undefined {
    const { size, shown } = this.file;
    const why = isPlayed(shown.kind) ? hindrance() : undefined;
    if (size <= WHOLE_BYTES[shown.kind] || (isPlayed(shown.kind) && why === undefined)) {
      return shown.kind === 'pdf' && navigator.pdfViewerEnabled === false ? t.preview.noPdf : undefined;
    }
    const most = bytes(WHOLE_BYTES[shown.kind]);
    return why === undefined ? t.preview.tooLarge(most) : t.preview.tooLargeHere(why, most);
  }

  private note() {
    if (this.state !== 'idle') return nothing;
    const { size, shown } = this.file;
    const text = isPlayed(shown.kind)
      ? t.preview.played
      : shown.kind === 'text' && size > TEXT_BYTES
        ? t.preview.textPart(bytes(TEXT_BYTES))
        : t.preview.whole;
    return html`<p class="note">${text}</p>`;
  }

  private shown() {
    const { content, file } = this;
    if (!content) return html`<div class="preview-wait" aria-hidden="true"></div>`;
    if (content.as === 'text')
      return html`<pre class="preview-text" tabindex="0" role="region" aria-label=${t.preview.textOf(file.name)}>${content.text}</pre>`;
    if (content.as === 'player')
      return html`<iframe
        class="preview-player preview-${file.shown.kind}"
        title=${t.preview.playerFor(file.name)}
        allow="fullscreen; autoplay"
        src=${content.document}
        @load=${this.place}
      ></iframe>`;
    switch (file.shown.kind) {
      case 'image':
        return html`<img class="preview-image" src=${content.url} alt=${file.name} @error=${this.broken} />`;
      case 'pdf':
        return html`<iframe class="preview-pdf" title=${file.name} src=${content.url}></iframe>`;
      case 'audio':
        return html`<audio class="preview-media" controls autoplay src=${content.url} aria-label=${file.name} @error=${this.broken}></audio>`;
      default:
        return html`<video class="preview-media" controls autoplay playsinline src=${content.url} aria-label=${file.name} @error=${this.broken}></video>`;
    }
  }

  /** Fetches what is shown first. */
  private readonly open = async () => {
    this.close();
    const stop = new AbortController();
    this.stop = stop;
    this.state = 'loading';
    this.requestUpdate();
    try {
      const content = await this.load(stop.signal);
      if (stop.signal.aborted) return drop(content);
      this.content = content;
      if (content.as !== 'player') this.state = 'shown';
    } catch (error) {
      if (stop.signal.aborted) return;
      this.close();
      if (!isAborted(error)) this.problem = problemOf(() => t.preview.cannotShow, error);
    }
    this.requestUpdate();
  };

  private async load(signal: AbortSignal): Promise<Content> {
    const { file } = this;
    const { kind, type } = file.shown;
    if (kind === 'text') {
      const blob = await this.take(Math.min(file.size, TEXT_BYTES), signal);
      return { as: 'text', text: await blob.text() };
    }
    if (isPlayed(kind) && hindrance() === undefined) {
      const { name, size, read } = file;
      const offered = await offer({
        name,
        size,
        type,
        read,
        onBytes: (count) => {
          this.fetched += count;
          this.requestUpdate();
        },
        onEnd: (problem) => {
          if (!problem || signal.aborted || isAborted(problem)) return;
          this.problem = problemOf(() => t.preview.stopped, problem);
          this.requestUpdate();
        },
      });
      if (signal.aborted) offered.end();
      else this.end = offered.end;
      return { as: 'player', document: offered.document, media: offered.media };
    }
    const blob = await this.take(file.size, signal);
    const whole = blob.slice(0, blob.size, type);
    // Opened in a tab of its own, an SVG is a document: as `data:` it is none of this site.
    return { as: 'whole', url: type === 'image/svg+xml' ? await dataUrl(whole) : URL.createObjectURL(whole) };
  }

  private async take(count: number, signal: AbortSignal): Promise<Blob> {
    const parts: Blob[] = [];
    if (count === 0) return new Blob();
    const reader = this.file.read(0, count, signal).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts);
      this.fetched += value.length;
      parts.push(new Blob([value]));
      this.requestUpdate();
    }
  }

  /** Puts a player into the empty document, whose requests the Service Worker answers. */
  private readonly place = (event: Event) => {
    const inside = (event.target as HTMLIFrameElement).contentDocument;
    const { content, file } = this;
    if (content?.as !== 'player') return;
    // For programs: the title of the Service Worker's document.
    if (!inside?.body || inside.title !== 'Player') {
      this.close();
      this.problem = {
        what: () => t.preview.cannotPlay,
        code: 'unsupported',
        why: () => t.preview.noWorker,
        next: () => t.preview.noWorkerNext,
      };
      return this.requestUpdate();
    }
    const media = inside.createElement(file.shown.kind === 'audio' ? 'audio' : 'video');
    media.controls = true;
    media.setAttribute('playsinline', '');
    media.setAttribute('aria-label', file.name);
    Object.assign(inside.body.style, { margin: '0', background: file.shown.kind === 'audio' ? 'transparent' : '#000' });
    Object.assign(media.style, {
      display: 'block',
      width: '100%',
      height: file.shown.kind === 'audio' ? '54px' : '100vh',
    });
    media.addEventListener('loadeddata', () => {
      this.state = 'shown';
      this.requestUpdate();
    });
    media.addEventListener('error', this.broken);
    media.src = content.media;
    inside.body.replaceChildren(media);
    // Browsers that play nothing by themselves wait for its own button.
    void media.play().catch(() => undefined);
  };

  private readonly broken = () => {
    // Why its bytes did not come is told already.
    const { problem } = this;
    this.close();
    this.problem = problem ?? {
      what: () => t.preview.cannotShow,
      code: 'unsupported',
      why: () => t.preview.unreadable(this.file.shown.type),
      next: () => t.preview.unreadableNext,
    };
    this.requestUpdate();
  };

  private readonly leave = async () => {
    this.close();
    this.requestUpdate();
    await this.updateComplete;
    this.querySelector<HTMLElement>('[data-testid="preview-button"]')?.focus();
  };

  private close(): void {
    this.stop?.abort();
    this.end?.();
    drop(this.content);
    this.stop = this.end = this.content = this.problem = undefined;
    this.state = 'idle';
    this.fetched = 0;
  }
}
customElements.define('sd-preview', Preview);

function isPlayed(kind: Kind): boolean {
  return kind === 'audio' || kind === 'video';
}

function drop(content: Content | undefined): void {
  if (content?.as === 'whole') URL.revokeObjectURL(content.url);
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
