import type { Command } from "commander";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProgram } from "../../src/cli/main.ts";
import type { Server } from "../../src/server/server.ts";
import { legwork } from "../support/cli.ts";
import { walkedCommands } from "../support/commands.ts";
import { testDatabase } from "../support/database.ts";
import { fillEveryState } from "../support/every-state.ts";
import { restToken, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;
let named: Awaited<ReturnType<typeof fillEveryState>>;

beforeAll(async () => {
  named = await fillEveryState(database.pool);
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});

/** Commands that run until they are stopped, draw a screen, print a script, or run a package manager. */
const WITHOUT_JSON = new Set(["dev", "worker", "server", "top", "completion", "install"]);

function everyLeaf(command: Command, path: string[] = []): { command: Command; path: string }[] {
  if (command.commands.length === 0) return [{ command, path: path.join(" ") }];
  return command.commands.flatMap((subcommand) => everyLeaf(subcommand, [...path, subcommand.name()]));
}

it("every command that prints a result has --json", async () => {
  const leaves = everyLeaf(await createProgram());
  expect(leaves.length).toBeGreaterThan(45);
  const without = leaves.filter(({ command }) => !command.options.some(({ long }) => long === "--json")).map(({ path }) => path);
  expect(without.filter((path) => !WITHOUT_JSON.has(path))).toEqual([]);
});

/** Fields whose values may be text that looks like a number: ids and names, and (in USERS) a user's JSON. */
const TEXT = /(^id|Id|^ids|^jobs|^running|^blockedJobs|^target|^name|^version)$/;
const USERS = new Set(["payload", "result", "fields", "before", "after", "detail", "payloadSchema"]);

/** The paths at which a value contains a number as text. */
function textNumbers(value: unknown, path = "", key = ""): string[] {
  if (typeof value === "string") return /^-?\d+(\.\d+)?$/.test(value) && !TEXT.test(key) ? [`${path} is "${value}"`] : [];
  if (typeof value !== "object" || value === null || USERS.has(key)) return [];
  // The elements of an array inherit its key. An array at the top level holds ids or rows.
  if (Array.isArray(value)) return value.flatMap((inner, n) => textNumbers(inner, `${path}[${n}]`, key === "" ? "ids" : key));
  return Object.entries(value).flatMap(([inner, of]) => textNumbers(of, `${path}.${inner}`, inner));
}

/** The commands that only read, in a form whose result is the same from the database and from a server. */
const READS = new Set(
  "jobs,job,explain,failed,queues,tasks,workflow list,workflow show,batch list,batch show,schedule list,schedule show,stats,overview,health,alerts,alerts --rules,token list,audit".split(
    ",",
  ),
);

/** The value without the fields that depend on when the command ran: the period over which failures are counted ends at that time. */
function withoutTimes(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, part: unknown) => (key === "countedTo" || key === "counts" ? null : part)));
}

it("every command prints JSON without numbers as text, and the same from the database as from a server", async () => {
  const read = new Set<string>();
  for (const { name, run: given } of walkedCommands(named)) {
    if (name === "backup" || name === "migrate" || name === "roles create") continue;
    // An earlier command has already retried this tenant's failed job.
    const run = name === "discard" ? ["discard", named.other.jobs.failed] : given;
    const local = await legwork([...run, "--json"], { DATABASE_URL: database.url });
    expect([0, 1], `${name}: ${local.stderr}`).toContain(local.code);
    expect(local.stderr, name).toBe("");
    const printed: unknown = JSON.parse(local.stdout);
    expect(textNumbers(printed), name).toEqual([]);
    if (!READS.has(name)) continue;
    const remote = await legwork([...run, "--json"], { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken });
    expect(withoutTimes(JSON.parse(remote.stdout)), name).toEqual(withoutTimes(printed));
    read.add(name);
  }
  expect([...read].toSorted()).toEqual([...READS].toSorted());
});

it("counts in JSON can be compared", async () => {
  const queues = JSON.parse((await legwork(["queues", "--json"], { DATABASE_URL: database.url })).stdout);
  expect(queues.find(({ name }: { name: string }) => name === "idle").pending).toBe(0);
  const overview = JSON.parse((await legwork(["overview", "--json"], { DATABASE_URL: database.url })).stdout);
  expect(overview).toMatchObject({ running: expect.any(Number), pending: expect.any(Number), failed: expect.any(Number) });
});

it("alerts are acknowledged and silenced through a server too", async () => {
  const run = async (...words: string[]): Promise<unknown> =>
    JSON.parse((await legwork([...words, "--json"], { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken })).stdout);
  const { id } = (await run("alerts", "--silence", "1h", "--reason", "a test")) as { id: string };
  expect(await run("alerts", "--end-silence", id)).toEqual({ id, ended: true });
  expect(await run("alerts", "--end-silence", id)).toEqual({ id, ended: false });
  expect(await run("pause", "mail")).toEqual({ queue: "mail", paused: true });
  expect(await run("resume", "mail")).toEqual({ queue: "mail", resumed: true });
  expect(await run("stop", "--all")).toEqual({ all: true, stopped: true });
  expect(await run("resume", "--all")).toEqual({ all: true, resumed: true });
  expect(await run("limit", "--queue", "mail", "--concurrency", "5")).toEqual({ queue: "mail", concurrency: 5 });
  expect(await run("schedule", "disable", named.acme.schedule)).toEqual({
    name: named.acme.schedule,
    enabled: false,
    disabled: expect.any(Boolean),
  });
});
