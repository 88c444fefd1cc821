// The words of the operator's page. They are loaded with it, so they stand in catalogues beside the page's own; their types hold likewise.

import type { Same } from '.';
import { spoken } from '.';
import { operator as en } from './en/operator';
import { type Language, language } from './language';
import { operator as zh } from './zh/operator';

export type OperatorWords = Same<typeof en>;

export const OPERATOR_CATALOGUES: Readonly<Record<Language, OperatorWords>> = { en, zh };

/** The catalogue of the language that is spoken. */
export let o: OperatorWords = OPERATOR_CATALOGUES[language()];

spoken.addEventListener('change', () => {
  o = OPERATOR_CATALOGUES[language()];
});
