// Writes docs/reference/benchmarks.md and its pictures from bench/results.json, so that the documented figures are the measured ones.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { counted } from "../src/wording.ts";
import { median } from "./server.ts";

interface Results {
  machine: { cores: number; model: string; memoryGb: number; node: string };
  versions: Record<string, string>;
  measuredOn: string;
  jobs: number;
  rounds: Record<string, readonly { ran?: number; added?: number; addedOne?: number; p50?: number; p99?: number }[]>;
}

type Figure = "ran" | "added" | "p50" | "p99";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Writes the page. Run after `npm run bench -- peers`. */
export function writeBenchmarks(): void {
  const results: Results = JSON.parse(readFileSync(`${root}bench/results.json`, "utf8"));
  const names = Object.keys(results.rounds);
  const tuned = names.filter((name) => name.includes("tuned"));
  const others = names.filter((name) => !name.includes("tuned"));
  const values = (name: string, figure: Figure): number[] =>
    (results.rounds[name] ?? []).map((round) => round[figure]).filter((value) => value !== undefined);
  const base = values("graphile-worker, tuned", "ran");
  const ratios = (name: string): number[] => values(name, "ran").map((value, round) => value / (base[round] ?? Number.NaN));
  const rows = (of: readonly string[]): string =>
    of
      .filter((name) => values(name, "ran").length > 0)
      .map((name) => {
        const all = ratios(name);
        const spread = `${Math.min(...all).toFixed(2)}–${Math.max(...all).toFixed(2)}`;
        return `| ${name} | ${thousands(median(values(name, "ran")))} | ${median(all).toFixed(2)} | ${spread} | ${thousands(median(values(name, "added")))} |`;
      })
      .join("\n");
  const latencies = others
    .filter((name) => values(name, "p50").length > 0)
    .map((name) => `| ${name} | ${median(values(name, "p50")).toFixed(1)} | ${median(values(name, "p99")).toFixed(1)} |`)
    .join("\n");
  const versions = Object.entries(results.versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
  const { cores, memoryGb, node } = results.machine;
  const head = "| | jobs/s | to graphile-worker, tuned | lowest–highest | added in bulk/s |\n| --- | ---: | ---: | ---: | ---: |";
  for (const [file, of, figure] of [
    ["benchmarks-tuned", tuned, "ran"],
    ["benchmarks-defaults", others, "ran"],
  ] as const) {
    const bars = of.map((name) => ({ name, value: median(values(name, figure)) })).filter(({ value }) => Number.isFinite(value));
    writeFileSync(`${root}docs/reference/${file}.svg`, bar(bars));
  }
  writeFileSync(
    `${root}docs/reference/benchmarks.md`,
    `<!-- Written by bench/write-benchmarks.ts from bench/results.json. Do not edit. -->

# Benchmarks

Legwork beside graphile-worker, pg-boss and BullMQ. \`npm run bench -- peers\` measures it again, on your machine.

Only ratios mean something: they are made within a round, in which the systems ran in turn on the same server. The table shows the medians of ${counted(base.length, "round")}, and the lowest and highest ratio.

Measured on ${results.measuredOn}, with ${cores} cores, ${memoryGb} GB, Node ${node.slice(1)}, Postgres 18 (fsync and synchronous commit on, autovacuum off while measuring) and Redis 7 (append-only file, written every second): ${versions}.

## Tuned

${thousands(results.jobs)} jobs that do nothing, from the call of the first to the call of the last. graphile-worker and Legwork run 24 jobs at a time and fetch 500; pg-boss has four workers with batches of 500, notifications and no pause between full batches; BullMQ runs 200 jobs at a time. graphile-worker does not log completed jobs. Legwork logs each of them to a pipe and records its history.

![Jobs per second, tuned](benchmarks-tuned.svg)

${head}
${rows(tuned)}

## Defaults

![Jobs per second with default settings](benchmarks-defaults.svg)

${head}
${rows(others)}

graphile-worker's default is one job at a time; it runs 10 here, as Legwork does by default. pg-boss's default is one job every two seconds, which is not measured. BullMQ's default is one job at a time.

## Time to start

From just before a job is added until its call, with default settings and nothing else to do (ms). It includes adding the job.

| | median | 99% |
| --- | ---: | ---: |
${latencies}
`,
  );
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Draws horizontal bars. The text has the color of the page. */
function bar(rows: readonly { name: string; value: number }[]): string {
  const most = Math.max(...rows.map(({ value }) => value));
  const height = 28;
  const lines = rows.map(({ name, value }, index) => {
    const y = index * height;
    const width = Math.max(1, Math.round((value / most) * 300));
    const color = name.startsWith("legwork") ? "#0f766e" : "#94a3b8";
    return `  <text x="250" y="${y + 18}" text-anchor="end">${name}</text>
  <rect x="260" y="${y + 5}" width="${width}" height="18" rx="2" fill="${color}" />
  <text x="${266 + width}" y="${y + 18}">${thousands(value)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 ${rows.length * height}" font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="Jobs per second">
  <style>text { fill: #1e293b } @media (prefers-color-scheme: dark) { text { fill: #e2e8f0 } }</style>
${lines.join("\n")}
</svg>
`;
}
