import { readdir, readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { createProgram } from "../src/cli/main.ts";

// The files in deploy/ are checked by hand with systemd-analyze, docker-compose and Kubernetes' schemas. These tests cover what a change to Legwork
// could break.

const ROOT = new URL("..", import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, ROOT), "utf8");
const paths = (await readdir(new URL("deploy", ROOT), { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => `${entry.parentPath}/${entry.name}`.slice(ROOT.pathname.length));
const files = new Map(await Promise.all(paths.map(async (path) => [path, await read(path)] as const)));

it("every setting in a deployment file exists", async () => {
  const known = new Set([...(await read("src/config.ts")).matchAll(/: "(LEGWORK_\w+)"/g)].map((match) => match[1]));
  const used = [...files].flatMap(([path, text]) => [...text.matchAll(/\bLEGWORK_[A-Z_]+\b/g)].map(([name]) => ({ path, name })));
  expect(used.length).toBeGreaterThan(20);
  expect(used.filter(({ name }) => !known.has(name))).toEqual([]);
});

it("every command in a deployment file exists and has the options that are passed to it", async () => {
  const commands = new Map((await createProgram()).commands.map((command) => [command.name(), command]));
  const text = [...files.values()].join("\n");
  const started = [...text.matchAll(/legwork\.js ([a-z].*)$/gm)].map((match) => match[1]!.trim().split(" "));
  const listed = [...text.matchAll(/(?:args|command|CMD):? \[(.+?)\]$/gm)].map((match) =>
    match[1]!.replaceAll('"', "").split(/, */),
  );
  const runs = started.concat(listed);
  const own = runs.filter(([name]) => !["node", "CMD"].includes(name!));
  expect(new Set(own.map(([name]) => name))).toEqual(new Set(["worker", "server", "migrate"]));
  for (const [name, ...options] of own) {
    const longs = commands.get(name!)?.options.map(({ long }) => long);
    expect(options.filter((option) => !longs?.includes(option))).toEqual([]);
  }
});

it("processes get more time than they need to stop before they are killed", () => {
  const seconds = (path: string, pattern: RegExp): number => Number(pattern.exec(files.get(path)!)?.[1]);
  const compose = "deploy/docker/compose.yaml";
  const unit = "deploy/systemd/legwork-worker@.service";
  expect(seconds(compose, /stop_grace_period: (\d+)s/)).toBeGreaterThan(seconds(compose, /LEGWORK_SHUTDOWN_TIMEOUT: (\d+)s/));
  expect(seconds(unit, /TimeoutStopSec=(\d+)s/)).toBeGreaterThan(seconds(unit, /LEGWORK_SHUTDOWN_TIMEOUT=(\d+)s/));
  expect(files.get("deploy/helm/legwork/templates/worker.yaml")).toContain(
    "terminationGracePeriodSeconds: {{ add .Values.worker.shutdownSeconds 10 }}",
  );
});

it("the Helm chart's query for the number of workers uses the parameters that the guide explains", async () => {
  const chart = files.get("deploy/helm/legwork/templates/autoscaling.yaml")!;
  const [, called = ""] = /legwork\.workers_needed\((.+)\)$/m.exec(chart) ?? [];
  const names = [...called.matchAll(/(\w+) =>/g)].map((match) => match[1]).filter((name) => name !== "secs");
  const guide = await read("docs/guides/production.md");
  for (const name of names) expect(guide).toContain(`\`${name}\``);
  expect(names).toEqual(["slots_per_worker", "drain_within"]);
});
