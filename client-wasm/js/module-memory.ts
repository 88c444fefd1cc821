/** How bytes go into the small modules, which have plain exports, and come out of them: over places in their memory that they name. */

/** What each of these modules exports. */
export interface ModuleMemory {
  readonly memory: WebAssembly.Memory;
  /** Where so many bytes may be written; 0 where they are too many. */
  input(length: number): number;
  /** What the last call left. */
  output(): number;
  output_length(): number;
}

/** Hands bytes over, one part behind the other. Says how many they are; 0, and does nothing, where the module does not take so many. */
export function handOver({ memory, input }: ModuleMemory, parts: readonly Uint8Array[]): number {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  let at = input(length);
  if (at === 0) {
    return 0;
  }
  for (const part of parts) {
    // The memory's buffer is another one after it has grown.
    new Uint8Array(memory.buffer, at, part.length).set(part);
    at += part.length;
  }
  return length;
}

/** What the last call left: a view into the memory, valid until the next one. */
export function leftBy({ memory, output, output_length: length }: ModuleMemory): Uint8Array<ArrayBuffer> {
  return new Uint8Array(memory.buffer as ArrayBuffer, output(), length());
}

/** What was left as text: what was asked for, or why it failed. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
