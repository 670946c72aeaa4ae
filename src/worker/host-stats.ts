import { statfs } from "node:fs/promises";
import { cpus, freemem, totalmem } from "node:os";

/** How a worker's machine is. Shares are from 0 to 1. */
export interface HostStats {
  readonly cpu: number;
  readonly memory: number;
  readonly memoryTotal: number;
  /** Of the disk of the working directory; null where that cannot be said. */
  readonly disk: number | null;
  readonly diskTotal: number | null;
  readonly heapBytes: number;
}

/** Looks at this machine; the processors' share is that since the last look, and since the machine's start at the first one. */
export class HostMeter {
  #busy = 0;
  #total = 0;

  async read(): Promise<HostStats> {
    let busy = 0;
    let total = 0;
    for (const { times } of cpus()) {
      const all = times.user + times.nice + times.sys + times.irq + times.idle;
      busy += all - times.idle;
      total += all;
    }
    const cpu = total > this.#total ? (busy - this.#busy) / (total - this.#total) : 0;
    [this.#busy, this.#total] = [busy, total];
    const disk = await statfs(process.cwd()).catch(() => undefined);
    return {
      cpu: Math.min(1, Math.max(0, cpu)),
      // What the system could free counts as free; a container's own limit where it has one.
      memory:
        process.constrainedMemory() > 0 && process.constrainedMemory() < totalmem()
          ? usedOfLimit()
          : 1 - availableMemory() / totalmem(),
      memoryTotal: process.constrainedMemory() > 0 ? Math.min(totalmem(), process.constrainedMemory()) : totalmem(),
      // Of what a user without privileges may fill.
      disk: disk === undefined || disk.blocks === 0 ? null : 1 - disk.bavail / (disk.blocks - disk.bfree + disk.bavail),
      diskTotal: disk === undefined ? null : disk.blocks * disk.bsize,
      heapBytes: process.memoryUsage().heapUsed,
    };
  }
}

function usedOfLimit(): number {
  return 1 - process.availableMemory() / process.constrainedMemory();
}

function availableMemory(): number {
  return process.availableMemory() || freemem();
}
