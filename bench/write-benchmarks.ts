// Writes docs/reference/benchmarks.md and its pictures from bench/results.json, so that the documented figures are the measured ones.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { counted } from "../src/wording.ts";
import { HERE } from "./command.ts";
import { ratiosOf } from "./rates.ts";
import { type Origin, type PeersSection, type RatesSection, readResults } from "./results.ts";
import { median } from "./server.ts";

/** Writes the page from the sections that have been measured. Each benchmark that writes a section calls it. */
export function writeBenchmarks(): void {
  const { peers, growth, durable } = readResults();
  const sections = [
    ...(peers === undefined ? [] : [besidePeers(peers)]),
    ...(growth === undefined ? [] : [rates(growth, GROWTH)]),
    ...(durable === undefined ? [] : [rates(durable, DURABLE)]),
  ];
  writeFileSync(
    join(HERE, "docs/reference/benchmarks.md"),
    `<!-- Written by bench/write-benchmarks.ts from bench/results.json. Do not edit. -->

# Benchmarks

Legwork beside graphile-worker, pg-boss, BullMQ and DBOS, and beside itself as a database grows. \`npm run bench -- peers\`, \`growth\` and \`durable\` measure it again, on your machine.

Only ratios mean something: they are made within a round, in which the sides ran in turn on the same server. The tables show the median, the lowest and the highest ratio. Legwork is the \`legwork worker\` command, with its history and with its log at the default level to a pipe.

${sections.join("\n")}`,
  );
}

const GROWTH = {
  title: "Growth",
  text: "Jobs that do nothing, from the call of the first to the call of the last, 24 at a time with a local queue of 500. The last column names what a ratio compares with.",
};

const DURABLE = {
  title: "Steps, signals, batches and workflows",
  text: "Jobs per second, from the end of the first to the end of the last, 24 at a time. A job with 10 steps is compared with a DBOS workflow of 10 steps: 24 at a time, 24 connections, polling every 50 ms.",
};

function rates(section: RatesSection, { title, text }: { title: string; text: string }): string {
  const measured = new Map(section.sides.map(({ name, rates: values }) => [name, values]));
  const rows = section.sides.map((side) => {
    const all = ratiosOf(side, measured);
    const isBase = side.besides === undefined;
    const ratio = isBase ? "" : median(all).toFixed(2);
    return `| ${side.name} | ${thousands(median(side.rates))} | ${ratio} | ${isBase ? "" : spread(all)} | ${side.besides ?? ""} |`;
  });
  return `## ${title}

${text} Medians of ${counted(section.sides[0]?.rates.length ?? 0, "round")}. ${when(section)}

| | jobs/s | ratio | lowest–highest | to |
| --- | ---: | ---: | ---: | --- |
${rows.join("\n")}
`;
}

function besidePeers(section: PeersSection): string {
  const names = Object.keys(section.rounds);
  const tuned = names.filter((name) => name.includes("tuned"));
  const others = names.filter((name) => !name.includes("tuned"));
  const values = (name: string, figure: "ran" | "added" | "p50" | "p99"): number[] =>
    (section.rounds[name] ?? []).map((round) => round[figure]).filter((value) => value !== undefined);
  const base = values("graphile-worker, tuned", "ran");
  const rows = (of: readonly string[]): string =>
    of
      .filter((name) => values(name, "ran").length > 0)
      .map((name) => {
        const all = values(name, "ran").map((value, round) => value / (base[round] ?? Number.NaN));
        return `| ${name} | ${thousands(median(values(name, "ran")))} | ${median(all).toFixed(2)} | ${spread(all)} | ${thousands(median(values(name, "added")))} |`;
      })
      .join("\n");
  const latencies = others
    .filter((name) => values(name, "p50").length > 0)
    .map((name) => `| ${name} | ${median(values(name, "p50")).toFixed(1)} | ${median(values(name, "p99")).toFixed(1)} |`)
    .join("\n");
  const head = "| | jobs/s | to graphile-worker, tuned | lowest–highest | added in bulk/s |\n| --- | ---: | ---: | ---: | ---: |";
  for (const [file, of] of [
    ["benchmarks-tuned", tuned],
    ["benchmarks-defaults", others],
  ] as const) {
    const bars = of.map((name) => ({ name, value: median(values(name, "ran")) })).filter(({ value }) => Number.isFinite(value));
    writeFileSync(join(HERE, `docs/reference/${file}.svg`), bar(bars));
  }
  return `## Beside other systems, tuned

${thousands(section.jobs)} jobs that do nothing, from the call of the first to the call of the last. graphile-worker and Legwork run 24 jobs at a time and fetch 500; pg-boss has four workers with batches of 500, notifications and no pause between full batches; BullMQ runs 200 jobs at a time. graphile-worker does not log completed jobs. Legwork logs each of them to a pipe and records its history. Redis 7 writes its append-only file every second. Medians of ${counted(base.length, "round")}. ${when(section)}

![Jobs per second, tuned](benchmarks-tuned.svg)

${head}
${rows(tuned)}

## Beside other systems, with defaults

![Jobs per second with default settings](benchmarks-defaults.svg)

${head}
${rows(others)}

graphile-worker's default is one job at a time; it runs 10 here, as Legwork does by default. pg-boss's default is one job every two seconds, which is not measured. BullMQ's default is one job at a time.

## Time to start

From just before a job is added until its call, with default settings and nothing else to do (ms). It includes adding the job.

| | median | 99% |
| --- | ---: | ---: |
${latencies}
`;
}

/** Where and when a section was measured, in a sentence. */
function when({ measuredOn, machine, versions }: Origin & { rounds?: unknown }): string {
  const { cores, memoryGb, node } = machine;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `Measured on ${measuredOn} with ${counted(cores, "core")}, ${memoryGb} GB, Node ${node.slice(1)} and Postgres 18 (fsync and synchronous commit on, autovacuum off while measuring): ${names.join(", ")}.`;
}

function spread(ratios: readonly number[]): string {
  return `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
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
