// The base of all components: light DOM, so that one style sheet and plain labels work everywhere, and an update
// whenever the session changes or another language is chosen.

import { LitElement } from 'lit';
import { session } from './session';
import { spoken } from './words';

export abstract class View extends LitElement {
  private forget: (() => void)[] = [];

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const update = () => this.requestUpdate();
    for (const source of this.sources()) {
      source.addEventListener('change', update);
      this.forget.push(() => source.removeEventListener('change', update));
    }
    if (this.ticks()) {
      const timer = setInterval(update, 1000);
      this.forget.push(() => clearInterval(timer));
    }
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const forget of this.forget.splice(0)) forget();
  }

  /** What tells that it has to be drawn anew. */
  protected sources(): readonly EventTarget[] {
    return [session, spoken];
  }

  /** Whether the component shows running time, and so is drawn anew each second. */
  protected ticks(): boolean {
    return false;
  }
}
