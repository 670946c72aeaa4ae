// Writes docs/reference/benchmarks.md, its charts and the README's figures from bench/results.json, so that the documented figures are the measured
// ones.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { counted } from "../src/wording.ts";
import { HERE } from "./command.ts";
import { ratiosOf } from "./rates.ts";
import { type Origin, type PeersSection, type RatesSection, readResults } from "./results.ts";
import { median } from "./server.ts";

/** Writes the files that `benchmarkFiles` returns. Called by each benchmark that writes a section. */
export function writeBenchmarks(): void {
  for (const [file, text] of benchmarkFiles()) writeFileSync(join(HERE, file), text);
}

/** Returns the documents with the figures of the sections that have been measured, by path. */
export function benchmarkFiles(): Map<string, string> {
  const { peers, growth, limits, durable } = readResults();
  const sections = [
    ...(peers === undefined ? [] : [besidePeers(peers)]),
    ...(growth === undefined ? [] : [rates(growth, GROWTH)]),
    ...(limits === undefined ? [] : [rates(limits, LIMITS)]),
    ...(durable === undefined ? [] : [rates(durable, DURABLE)]),
  ];
  const page = `<!-- Written by bench/write-benchmarks.ts from bench/results.json. Do not edit. -->

# Benchmarks

How fast Legwork is compared with graphile-worker, pg-boss, BullMQ and DBOS, and how its speed changes as a database grows. To measure this on your machine, run \`npm run bench -- peers\`, \`growth\`, \`limits\` and \`durable\`.

Only the ratios are meaningful, because they are computed within a round, in which the systems ran one after another on the same server. The tables show the median, the lowest and the highest ratio. Legwork runs as the \`legwork worker\` command. It records the history and writes its log, at the default level, to a pipe.

${sections.join("\n")}`;
  const files = new Map([["docs/reference/benchmarks.md", page]]);
  if (peers === undefined) return files;
  for (const isTuned of [true, false]) {
    const bars = Object.keys(peers.rounds)
      .filter((name) => name.includes("tuned") === isTuned)
      .map((name) => ({ name, value: median(figures(peers, name, "ran")) }))
      .filter(({ value }) => Number.isFinite(value));
    files.set(`docs/reference/benchmarks-${isTuned ? "tuned" : "defaults"}.svg`, bar(bars));
  }
  const readme = readFileSync(join(HERE, "README.md"), "utf8");
  files.set(
    "README.md",
    readme.replace(README_PART, (_, start: string, end: string) => `${start}${inReadme(peers)}${end}`),
  );
  return files;
}

/** Matches the part of the README that this file writes. */
const README_PART = /(<!-- benchmarks -->\n)[^]*(<!-- end of benchmarks -->)/;

/** The rows of the README's table, by the names of their sides in the results. */
const README_ROWS: Readonly<Record<string, string>> = {
  "legwork worker, tuned, defined task": "a task defined with `defineTask` | 24 at a time, a local queue of 500",
  "legwork worker, tuned, plain task": "a plain function | the same",
  "legwork worker, defaults": "a plain function | defaults: 10 at a time, an adaptive local queue",
  "pg-boss, tuned": "pg-boss | its fastest settings",
  "BullMQ, tuned": "BullMQ with the append-only file | its fastest settings",
};

function inReadme(section: PeersSection): string {
  const rows = Object.entries(README_ROWS).map(([name, shown]) => {
    const all = toBase(section, name);
    return `| ${shown} | ${median(all).toFixed(2)} (${spread(all)}) |`;
  });
  const started = (name: string): string => `${median(figures(section, name, "p50")).toFixed(1)} ms`;
  return `| | settings | jobs per second, relative to a tuned graphile-worker |
|---|---|---|
${rows.join("\n")}

An idle Legwork worker starts a job ${started("legwork worker, defaults")} after it is added (median). graphile-worker takes ${started("graphile-worker, 10 at a time")}, pg-boss ${started("pg-boss, defaults")} and BullMQ ${started("BullMQ, defaults")}.
`;
}

