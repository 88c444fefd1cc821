// The page's side of the Service Worker that keeps its files: begins it, and says when a newer build of the page waits to take over.

import { ACTIVATE } from './worker-messages';

/** Milliseconds between two looks for a newer build while the page stays open. */
const LOOK_MS = 3_600_000;

class Installing extends EventTarget {
  /** A newer build that waits. */
  private waiting: ServiceWorker | undefined;
  private reloading = false;

  /** Whether there is a newer build of the page. */
  get isNew(): boolean {
    return this.waiting !== undefined;
  }

  /** Begins it, where the browser has Service Workers; the page works without. */
  async begin(): Promise<void> {
    if (!globalThis.isSecureContext || !('serviceWorker' in navigator)) return;
    try {
      const registration = await navigator.serviceWorker.register(new URL('page-worker.js', document.baseURI), {
        updateViaCache: 'none',
      });
      this.follow(registration);
      setInterval(() => void registration.update().catch(() => undefined), LOOK_MS);
    } catch {
      // Some browsers have them and start none, in private windows for instance.
    }
  }

  private follow(registration: ServiceWorkerRegistration): void {
    const wait = (worker: ServiceWorker | null) => {
      // The very first build waits for nothing.
      if (!worker || !navigator.serviceWorker.controller) return;
      const look = () => {
        if (worker.state !== 'installed') return;
        this.waiting = worker;
        this.dispatchEvent(new Event('change'));
      };
      worker.addEventListener('statechange', look);
      look();
    };
    wait(registration.waiting);
    registration.addEventListener('updatefound', () => wait(registration.installing));
    navigator.serviceWorker.addEventListener('controllerchange', () => {
      if (this.reloading) location.reload();
    });
  }

  /** Uses the newer build: the page is loaded anew. */
  readonly use = (): void => {
    this.reloading = true;
    this.waiting?.postMessage(ACTIVATE);
  };
}

export const installing = new Installing();
