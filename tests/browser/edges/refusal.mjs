// What a client refuses, whichever edges it has: a stable code, what and why, and what to do.

export class Refusal extends Error {
  constructor({ code, message, hint, rejection }) {
    super(`${code}: ${message}`);
    Object.assign(this, { code, hint, rejection });
  }
}