/** Returns one figure of a side for each round. */
function figures(section: PeersSection, name: string, figure: "ran" | "added" | "p50" | "p99"): number[] {
  return (section.rounds[name] ?? []).map((round) => round[figure]).filter((value) => value !== undefined);
}

/** Returns the ratio to tuned graphile-worker for each round. */
function toBase(section: PeersSection, name: string): number[] {
  const base = figures(section, "graphile-worker, tuned", "ran");
  return figures(section, name, "ran").map((value, round) => value / (base[round] ?? Number.NaN));
}

const GROWTH = {
  title: "Growth",
  text: "Jobs that do nothing, measured from the start of the first to the start of the last, 24 at a time with a local queue of 500. The last column shows the baseline of each ratio.",
};

const LIMITS = {
  title: "Limits and failures",
  text: "The same worker, measured in the same way. A limited job waits for a slot, and the end of another job releases it. A job that fails has no other attempt, and its error is recorded with its stack trace.",
};

const DURABLE = {
  title: "Steps, signals, batches and workflows",
  text: "Jobs per second, measured from the end of the first to the end of the last, 24 at a time. A job with 10 steps is compared with a DBOS workflow with 10 steps: 24 at a time, 24 connections, polling every 50 ms.",
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

| | jobs/s | ratio | lowest–highest | baseline |
| --- | ---: | ---: | ---: | --- |
${rows.join("\n")}
`;
}

function besidePeers(section: PeersSection): string {
  const names = Object.keys(section.rounds);
  const tuned = names.filter((name) => name.includes("tuned"));
  const others = names.filter((name) => !name.includes("tuned"));
  const values = (name: string, figure: "ran" | "added" | "p50" | "p99"): number[] => figures(section, name, figure);
  const rounds = values("graphile-worker, tuned", "ran").length;
  const rows = (of: readonly string[]): string =>
    of
      .filter((name) => values(name, "ran").length > 0)
      .map((name) => {
        const all = toBase(section, name);
        return `| ${name} | ${thousands(median(values(name, "ran")))} | ${median(all).toFixed(2)} | ${spread(all)} | ${thousands(median(values(name, "added")))} |`;
      })
      .join("\n");
  const latencies = others
    .filter((name) => values(name, "p50").length > 0)
    .map((name) => `| ${name} | ${median(values(name, "p50")).toFixed(1)} | ${median(values(name, "p99")).toFixed(1)} |`)
    .join("\n");
  const head =
    "| | jobs/s | relative to graphile-worker, tuned | lowest–highest | added in bulk/s |\n| --- | ---: | ---: | ---: | ---: |";
  return `## Compared with other systems, tuned

${thousands(section.jobs)} jobs that do nothing, measured from the start of the first to the start of the last. graphile-worker and Legwork run 24 jobs at a time and fetch 500; pg-boss has four workers with batches of 500, notifications and no pause between full batches; BullMQ runs 200 jobs at a time. graphile-worker does not log completed jobs. Legwork logs each of them to a pipe and records its history. Redis 7 writes its append-only file every second. Medians of ${counted(rounds, "round")}. ${when(section)}

![Jobs per second, tuned](benchmarks-tuned.svg)

${head}
${rows(tuned)}

## Compared with other systems, default settings

![Jobs per second with default settings](benchmarks-defaults.svg)

${head}
${rows(others)}

graphile-worker's default is one job at a time; here it runs 10, the same as Legwork's default. pg-boss's default is one job every two seconds, which was not measured. BullMQ's default is one job at a time.

## Start latency

The time from just before a job is added until it starts, with default settings and no other jobs (ms). It includes adding the job.

| | median | 99% |
| --- | ---: | ---: |
${latencies}
`;
}

/** Describes in a sentence where and when a section was measured. */
function when({ measuredOn, machine, versions }: Origin & { rounds?: unknown }): string {
  const { cores, memoryGb, node } = machine;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `Measured on ${measuredOn} with ${counted(cores, "core")}, ${memoryGb} GB, Node ${node.slice(1)} and Postgres 18 (fsync and synchronous commit on, autovacuum off during the measurement): ${names.join(", ")}.`;
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
