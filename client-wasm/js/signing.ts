/** The network worker's side of a signer: only the page can ask a wallet (`signers.ts`). */

import { SealdropError } from './errors.js';
import type { FromNetwork, ToNetwork } from './protocol.js';

interface Asked {
  readonly resolve: (signature: Uint8Array) => void;
  readonly reject: (error: SealdropError) => void;
}

export class Signing {
  readonly #post: (message: FromNetwork) => void;
  readonly #asked = new Map<number, Asked>();
  #next = 1;

  constructor(post: (message: FromNetwork) => void) {
    this.#post = post;
  }

  /** Has the page's signer sign a message; waits for as long as its user thinks. */
  ask(message: Uint8Array, typedData: string | undefined): Promise<Uint8Array> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#post({ kind: 'sign', id, message: new Uint8Array(message), typedData });
    });
  }

  hear(answer: Extract<ToNetwork, { kind: 'signed' | 'unsigned' }>): void {
    const asked = this.#asked.get(answer.id);
    this.#asked.delete(answer.id);
    if (answer.kind === 'signed') {
      asked?.resolve(answer.signature);
    } else {
      asked?.reject(SealdropError.from(answer.problem));
    }
  }
}
