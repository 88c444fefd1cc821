// Which page the address names: `#/`, `#/deals`, `#/account`, `#/receipt`, `#/deal/ID`, `#/file/ID`, and of the operator's
// `#/operator`, `#/operator/PLACE`, `#/operator/sectors/NUMBER`, `#/operator/deals/ID`.

export type Route =
  | { page: 'store' }
  | { page: 'deals' | 'account' | 'receipt' }
  | { page: 'deal' | 'file'; id: string }
  | { page: 'operator'; place: OperatorPlace; of?: string };

const PLACES = ['sectors', 'proofs', 'deals', 'earnings', 'machine', 'peers', 'log', 'settings'] as const;

/** A page of the operator's. */
export type OperatorPlace = (typeof PLACES)[number] | 'home';

/** The page that the address names; anything unknown is the store page. */
export function route(hash: string = location.hash): Route {
  const [page, id, of] = hash.replace(/^#\/?/, '').split('/');
  if (page === 'operator') {
    const place = PLACES.find((each) => each === id) ?? 'home';
    const hasParts = place === 'sectors' || place === 'deals';
    // A number or a CID: nothing that would name another place of the daemon's.
    return { page, place, of: hasParts && /^[A-Za-z0-9]+$/.test(of ?? '') ? of : undefined };
  }
  if (page === 'deals' || page === 'account' || page === 'receipt') return { page };
  if (page === 'file' && id) return { page: 'file', id: decodeURIComponent(id) };
  if (page === 'deal' && id) return { page: 'deal', id: decodeURIComponent(id) };
  return { page: 'store' };
}

export const STORE = '#/';
export const DEALS = '#/deals';
export const ACCOUNT = '#/account';
export const RECEIPT = '#/receipt';
export const OPERATOR = '#/operator';

/** The address of a page of the operator's, or of one sector or deal there. */
export function operatorLink(place: OperatorPlace, of?: string | number): string {
  if (place === 'home') return OPERATOR;
  return `${OPERATOR}/${place}${of === undefined ? '' : `/${encodeURIComponent(of)}`}`;
}

/** The address of a deal's page. */
export function dealLink(id: string): string {
  return `#/deal/${encodeURIComponent(id)}`;
}

/** The address of a file's page. */
export function fileLink(id: string): string {
  return `#/file/${encodeURIComponent(id)}`;
}
