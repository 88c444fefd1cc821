/**
 * Accounts whose key is elsewhere: a wallet in the browser (EIP-1193), or anything with an address that signs bytes.
 *
 * A signer is asked for one message a payment channel, the one that opens it. The message names the client's session key, which signs
 * all that follows: vouchers, the proposal, uploads, and the messages that bring the rest back. Runs in the page; the network worker asks
 * through `link.ts`.
 */

import { unhex } from './bytes.js';
import { SealdropError } from './errors.js';
import type { Eip1193Provider, MessageSigner, Signer } from './types.js';

/** What a wallet answers when its user says no (EIP-1193; WalletConnect). */
const USER_REJECTED = [4001, 5000];
/** What it answers to a method that it does not have (EIP-1193, JSON-RPC). */
const NO_METHOD = [4200, -32601];

/** A signer as a client uses it. */
export interface OpenedSigner {
  /** `t1…`, `t410f…` or `0x…`. */
  readonly address: string;
  /** The signature of a message: of its bytes, or of what a wallet shows of it. Throws `signer-refused` or `signer-failed`. */
  sign(message: Uint8Array<ArrayBuffer>, typedData: string | undefined): Promise<Uint8Array>;
  /** Calls `listener` when the wallet turns to other accounts; the returned function ends that. */
  whenChanged(listener: (problem: SealdropError) => void): () => void;
}

/** Opens a signer; a wallet may ask its user whether this page may see its account. */
export async function openSigner(signer: Signer): Promise<OpenedSigner> {
  return 'request' in signer ? openWallet(signer) : ofBytes(signer);
}

function ofBytes(signer: MessageSigner): OpenedSigner {
  if (/^(0x|[tf]4)/i.test(signer.address)) {
    throw new SealdropError(
      'bad-argument',
      `${signer.address} is a wallet's account, which signs typed data (EIP-712) and no bytes`,
      'Hand over the wallet itself (its EIP-1193 provider), or an address that begins with t1.',
    );
  }
  return {
    address: signer.address,
    async sign(message) {
      try {
        return await signer.sign(message);
      } catch (thrown) {
        throw thrown instanceof SealdropError ? thrown : failed(textOf(thrown), thrown);
      }
    },
    whenChanged: () => () => undefined,
  };
}

async function openWallet(provider: Eip1193Provider): Promise<OpenedSigner> {
  const [address] = await accounts(provider, 'eth_requestAccounts');
  if (address === undefined) {
    throw failed('the wallet shows this page no account');
  }
  const isThere = (shown: readonly string[]): boolean => shown.some((one) => same(one, address));
  const gone = (): SealdropError => failed(`the wallet no longer shows this page the account ${address}`);
  return {
    address: address.toLowerCase(),
    async sign(_, typedData) {
      // Asked first: another account would sign something that counts for nothing.
      if (!isThere(await accounts(provider, 'eth_accounts'))) {
        throw gone();
      }
      const answer = await ask(provider, 'eth_signTypedData_v4', [address, typedData]);
      return bytesOf(answer);
    },
    whenChanged(listener) {
      const changed = (shown: unknown): void => {
        if (!isThere(texts(shown))) {
          listener(gone());
        }
      };
      provider.on?.('accountsChanged', changed);
      return () => provider.removeListener?.('accountsChanged', changed);
    },
  };
}

async function accounts(provider: Eip1193Provider, method: string): Promise<readonly string[]> {
  return texts(await ask(provider, method));
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

async function ask(provider: Eip1193Provider, method: string, params?: readonly unknown[]): Promise<unknown> {
  try {
    return await provider.request(params === undefined ? { method } : { method, params });
  } catch (thrown) {
    throw problemOf(thrown, method);
  }
}

/** What a wallet threw, in the package's words. */
function problemOf(thrown: unknown, method: string): SealdropError {
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? Number(thrown.code) : undefined;
  const why = textOf(thrown);
  if (code !== undefined && USER_REJECTED.includes(code)) {
    const hint = 'Nothing was paid. Store it again, and agree when the wallet asks.';
    return new SealdropError('signer-refused', `the wallet’s user said no: ${why}`, hint, { cause: thrown });
  }
  if (code !== undefined && NO_METHOD.includes(code)) {
    const hint = 'Use a wallet that signs typed data (EIP-712).';
    return new SealdropError('unsupported', `the wallet has no ${method}: ${why}`, hint, { cause: thrown });
  }
  return failed(why, thrown);
}

function failed(why: string, cause?: unknown): SealdropError {
  const hint = 'Choose the account in the wallet again that this client was made with.';
  return new SealdropError('signer-failed', why, hint, cause === undefined ? {} : { cause });
}

function textOf(thrown: unknown): string {
  if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) {
    return String(thrown.message);
  }
  return String(thrown);
}

/** A signature as wallets write it: `0x` and 130 hexadecimal digits. */
function bytesOf(answer: unknown): Uint8Array {
  const [, digits] = /^0x([0-9a-f]{130})$/i.exec(String(answer)) ?? [];
  if (digits === undefined) {
    throw new SealdropError(
      'unsupported',
      'the wallet’s answer is no signature of 65 bytes: an account that is a contract cannot pay here',
      'Use an account of the wallet that has a key of its own.',
    );
  }
  return unhex(digits);
}
