// Which page the address names: `#/`, `#/deals`, `#/deal/ID`.

export type Route = { page: 'store' } | { page: 'deals' } | { page: 'deal'; id: string };

/** The page that the address names; anything unknown is the store page. */
export function route(hash: string = location.hash): Route {
  const [page, id] = hash.replace(/^#\/?/, '').split('/');
  if (page === 'deals') return { page: 'deals' };
  if (page === 'deal' && id) return { page: 'deal', id: decodeURIComponent(id) };
  return { page: 'store' };
}

export const STORE = '#/';
export const DEALS = '#/deals';

/** The address of a deal's page. */
export function dealLink(id: string): string {
  return `#/deal/${encodeURIComponent(id)}`;
}
