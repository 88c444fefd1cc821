// Which scripts the page may start: its own and those of the client package beside it. With the policy of trusted types in its headers, no other
// way leads from a text to something that is run.

interface Policies {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown;
}

const policies = (globalThis as { trustedTypes?: Policies }).trustedTypes;
const BASE = new URL('.', document.baseURI).href;

policies?.createPolicy('default', {
  createScriptURL: (url) => {
    const { href } = new URL(url, document.baseURI);
    if (href.startsWith(BASE)) return href;
    // For programs: nobody who uses the page meets it.
    throw new TypeError(`this page starts no scripts from ${href}`);
  },
});
