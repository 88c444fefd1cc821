// Which page the address names: `#/`, `#/deals`, `#/account`, `#/receipt`, `#/deal/ID`, `#/file/ID`.

export type Route =
  | { page: 'store' }
  | { page: 'deals' | 'account' | 'receipt' }
  | { page: 'deal' | 'file'; id: string };

/** The page that the address names; anything unknown is the store page. */
export function route(hash: string = location.hash): Route {
  const [page, id] = hash.replace(/^#\/?/, '').split('/');
  if (page === 'deals' || page === 'account' || page === 'receipt') return { page };
  if (page === 'file' && id) return { page: 'file', id: decodeURIComponent(id) };
  if (page === 'deal' && id) return { page: 'deal', id: decodeURIComponent(id) };
  return { page: 'store' };
}

export const STORE = '#/';
export const DEALS = '#/deals';
export const ACCOUNT = '#/account';
export const RECEIPT = '#/receipt';

/** The address of a deal's page. */
export function dealLink(id: string): string {
  return `#/deal/${encodeURIComponent(id)}`;
}

/** The address of a file's page. */
export function fileLink(id: string): string {
  return `#/file/${encodeURIComponent(id)}`;
}
