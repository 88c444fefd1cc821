// Text of strangers: characters that turn the order of what is read around, or that are not seen, are written out.

const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** The text as it is, with its control characters and direction marks as `\u{202e}`. */
export function legible(text: string): string {
  return text.replace(UNSEEN, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`);
}
