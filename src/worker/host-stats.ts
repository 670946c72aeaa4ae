import { statfs } from "node:fs/promises";
import { cpus, freemem, totalmem } from "node:os";

/** The state of a worker's host. Fractions are from 0 to 1. */
export interface HostStats {
  readonly cpu: number;
  readonly memory: number;
  readonly memoryTotal: number;
  /** The used fraction of the working directory's disk; null if unknown. */
  readonly disk: number | null;
  readonly diskTotal: number | null;
  readonly heapBytes: number;
}

/** Measures this host. The CPU usage covers the time since the last measurement, or since the host started for the first one. */
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
      // Memory that the system could free counts as free. In a container with a memory limit, usage is relative to that limit.
      memory:
        process.constrainedMemory() > 0 && process.constrainedMemory() < totalmem()
          ? usedOfLimit()
          : 1 - availableMemory() / totalmem(),
      memoryTotal: process.constrainedMemory() > 0 ? Math.min(totalmem(), process.constrainedMemory()) : totalmem(),
      // The used fraction of the space that is available to unprivileged users.
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
