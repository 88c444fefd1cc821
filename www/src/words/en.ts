// The English catalogue: the one that decides which words there are.

import { back, book, checks, deal, journey, payments, proofs, proving, steps, why } from './en/deal';
import { drills, encryption, file, foreign, preview, rows } from './en/file';
import { account, app, chain, common, miners, network, reach } from './en/frame';
import { passport, receipt } from './en/passport';
import { copy, drop, encrypt, store, terms } from './en/store';
import { wallet } from './en/wallet';

export const en = {
  common,
  app,
  chain,
  account,
  network,
  reach,
  miners,
  store,
  copy,
  drop,
  encrypt,
  terms,
  book,
  steps,
  journey,
  why,
  deal,
  proving,
  checks,
  proofs,
  passport,
  receipt,
  payments,
  back,
  file,
  rows,
  encryption,
  drills,
  foreign,
  preview,
  wallet,
};
