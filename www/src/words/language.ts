// Which language the page speaks: the visitor's choice, else the first of the browser's languages that there is a catalogue for.
// `words/index.ts` holds the catalogues, `numbers.ts` the forms of numbers, dates and spans in that language.

export type Language = 'en' | 'zh';

/** The languages that there are, under their own names. */
export const LANGUAGES: readonly { readonly language: Language; readonly name: string; readonly tag: string }[] = [
  { language: 'en', name: 'English', tag: 'en' },
  { language: 'zh', name: '中文', tag: 'zh-Hans' },
];

/** Where the visitor's choice is kept. */
const REMEMBERED = 'sealdrop.language';

interface Spoken {
  readonly language: Language;
  /** For `Intl`: with the visitor's region where that is known, since it decides how dates are written. */
  readonly locale: string;
}

let spoken: Spoken = { language: 'en', locale: 'en' };

/** The language that is spoken now. */
export const language = (): Language => spoken.language;

/** Its BCP 47 tag for `Intl`. */
export const locale = (): string => spoken.locale;

/** Its BCP 47 tag for `lang` attributes. */
export const tag = (of: Language = spoken.language): string =>
  LANGUAGES.find(({ language }) => language === of)?.tag ?? of;

/** Speaks a language from now on. Whoever shows words has to be told: see `words/index.ts`. */
export function setSpoken(to: Language, preferred: readonly string[] = []): void {
  spoken = { language: to, locale: preferred.find((each) => languageOf(each) === to) ?? tag(to) };
}

/** The language to begin with. */
export function preferredLanguage(remembered: string | null, preferred: readonly string[]): Language {
  const known = LANGUAGES.find((each) => each.language === remembered);
  if (known) return known.language;
  for (const each of preferred) {
    const found = languageOf(each);
    if (found) return found;
  }
  return 'en';
}

/** What the visitor chose before; nothing where the browser keeps nothing. */
export function rememberedLanguage(): string | null {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

/** Keeps the visitor's choice, where the browser lets it be kept. */
export function rememberLanguage(chosen: Language): void {
  try {
    localStorage.setItem(REMEMBERED, chosen);
  } catch {
    // It is asked again in the next visit.
  }
}

function languageOf(tag: string): Language | undefined {
  const [primary = ''] = tag.toLowerCase().split('-');
  return LANGUAGES.find((each) => each.language === primary)?.language;
}
