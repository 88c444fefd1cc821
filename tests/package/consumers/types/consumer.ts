// A program in TypeScript that uses each part of the package.

import { type Client, createClient, type Deal, formatFil, parseFil, SealdropError, type Stored } from 'sealdrop-client';
import * as account from 'sealdrop-client/account';
import { computePiece, type Piece } from 'sealdrop-client/piece';
import { useDeals, useStore } from 'sealdrop-client/react';
import type { ProofChecker, ProofVerdict } from 'sealdrop-client/verify';

const client: Client = createClient({ chain: 'http://127.0.0.1:4403/rpc', miners: 'spread', transports: [] });

export async function keep(file: File, signal: AbortSignal): Promise<Stored> {
  const storing = client.store(file, { duration: 2500, most: parseFil('1.5'), signal });
  for await (const event of storing) {
    switch (event.type) {
      case 'hashing':
        console.log(event.progress.done / event.progress.total);
        break;
      case 'deal':
        console.log(event.deal.step, formatFil(event.deal.total));
        break;
      case 'quoted':
        console.log(formatFil(event.quote.least + 1n));
    }
  }
  // @ts-expect-error: an amount is no text.
  void client.store(file, { duration: 2500, most: '1' }).catch(() => undefined);
  // @ts-expect-error: a stream comes only once.
  void client.prepare(file.stream());
  return await storing;
}

export async function why(id: string): Promise<string> {
  try {
    return (await client.explain(id)).next;
  } catch (error) {
    return error instanceof SealdropError && error.code === 'not-found' ? error.hint : String(error);
  }
}

export const names = (bytes: Uint8Array<ArrayBuffer>): Promise<Piece> => computePiece(new Blob([bytes]));
export const check = (checker: ProofChecker): Promise<ProofVerdict> =>
  checker.window({ sectorSize: 2048, proverId: '', randomness: '', sectors: [], proof: '' });
export async function move(passphrase: string): Promise<number> {
  const words = await account.phrase({ passphrase });
  const { networks }: account.Restored = await account.restore({ phrase: words, file: await account.backup() });
  const unlocked = createClient({ chain: 'http://127.0.0.1:4403/rpc', passphrase });
  // @ts-expect-error: the account on a chain is another thing.
  void unlocked.wallet.phrase;
  return networks.length;
}
export function useIdle(): readonly Deal[] | undefined {
  const [{ status }, { data }] = [useStore(), useDeals()];
  return status === 'idle' ? data : undefined;
}
