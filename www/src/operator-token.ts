// The operator's token in this browser: kept for the tab's session alone, and taken out of the page's address at once when a link brings it. Part of
// what every visitor loads, so that an address with a token in it does not wait for the operator's page.

/** Where the session keeps it. */
const KEPT = 'sealdrop.operator';
/** What `sealdrop token show` prints is hexadecimal; whatever goes into a header has no space and no strange letters. */
const WELL_FORMED = /^[\x21-\x7e]{1,512}$/;
const LINK = /^#\/operator(?:\/token\/|\?token=)([^/?#&]*)/;

/** Where the browser keeps nothing. */
let inMemory: string | undefined;

/** Takes a token out of the page's address. */
export function takeToken(): void {
  const [, token] = LINK.exec(location.hash) ?? [];
  if (token === undefined) return;
  history.replaceState(history.state, '', '#/operator');
  keepToken(decoded(token));
}

/** Whether a text may be a token. */
export const mayBeToken = (text: string): boolean => WELL_FORMED.test(text);

export function keepToken(token: string): void {
  if (!mayBeToken(token)) return;
  inMemory = token;
  try {
    sessionStorage.setItem(KEPT, token);
  } catch {
    // It is forgotten when the page is left.
  }
}

export function tokenOfSession(): string | undefined {
  try {
    return sessionStorage.getItem(KEPT) ?? inMemory;
  } catch {
    return inMemory;
  }
}

export function forgetToken(): void {
  inMemory = undefined;
  try {
    sessionStorage.removeItem(KEPT);
  } catch {
    // Nothing was kept.
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
