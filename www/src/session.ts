// The page's one connection to the client, and what it last heard: network, account, miners, deals. Components read it
// and are told of changes; only this file and the pages' actions talk to `sealdrop-client`.

import type { Deal, MinerInfo, NetworkInfo } from 'sealdrop-client';
import { Sealdrop } from 'sealdrop-client';
import { type Problem, problemOf } from './problem';

/** How often account and miners are asked for anew. Heads come by themselves. */
const REFRESH_MS = 5_000;
/** How long to wait before the next try to reach the chain. */
const RECONNECT_MS = 5_000;

class Session extends EventTarget {
  client: Sealdrop | undefined;
  network: NetworkInfo | undefined;
  height: number | undefined;
  balance: string | undefined;
  miners: MinerInfo[] | undefined;
  deals: Deal[] | undefined;
  /** Why there is no connection. */
  problem: Problem | undefined;
  /** What else went wrong outside of a single deal, until it is put away. */
  notice: Problem | undefined;
  connecting = false;
  faucetRuns = false;
  faucetProblem: Problem | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private welcomed = false;

  /** Opens the client; called again by itself, or by a person, until it works. */
  start = async (): Promise<void> => {
    if (this.connecting || this.client) return;
    clearTimeout(this.timer);
    this.connecting = true;
    this.changed();
    try {
      const client = await Sealdrop.open({ chain: await chainUrl() });
      client.on('head', (head) => this.headArrived(head.height));
      client.on('deal', (deal) => this.dealChanged(deal));
      client.on('problem', (error) => this.reported(error));
      this.client = client;
      this.deals = await client.deals();
    } catch (error) {
      this.failed(error);
      this.timer = setTimeout(this.start, RECONNECT_MS);
    }
    this.connecting = false;
    this.changed();
    if (!this.client) return;
    await this.refresh();
    await this.welcome();
  };

  /** Asks for everything that does not come by itself. */
  refresh = async (): Promise<void> => {
    const { client } = this;
    if (!client) return;
    clearTimeout(this.timer);
    try {
      const [network, balance, miners] = await Promise.all([client.network(), client.balance(), client.miners()]);
      // The chain was begun anew: deals and account of the old one mean nothing on it.
      if (this.network && this.network.genesis !== network.genesis) return location.reload();
      Object.assign(this, { network, balance, miners, problem: undefined });
      this.height = Math.max(this.height ?? 0, network.height);
    } catch (error) {
      this.failed(error);
    }
    this.timer = setTimeout(this.refresh, REFRESH_MS);
    this.changed();
  };

  /** The client, as soon as there is one. */
  connected(): Promise<Sealdrop> {
    return new Promise((resolve) => {
      const look = () => {
        if (!this.client) return;
        this.removeEventListener('change', look);
        resolve(this.client);
      };
      this.addEventListener('change', look);
      look();
    });
  }

  readonly dismiss = (): void => {
    this.notice = undefined;
    this.changed();
  };

  /** Asks the faucet for test FIL; the balance is up to date when it returns. */
  async faucet(): Promise<void> {
    if (!this.client || this.faucetRuns) return;
    this.faucetRuns = true;
    this.faucetProblem = undefined;
    this.changed();
    try {
      await this.client.faucet();
    } catch (error) {
      this.faucetProblem = problemOf('No test FIL arrived', error);
    }
    await this.refresh();
    this.faucetRuns = false;
    this.changed();
  }

  /** Money costs nothing here: a new account gets some at once, so that a first visit can go straight to Store. */
  private async welcome(): Promise<void> {
    if (this.welcomed || this.balance !== '0' || this.deals?.length !== 0) return;
    this.welcomed = true;
    await this.faucet();
  }

  deal(id: string): Deal | undefined {
    return this.deals?.find((deal) => deal.id === id);
  }

  /** Takes a deal's new state in; also for deals that the page just made. */
  dealChanged(deal: Deal): void {
    const deals = this.deals ?? [];
    const known = deals.some((other) => other.id === deal.id);
    this.deals = known ? deals.map((other) => (other.id === deal.id ? deal : other)) : [deal, ...deals];
    this.changed();
  }

  /** Forgets a deal that the client has removed. */
  dealRemoved(id: string): void {
    this.deals = this.deals?.filter((deal) => deal.id !== id);
    this.changed();
  }

  private headArrived(height: number): void {
    this.height = height;
    this.problem = undefined;
    this.changed();
  }

  private reported(error: { code: string }): void {
    if (error.code === 'chain-unreachable') {
      this.failed(error);
      return;
    }
    this.notice = problemOf('Something went wrong', error);
    this.changed();
  }

  private failed(error: unknown): void {
    this.problem = problemOf('The network cannot be reached', error);
    this.changed();
  }

  private changed(): void {
    this.dispatchEvent(new Event('change'));
  }
}

/** The chain's address, which the daemon that serves this page publishes beside it. */
async function chainUrl(): Promise<string> {
  const answer = await fetch('/config.json', { cache: 'no-store' });
  if (!answer.ok) throw new Error(`the page's own server answered ${answer.status} for /config.json`);
  const config: unknown = await answer.json();
  const chain = (config as { chain?: unknown } | null)?.chain;
  if (typeof chain !== 'string') throw new Error('/config.json names no chain');
  return chain;
}

export const session = new Session();
