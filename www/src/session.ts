// The page's one connection to the client, and what it last heard: network, account, miners, deals. Components read it
// and are told of changes; only this file and the pages' actions talk to `sealdrop-client`.

import type { Account, Client, Deal, MinerInfo, NetworkInfo, StoredFile } from 'sealdrop-client';
import { createClient } from 'sealdrop-client';
import * as keys from 'sealdrop-client/account';
import { keepBook, lastBook } from './book-memory';
import { type Choice, checked, choose, mayBeLink, remember } from './chain-choice';
import { type Problem, problemOf } from './problem';
import { t } from './words';

/** How often account and miners are asked for anew. Heads come by themselves. */
const REFRESH_MS = 5_000;
/** How long to wait before the next try to reach the chain. */
const RECONNECT_MS = 5_000;

class Session extends EventTarget {
  client: Client | undefined;
  account: Account | undefined;
  network: NetworkInfo | undefined;
  height: number | undefined;
  balance: bigint | undefined;
  miners: MinerInfo[] | undefined;
  deals: Deal[] | undefined;
  /** Whether deals and files are as this page remembers them, because there is no client to ask. */
  remembered = false;
  /** Files and folders whose pieces have deals of their own. */
  files: StoredFile[] = [];
  /** Which chain is used, and what the visitor is asked about that. */
  choice: Choice = {};
  /** Whether the visitor has to say which chain to use before anything else. */
  choosing = false;
  /** How often everything was asked for anew. */
  refreshes = 0;
  /** Why there is no connection. */
  problem: Problem | undefined;
  /** What else went wrong outside of a single deal, until it is put away. */
  notice: Problem | undefined;
  connecting = false;
  faucetRuns = false;
  faucetProblem: Problem | undefined;
  /** The accounts of this browser, each with a key of its own. */
  keys: keys.AccountInfo[] = [];
  /** Whether the account waits for its passphrase. */
  locked = false;
  private passphrase: string | undefined;
  /** Why the account was not opened. */
  private refused: unknown;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private welcomed = false;

  /** Opens the client; called again by itself, or by a person, until it works. */
  start = async (): Promise<void> => {
    if (this.connecting || this.client || this.choosing) return;
    clearTimeout(this.timer);
    this.connecting = true;
    this.changed();
    let opening: ReturnType<typeof createClient> | undefined;
    try {
      const chain = await this.chainUrl();
      if (!chain) {
        this.connecting = false;
        return this.changed();
      }
      const client = createClient({ chain, passphrase: this.passphrase });
      opening = client;
      client.on('head', (head) => this.headArrived(head.height));
      client.on('deal', (deal) => this.dealChanged(deal));
      client.on('file', (file) => this.fileChanged(file));
      client.on('problem', (error) => this.reported(error));
      this.account = await client.wallet.account();
      this.locked = false;
      this.client = client;
      [this.deals, this.files] = await Promise.all([client.deals(), client.files()]);
      this.remembered = false;
      await this.lookAtKeys();
    } catch (error) {
      // Each try has a client of its own, and its workers.
      if (!this.client) void opening?.close().catch(() => undefined);
      this.locked = problemOf('', error).code === 'locked';
      this.refused = error;
      if (this.locked) {
        this.problem = undefined;
        await this.lookAtKeys();
      } else {
        this.failed(error);
        if (!this.client) await this.remember();
        this.timer = setTimeout(this.start, RECONNECT_MS);
      }
    }
    this.connecting = false;
    this.changed();
    if (!this.client) return;
    await this.refresh();
    await this.welcome();
  };

  /** How the key of the account that is used is kept. */
  get key(): keys.AccountInfo | undefined {
    return this.keys.find(({ active }) => active);
  }

  /** Reads anew which accounts there are, and which of them are safe. */
  async lookAtKeys(): Promise<void> {
    this.keys = await keys.accounts();
    this.changed();
  }

  /** Ends the client, so that an account may be restored; `start` makes another one. */
  async leave(): Promise<void> {
    // One that is just being opened is not there yet.
    while (this.connecting) await new Promise((resolve) => this.addEventListener('change', resolve, { once: true }));
    clearTimeout(this.timer);
    const { client } = this;
    this.client = undefined;
    this.changed();
    await client?.close();
  }

  /** Opens the locked account; throws when that is not its passphrase. */
  async unlock(passphrase: string): Promise<void> {
    this.passphrase = passphrase;
    await this.start();
    // While the chain is away it is tried again with it.
    if (this.client || this.locked) this.passphrase = undefined;
    if (this.locked) throw this.refused;
  }

