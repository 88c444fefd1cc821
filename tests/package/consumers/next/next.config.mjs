import { resolve } from 'node:path';

export default {
  output: 'export',
  // The package lies further up here, as it does in a workspace.
  turbopack: { root: resolve(import.meta.dirname, '../..') },
};
