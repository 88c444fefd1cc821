/**
 * Node's own modules, where the package runs in Node. They are asked of the process when they are needed, which no bundler sees.
 */

import { SealdropError } from './errors.js';

/** What this needs of Node. */
interface NodeProcess {
  readonly versions?: { readonly node?: string };
  getBuiltinModule?(name: string): unknown;
}

/** Whether this is Node, or something that is like it. */
export function isNode(): boolean {
  const { process, window } = globalThis as { process?: NodeProcess; window?: unknown };
  return window === undefined && process?.versions?.node !== undefined && process.getBuiltinModule !== undefined;
}

/** One of Node's own modules. */
export function node<T>(name: string): T {
  const { process } = globalThis as { process?: NodeProcess };
  const found = process?.getBuiltinModule?.(name);
  if (found === undefined) {
    throw new SealdropError('unsupported', `${name} is not here`, 'Use Node.js 22 or newer.');
  }
  return found as T;
}
