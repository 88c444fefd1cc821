import { show } from './dapp.js';

void show();
