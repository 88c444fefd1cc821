// Which chain this page uses. Its files may lie on any web server, so it is told: by what its visitor has chosen before, by a
// `config.json` beside it, by a link (`#/miner=…&chain=…`), or by a form. A link is a stranger's word: another chain than the
// one that is known is used only after the visitor has agreed.

import { readLink } from 'sealdrop-client';
import { PageError } from './problem';
import { t } from './words';

/** Where the visitor's own choice is kept. */
const REMEMBERED = 'sealdrop.chain';

/** What is known of the chain before it is asked anything. */
export interface Choice {
  /** The one to use, unless there is a question. */
  chain?: string;
  /** The one that the page's own server names. */
  own?: string;
  /** Another one that a link names, and that the visitor has to agree to. */
  asked?: string;
  /** The miner that a link names. */
  miner?: string;
  /** Why the link is not followed. */
  problem?: unknown;
}

/** Looks at everything that may name a chain. Throws when the page's server says something that cannot be read. */
export async function choose(hash: string): Promise<Choice> {
  const [own, link] = await Promise.all([configured(), linked(hash)]);
  const chain = remembered() ?? own;
  const isOther = link.chain !== undefined && link.chain !== chain;
  return { ...link, own, chain, asked: isOther ? link.chain : undefined };
}

/** A chain's URL as it is typed; throws what is wrong with it. */
export async function checked(text: string): Promise<string> {
  const link = await readLink(`#/chain=${encodeURIComponent(text.trim())}`);
  if (!link?.chain) throw new PageError('bad-argument', () => t.chain.noUrl);
  return link.chain;
}

/** Keeps the visitor's choice; the page's own chain need not be kept. */
export function remember(chain: string, own: string | undefined): void {
  if (chain === own) localStorage.removeItem(REMEMBERED);
  else localStorage.setItem(REMEMBERED, chain);
}

/** Whether the page's address may be a link to a miner or a chain, as opposed to a place within the page. */
export function mayBeLink(hash: string): boolean {
  return /[#/?&](miner|chain)=/.test(hash);
}

function remembered(): string | undefined {
  return localStorage.getItem(REMEMBERED) ?? undefined;
}

async function linked(hash: string): Promise<Choice> {
  if (!mayBeLink(hash)) return {};
  try {
    const link = await readLink(hash);
    return { chain: link?.chain, miner: link?.miner };
  } catch (problem) {
    return { problem };
  }
}

/** What `config.json` beside the page says; a server that has none says nothing. */
async function configured(): Promise<string | undefined> {
  const answer = await fetch(new URL('config.json', document.baseURI), { cache: 'no-store' });
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new PageError('internal', () => t.chain.noConfig(answer.status));
  // Some servers answer with a page where they have no file.
  if (!answer.headers.get('content-type')?.includes('json')) return undefined;
  const config: unknown = await answer.json();
  const chain = (config as { chain?: unknown } | null)?.chain ?? undefined;
  if (chain !== undefined && typeof chain !== 'string') throw new PageError('internal', () => t.chain.badConfig);
  return chain;
}
