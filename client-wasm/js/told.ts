/** What is told to whoever reads, in a loop that may be slower than what is told. */

/** Events that wait to be read: of those about the same thing only the newest, so that little is held for a slow reader. */
export class Told<T> {
  readonly #waiting = new Map<string, T>();
  #wake: () => void = () => undefined;
  #isOver = false;
  #thrown: unknown;

  tell(key: string, event: T): void {
    // Behind what was told of other things meanwhile.
    this.#waiting.delete(key);
    this.#waiting.set(key, event);
    this.#wake();
  }

  /** No more comes; with `thrown`, because of that. */
  end(thrown?: unknown): void {
    this.#isOver = true;
    this.#thrown = thrown;
    this.#wake();
  }

  /** What is told from now on and what waits. For one reader. */
  async *read(): AsyncGenerator<T, void> {
    for (;;) {
      const [first] = this.#waiting;
      if (first !== undefined) {
        this.#waiting.delete(first[0]);
        yield first[1];
      } else if (!this.#isOver) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else if (this.#thrown === undefined) {
        return;
      } else {
        throw this.#thrown;
      }
    }
  }
}
