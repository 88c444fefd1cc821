// What the machine is and does: its name, the memory and the CPU time of the browser's processes.

import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** Ticks of the kernel's clock in a second. */
const TICKS = 100;

export function machineLine() {
  const [first] = cpus();
  return `${cpus().length} × ${first.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
}

/** The processes of a browser. */
export class Processes {
  static async of(browser) {
    const processes = new Processes();
    processes.session = await browser.newBrowserCDPSession();
    return processes;
  }

  async all() {
    return (await this.session.send('SystemInfo.getProcessInfo')).processInfo;
  }

  /** CPU seconds of all of them so far. */
  async cpu() {
    return (await this.all()).reduce((sum, { id }) => sum + cpuOf(id), 0);
  }

  /** Memory of the largest renderer, in MB: all of its pages, and with shared ones divided. */
  async renderer() {
    const renderers = (await this.all()).filter(({ type }) => type === 'renderer');
    const sizes = renderers.map(({ id }) => {
      const rollup = read(`/proc/${id}/smaps_rollup`);
      const field = (name) => (Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0) * 1024) / 1e6;
      return { rss: field('Rss'), pss: field('Pss') };
    });
    return sizes.sort((a, b) => b.rss - a.rss)[0] ?? { rss: 0, pss: 0 };
  }
}

/** CPU seconds of a process so far. */
export function cpuOf(id) {
  const stat = read(`/proc/${id}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS;
}

/** A process may end between being listed and being looked at. */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

export const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