  /** The chain to use; undefined while the visitor has to choose. */
  private async chainUrl(): Promise<string | undefined> {
    if (this.choice.chain && !this.choice.asked) return this.choice.chain;
    this.choice = await choose(location.hash);
    const { chain, asked, problem } = this.choice;
    if (problem) this.notice = problemOf(() => t.app.linkFails, problem);
    this.choosing = asked !== undefined || chain === undefined;
    return this.choosing ? undefined : chain;
  }

  /** Uses another chain from now on; throws what is wrong with its URL. */
  async use(text: string): Promise<void> {
    const chain = await checked(text);
    remember(chain, this.choice.own);
    // Everything that is shown is the other chain's.
    if (this.client || this.connecting) return location.reload();
    this.choice = { ...this.choice, chain, asked: undefined };
    this.choosing = false;
    this.problem = undefined;
    await this.start();
  }

  /** Goes on with the chain that is known. */
  readonly stay = (): void => {
    this.choice = { ...this.choice, asked: undefined };
    this.choosing = this.choice.chain === undefined;
    if (this.choosing) this.problem = undefined;
    this.changed();
    if (!this.choosing) void this.start();
  };

  /** Lets the visitor name another chain. */
  readonly chooseAgain = (): void => {
    this.choosing = true;
    this.changed();
  };

  /** The page's address has changed: perhaps to a link. */
  readonly follow = async (): Promise<void> => {
    if (!mayBeLink(location.hash)) return;
    const { asked, miner, problem } = await choose(location.hash).catch((problem) => ({ problem }) as Choice);
    if (problem) this.notice = problemOf(() => t.app.linkFails, problem);
    this.choice = { ...this.choice, asked, miner };
    this.choosing = asked !== undefined;
    this.changed();
  };

  /** Asks for everything that does not come by itself. */
  refresh = async (): Promise<void> => {
    const { client } = this;
    if (!client) return;
    clearTimeout(this.timer);
    try {
      const [network, balance, miners] = await Promise.all([
        client.network(),
        client.wallet.balance(),
        client.miners(),
      ]);
      // The chain was begun anew: deals and account of the old one mean nothing on it.
      if (this.network && this.network.genesis !== network.genesis) return location.reload();
      Object.assign(this, { network, balance, miners, problem: undefined });
      this.height = Math.max(this.height ?? 0, network.height);
      this.refreshes += 1;
    } catch (error) {
      if (this.client !== client) return;
      this.failed(error);
    }
    this.timer = setTimeout(this.refresh, REFRESH_MS);
    this.changed();
  };

  /** The client, as soon as there is one. */
  connected(): Promise<Client> {
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
      await this.client.wallet.faucet();
    } catch (error) {
      this.faucetProblem = problemOf(() => t.app.noFaucet, error);
    }
    await this.refresh();
    this.faucetRuns = false;
    this.changed();
  }

  /** Money costs nothing here: a new account gets some at once, so that a first visit can go straight to Store. */
  private async welcome(): Promise<void> {
    if (this.welcomed || this.balance !== 0n || this.deals?.length !== 0) return;
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

  file(id: string): StoredFile | undefined {
    return this.files.find((file) => file.file === id);
  }

  /** Takes a file's new state in; also for files that the page just stored. */
  fileChanged(file: StoredFile): void {
    const known = this.files.some((other) => other.file === file.file);
    this.files = known ? this.files.map((other) => (other.file === file.file ? file : other)) : [file, ...this.files];
    this.changed();
  }

  /** Forgets a file that the client has removed, with its deals. */
  fileRemoved(id: string): void {
    this.files = this.files.filter((file) => file.file !== id);
    this.deals = this.deals?.filter((deal) => deal.partOf !== id);
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
    this.notice = problemOf(() => t.app.wrong, error);
    this.changed();
  }

  private failed(error: unknown): void {
    this.problem = navigator.onLine
      ? problemOf(() => t.app.unreachable, error)
      : { code: 'chain-unreachable', what: () => t.app.offline, why: () => t.app.offlineMeans };
    this.changed();
  }

  /** Without a client, the book is shown as it was last. */
  private async remember(): Promise<void> {
    if (this.deals !== undefined && !this.remembered) return;
    await this.lookAtKeys().catch(() => undefined);
    const last = await lastBook(this.choice.chain, this.key?.id);
    if (!last || this.client) return;
    [this.deals, this.files, this.remembered] = [last.deals, last.files, true];
    this.changed();
  }

  private changed(): void {
    if (this.client && this.choice.chain && this.deals) {
      keepBook({ chain: this.choice.chain, account: this.key?.id, deals: this.deals, files: this.files });
    }
    this.dispatchEvent(new Event('change'));
  }
}

export const session = new Session();
