import { formatFil } from 'sealdrop-client';
import Dapp from './dapp.jsx';

// Made on the server: the package may be imported there.
export default function Page() {
  return (
    <main>
      <p>{formatFil(250_000_000_000_000n)} FIL</p>
      <Dapp />
    </main>
  );
}
