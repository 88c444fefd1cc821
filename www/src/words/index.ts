// The words of the page. `t` is the catalogue of the language that is spoken: it changes when another one is chosen, so a view reads it
// while it renders and keeps none of its words.
//
// English is the catalogue that decides which words there are: the type of every other one follows from it, so that a lacking or a
// surplus word does not compile.

import { en } from './en';
import {
  type Language,
  language,
  preferredLanguage,
  rememberedLanguage,
  rememberLanguage,
  setSpoken,
  tag,
} from './language';
import { zh } from './zh';
import { type EngineWords, zhEngine } from './zh/engine';

/** What every catalogue has: the same words with the same parameters. */
export type Words = Same<typeof en>;

export type Same<T> = T extends string
  ? string
  : T extends (...given: infer Given) => infer Gives
    ? (...given: Given) => Gives extends string ? string : Gives
    : { readonly [Key in keyof T]: Same<T[Key]> };

export { LANGUAGES, type Language, language } from './language';

export const CATALOGUES: Readonly<Record<Language, Words>> = { en, zh };

export let t: Words = en;

/** What the client and the miner say, by its stable codes, in a language that they do not speak themselves. */
export const engineWords = (): EngineWords | undefined => (language() === 'zh' ? zhEngine : undefined);

/** Words that are found when they are shown: what holds them stays right when another language is chosen. */
export type Text = string | (() => string);

export const textOf = (text: Text): string => (typeof text === 'string' ? text : text());

/** Told when another language is chosen. */
export const spoken = new EventTarget();

/** Speaks the visitor's language; called once, before anything is shown. */
export function beginSpeaking(): void {
  speak(preferredLanguage(rememberedLanguage(), navigator.languages));
}

/** Speaks this language from now on, and in the next visit. */
export function chooseLanguage(chosen: Language): void {
  rememberLanguage(chosen);
  speak(chosen);
}

/** Speaks this language; for tests, too. */
export function speak(chosen: Language): void {
  setSpoken(chosen, globalThis.navigator?.languages ?? []);
  t = CATALOGUES[language()];
  if (globalThis.document) document.documentElement.lang = tag();
  spoken.dispatchEvent(new Event('change'));
}
