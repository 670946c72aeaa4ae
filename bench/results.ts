import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { HERE, PEERS } from "./command.ts";

const FILE = join(HERE, "bench/results.json");

/** Where and when a section was measured. */
export interface Origin {
  readonly measuredOn: string;
  readonly machine: { cores: number; model: string; memoryGb: number; node: string };
  readonly versions: Readonly<Record<string, string>>;
}

export interface PeersSection extends Origin {
  readonly jobs: number;
  readonly rounds: Record<string, readonly { ran?: number; added?: number; p50?: number; p99?: number }[]>;
}

/** Rates in jobs per second, one for each round. `besides` names the side that a side is compared with. */
export interface RatesSection extends Origin {
  readonly sides: readonly { name: string; besides?: string; least?: number; rates: readonly number[] }[];
}

/** The sections that the benchmarks have written so far. These are the only source of the documented figures. */
export interface Results {
  peers?: PeersSection;
  growth?: RatesSection;
  limits?: RatesSection;
  durable?: RatesSection;
}

export function readResults(): Results {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Results) : {};
}

/** Replaces one section of bench/results.json. */
export function saveSection<Name extends keyof Results>(
  name: Name,
  section: Omit<NonNullable<Results[Name]>, keyof Origin>,
): void {
  const results = { ...readResults(), [name]: { ...origin(), ...section } };
  writeFileSync(FILE, `${JSON.stringify(results, null, 2)}\n`);
}

function origin(): Origin {
  const versionOf = (folder: string): string | undefined => {
    const file = join(folder, "package.json");
    return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version : undefined;
  };
  const folders = {
    legwork: HERE,
    "graphile-worker": join(HERE, "node_modules/graphile-worker"),
    "pg-boss": join(PEERS, "node_modules/pg-boss"),
    bullmq: join(PEERS, "node_modules/bullmq"),
    "@dbos-inc/dbos-sdk": join(PEERS, "node_modules/@dbos-inc/dbos-sdk"),
  };
  return {
    measuredOn: new Date().toISOString().slice(0, 10),
    machine: {
      cores: cpus().length,
      model: cpus()[0]?.model ?? "",
      memoryGb: Math.round(totalmem() / 2 ** 30),
      node: process.version,
    },
    versions: Object.fromEntries(
      Object.entries(folders).flatMap(([name, folder]) => {
        const version = versionOf(folder);
        return version === undefined ? [] : [[name, version]];
      }),
    ),
  };
}
