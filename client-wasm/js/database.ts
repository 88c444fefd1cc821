/** The database of a browser that keeps the keys, when the page names none. */
export const DATABASE = 'sealdrop';
