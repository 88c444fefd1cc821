import { show } from './dapp.js';

// The package's `dist` lies beside the bundle.
void show({ workerUrl: './sealdrop/' });
