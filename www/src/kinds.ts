// Which stored files the page shows, and as what: by their type where it is known, else by the end of their name. What is in a file never
// decides, and nothing that a browser would run is among it.

export type Kind = 'image' | 'text' | 'audio' | 'video' | 'pdf';

export interface Shown {
  readonly kind: Kind;
  /** What the browser is told that it is. */
  readonly type: string;
}

/** Types by the end of a name. */
const TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
  bmp: 'image/bmp',
  ico: 'image/x-icon',
  // An image of it runs no script.
  svg: 'image/svg+xml',
  mp4: 'video/mp4',
  m4v: 'video/mp4',
  webm: 'video/webm',
  mkv: 'video/x-matroska',
  ogv: 'video/ogg',
  mov: 'video/quicktime',
  mp3: 'audio/mpeg',
  m4a: 'audio/mp4',
  aac: 'audio/aac',
  wav: 'audio/wav',
  ogg: 'audio/ogg',
  oga: 'audio/ogg',
  opus: 'audio/ogg',
  flac: 'audio/flac',
  pdf: 'application/pdf',
};

/** Ends of names that are text; what is of a browser's own languages is shown as text, too. */
const TEXT = new Set(
  (
    'txt md markdown rst log csv tsv json jsonl ndjson xml yaml yml toml ini conf cfg env diff patch tex bib srt vtt ' +
    'html htm xhtml css js mjs cjs ts tsx jsx rs py rb go c h cc cpp hpp java kt swift sh bash zsh sql lock'
  ).split(' '),
);

/** Types that are shown as they are. */
const KNOWN = new Set(Object.values(TYPES));

/** As what a file is shown; undefined for one that the page cannot show. */
export function shownAs(name: string, type = ''): Shown | undefined {
  const [bare = ''] = type.toLowerCase().split(';');
  const end = name.includes('.') ? (name.split('.').at(-1)?.toLowerCase() ?? '') : '';
  const known = KNOWN.has(bare.trim()) ? bare.trim() : Object.hasOwn(TYPES, end) ? TYPES[end] : undefined;
  if (known !== undefined) return { kind: kindOf(known), type: known };
  const isText = TEXT.has(end) || bare.startsWith('text/') || bare.trim() === 'application/json';
  return isText ? { kind: 'text', type: 'text/plain' } : undefined;
}

function kindOf(type: string): Kind {
  if (type === 'application/pdf') return 'pdf';
  return type.split('/')[0] as 'image' | 'audio' | 'video';
}
