// The base of pages with actions: one at a time, and what came of one that failed.

import { type Problem, problemOf } from './problem';
import { View } from './view';
import type { Text } from './words';

export abstract class ActingView extends View {
  protected problem: Problem | undefined;
  protected busy = false;

  /** Does something that may fail; `what` says that it did. */
  protected async act(what: Text, action: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.problem = undefined;
    this.requestUpdate();
    try {
      await action();
    } catch (error) {
      this.problem = problemOf(what, error);
    }
    this.busy = false;
    this.requestUpdate();
  }
}
