// What the page says to the Service Worker that keeps its files.

/** The build that waits may take over. */
export const ACTIVATE = 'sealdrop-activate';
