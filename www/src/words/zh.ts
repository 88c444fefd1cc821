// The Chinese catalogue (simplified). Its type is that of the English one.

import type { Words } from '.';
import { back, book, checks, deal, journey, payments, proofs, proving, steps, why } from './zh/deal';
import { drills, encryption, file, foreign, preview, rows } from './zh/file';
import { account, app, chain, common, miners, network, reach } from './zh/frame';
import { passport, receipt } from './zh/passport';
import { copy, drop, encrypt, store, terms } from './zh/store';
import { wallet } from './zh/wallet';

export const zh: Words = {
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
