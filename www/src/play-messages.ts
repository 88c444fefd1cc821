// What the page and its Service Worker say to each other about a file that is played or saved, and which bytes a `Range` header means.

/** Folder below the page whose addresses the Service Worker answers, and none else. */
export const SCOPE = 'play/';

/** From the Service Worker to every page: who has the file under this key answers at the port that comes along. */
export interface Wanted {
  readonly sealdrop: 'play';
  readonly key: string;
}

/** From the Service Worker at that port. */
export type FromPlayer =
  /** These bytes are wanted: from the first to the one behind the last. */
  | { readonly kind: 'read'; readonly from: number; readonly to: number }
  /** Some more of them. */
  | { readonly kind: 'more' }
  | { readonly kind: 'stop' };

/** From the page at that port. */
export type FromPage =
  | {
      readonly kind: 'file';
      readonly size: number;
      readonly atMost: boolean;
      readonly type: string;
      readonly name: string;
    }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'end' }
  | { readonly kind: 'problem'; readonly message: string };

/** From the page to the Service Worker, so that the browser does not end it under a long answer. */
export const ALIVE = 'alive';

/** What a `Range` header asks for of so many bytes. */
export type Asked = 'all' | 'nothing' | { readonly from: number; readonly to: number };

/** Reads the header as RFC 9110 says: what is malformed, or names several ranges, asks for all. */
export function askedRange(header: string | null, size: number): Asked {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return 'all';
  if (first === '') {
    // The last so many bytes.
    const from = Math.max(0, size - Number(last));
    return from < size ? { from, to: size } : 'nothing';
  }
  const [from, to] = [Number(first), last === '' ? size : Math.min(Number(last) + 1, size)];
  if (last !== '' && Number(last) < from) return 'all';
  return from < size ? { from, to } : 'nothing';
}
