// The hooks in a page: stores a file, and shows how far it is.

import { createElement as h, StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { createClient } from 'sealdrop-client';
import { SealdropProvider, useClient, useDeals, useFile, useFiles, useStore } from 'sealdrop-client/react';

const client = createClient({ chain: new URLSearchParams(location.search).get('chain') });

function Dapp() {
  const { wallet, remove } = useClient();
  const deals = useDeals();
  const files = useFiles();
  const { store, status, event, stored, error } = useStore();
  const file = useFile(stored?.id ?? '');
  const [message, setMessage] = useState('');
  const begin = async () => {
    await wallet.faucet();
    store(new TextEncoder().encode('hello hooks'), { duration: 3000, name: 'hello.txt' });
  };
  const forget = () => remove.call(client, stored.id).catch(({ code }) => setMessage(code));
  return h(
    'main',
    null,
    h('button', { id: 'store', type: 'button', onClick: begin }, 'Store'),
    h('button', { id: 'forget', type: 'button', onClick: forget }, 'Forget'),
    h('p', { id: 'status' }, status, ' ', event?.type, ' ', error?.message, ' ', message),
    h('p', { id: 'deals' }, deals.isLoading ? 'loading' : deals.data.map(({ state }) => state).join()),
    h('p', { id: 'files' }, files.isLoading ? 'loading' : String(files.data.length)),
    h('p', { id: 'file' }, file.data?.progress.state ?? 'none'),
  );
}

const root = createRoot(document.getElementById('root'));
root.render(h(StrictMode, null, h(SealdropProvider, { client }, h(Dapp))));
globalThis.leave = () => root.unmount();
