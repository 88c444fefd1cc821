'use client';

import { useEffect, useMemo, useState } from 'react';
import { createClient } from 'sealdrop-client';
import { SealdropProvider, useDeals } from 'sealdrop-client/react';
import { show } from '../dapp.js';

function Deals() {
  const { data, isLoading } = useDeals();
  return <p id="deals">{isLoading ? 'loading' : `${data.length} deals`}</p>;
}

export default function Dapp() {
  const [chain, setChain] = useState('http://127.0.0.1:1/rpc');
  useEffect(() => {
    setChain(new URLSearchParams(location.search).get('chain'));
    void show();
  }, []);
  const client = useMemo(() => createClient({ chain }), [chain]);
  return (
    <SealdropProvider client={client}>
      <Deals />
    </SealdropProvider>
  );
}
