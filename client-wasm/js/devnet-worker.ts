/** The worker of an in-page devnet: loads the Rust module that is the network, lets its time pass, and takes its clients in. */

import type { DevnetCalls, FromDevnet, ToDevnet } from './devnet-types.js';
import { readAsset, takeWasmFolder, wasmFile } from './host.js';
import { type FromInPage, IN_PAGE_DOMAIN, type ToInPage } from './in-page.js';
import { isNode } from './node.js';
import { PortSocket } from './port-socket.js';
import init, { PageDevnet } from './wasm/sealdrop_devnet.js';

let network: PageDevnet | undefined;
let timer: ReturnType<typeof setInterval> | undefined;

function begun(): PageDevnet {
  if (network === undefined) {
    throw new Error('the network has not begun');
  }
  return network;
}

/** Lets what has come in over ports be done before the next block. */
const turn = new MessageChannel();
function rest(): Promise<void> {
  return new Promise((resolve) => {
    turn.port1.onmessage = () => resolve();
    turn.port2.postMessage(0);
  });
}

/** Milliseconds in which blocks are made in a row, before clients hear of the last one and have their turn. */
const IN_A_ROW_MS = 8;

async function mine(blocks: number): Promise<number> {
  const devnet = begun();
  let height = devnet.height();
  for (let made = 0, since = performance.now(); made < blocks; made++) {
    height = devnet.mine();
    if (made + 1 === blocks || performance.now() - since > IN_A_ROW_MS) {
      devnet.publish();
      await rest();
      since = performance.now();
    }
  }
  return height;
}

/** One after the other: two at a time would share the turns. */
let mining: Promise<unknown> = Promise.resolve();
function mineInTurn(blocks: number): Promise<number> {
  const mined = mining.then(() => mine(blocks));
  mining = mined.catch(() => undefined);
  return mined;
}

const calls: DevnetCalls = {
  async begin(options) {
    const url = wasmFile('sealdrop_devnet_bg.wasm', new URL('./wasm/sealdrop_devnet_bg.wasm', import.meta.url));
    await init({ module_or_path: isNode() ? await readAsset(url) : url });
    network = new PageDevnet(options);
    return network.miners();
  },
  height: async () => begun().height(),
  mine: mineInTurn,
  advance: (milliseconds) => mineInTurn(begun().blocksIn(milliseconds)),
  async autoMine(milliseconds) {
    clearInterval(timer);
    timer = milliseconds > 0 ? setInterval(() => void mineInTurn(1), milliseconds) : undefined;
  },
  setFaults: async (miner, faults) => begun().setFaults(miner, faults),
  faucet: async (address) => begun().faucet(address),
  checkInvariants: async () => begun().checkInvariants(),
};

/** A WebSocket to the chain, or to a miner. */
function takeIn(host: string, port: MessagePort): void {
  const socket = new PortSocket(port);
  if (host !== IN_PAGE_DOMAIN) {
    if (begun().accept(host, socket)) {
      socket.accept();
    } else {
      socket.close();
    }
    return;
  }
  socket.onmessage = ({ data }) => begun().hear(socket, String(data));
  socket.onclose = () => begun().forget(socket);
  socket.accept();
}

function serve(port: MessagePort): void {
  port.onmessage = ({ data }: MessageEvent<ToInPage>) => {
    if (data.kind === 'socket') {
      takeIn(data.host, data.port);
      return;
    }
    const answer: FromInPage = { id: data.id, text: begun().answer(data.body) ?? null };
    port.postMessage(answer);
  };
}

function post(message: FromDevnet): void {
  self.postMessage(message);
}

self.onmessage = async ({ data }: MessageEvent<ToDevnet>) => {
  if (data.kind === 'start') {
    takeWasmFolder(data);
    return;
  }
  if (data.kind === 'client') {
    serve(data.port);
    return;
  }
  const { id, method, args } = data;
  try {
    // The page's side is typed by the same interface.
    const call = calls[method] as (...args: readonly unknown[]) => Promise<unknown>;
    post({ kind: 'value', id, value: await call(...args) });
  } catch (thrown) {
    post({ kind: 'failed', id, reason: thrown instanceof Error ? thrown.message : String(thrown) });
  }
};
