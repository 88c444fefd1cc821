// What the engine says without a code, in another language: found by its English original, whose gaps are filled with whatever it says there.

/** A form of words with gaps, made ready. */
interface Form {
  readonly pattern: RegExp;
  readonly words: string;
}

const forms = new WeakMap<Readonly<Record<string, string>>, readonly Form[]>();

/** The forms of a table, those with the most words of their own first: what fits a narrow one may fit a wide one, too. */
function formsOf(table: Readonly<Record<string, string>>): readonly Form[] {
  let made = forms.get(table);
  if (!made) {
    const originals = Object.keys(table).sort((a, b) => b.length - a.length);
    made = originals.map((original) => ({ pattern: patternOf(original), words: table[original] ?? '' }));
    forms.set(table, made);
  }
  return made;
}

function patternOf(original: string): RegExp {
  const parts = original.split('{}').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('(.+?)')}$`, 's');
}

/** A text in the words of the table, and what fills its gaps likewise; undefined where the table has no form for it. */
export function fromTable(text: string, table: Readonly<Record<string, string>>): string | undefined {
  for (const { pattern, words } of formsOf(table)) {
    const found = pattern.exec(text);
    if (!found) continue;
    return words.replace(/\{(\d)\}/g, (_, at: string) => {
      const filled = found[Number(at) + 1] ?? '';
      return fromTable(filled, table) ?? filled;
    });
  }
  return undefined;
}
