// Sentences with parts that are more than text: a number that is set apart, a name in a code's letters, a link.

/** What may stand in a sentence: text, or anything that lit draws. */
export type Part = unknown;

/** A sentence whose parts are drawn as they are. */
export type Said = readonly Part[];

/** A sentence, as in say`block ${html`<b>12</b>`}`: the catalogue decides where its parts stand. */
export function say(texts: TemplateStringsArray, ...parts: Part[]): Said {
  return texts.flatMap((text, index) => (index < parts.length ? [text, parts[index]] : [text]));
}
