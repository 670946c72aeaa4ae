import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { progressLine } from "../../src/cli/progress-bar.ts";
import { type CliResult, legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { configure, TASKS } from "../support/job.ts";
import { restToken, startRest } from "../support/rest.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();
let folder: string;

beforeEach(async () => {
  folder = await directoryOf({});
  configure({ LEGWORK_ALLOWED_FOLDERS: folder });
  await database.pool.query(`
    drop schema if exists shop cascade;
    create schema shop;
    create table shop.items (id int primary key, name text);
    insert into shop.items select n, 'item ' || n from generate_series(1, 100) n`);
});

const run = (...parameters: string[]): Promise<CliResult> => legwork(parameters, { DATABASE_URL: database.url });

async function names(table = "shop.items"): Promise<number> {
  return (await database.pool.query(`select count(distinct name)::int as names from ${table}`)).rows[0].names;
}

describe("legwork backup and legwork restore", () => {
  it("write tables to verified files and restore them", async () => {
    await workerOver(database.url, [TASKS]);
    const written = await run("backup", "shop.items", "--folder", folder, "--name", "daily", "--compression", "9");
    expect(written).toMatchObject({ code: 0, stderr: "" });
    expect(written.stdout).toMatch(/shop\.items\s+100\s+[\d,]+\s+[\d,]+/);
    const [backup = ""] = await readdir(folder);
    expect(written.stdout).toContain(`Backup ${backup} is complete and has been verified by reading it back.`);
    expect(JSON.parse(await readFile(join(folder, backup, "manifest.json"), "utf8"))).toMatchObject({ name: "daily" });

    // A restore refuses to delete existing rows unless an option allows it.
    const refused = await run("restore", "--folder", folder, "--name", "daily");
    expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("shop.items has rows.") });
    expect(refused.stderr).toMatch(/^legwork: Job \d+ has failed: .*\nhint: `legwork job \d+` shows its attempts and log\.\n$/);

    await database.pool.query("update shop.items set name = 'lost'");
    const restored = await run("restore", "--folder", folder, "--name", "daily", "--replace");
    expect(restored).toMatchObject({ code: 0, stderr: "" });
    expect(restored.stdout).toContain(`Restored backup ${backup} of `);
    expect(await names()).toBe(100);

    await database.pool.query("create table shop.before (like shop.items)");
    const beside = await run("restore", "--folder", folder, "--backup", backup, "--table", "shop.items=shop.before", "--json");
    expect(JSON.parse(beside.stdout)).toMatchObject({
      state: "completed",
      error: null,
      result: { backup, tables: [{ table: "shop.before", from: "shop.items", rows: 100 }], verified: true },
    });
    expect(await names("shop.before")).toBe(100);
  });

  it("work through a server too, and report a folder that is not allowed", async () => {
    await workerOver(database.url, [TASKS]);
    const server = await startRest(database);
    try {
      const remote = { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken };
      const written = await legwork(["backup", "shop.items", "--folder", folder, "--json"], remote);
      expect(written).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(written.stdout)).toMatchObject({ state: "completed", result: { tables: [{ rows: 100 }] } });
      const elsewhere = await legwork(["backup", "shop.items", "--folder", "/etc/elsewhere", "--json"], remote);
      expect(elsewhere).toMatchObject({ code: 1, stderr: expect.stringContaining("LEGWORK_ALLOWED_FOLDERS") });
      expect(JSON.parse(elsewhere.stdout)).toMatchObject({ state: "failed", result: null });
    } finally {
      await server.stop();
    }
  });

  it("give up if no worker starts the job, and the job does not start later either", async () => {
    await (await workerOver(database.url, [TASKS])).stop();
    const result = await run("restore", "--folder", folder, "--replace", "--start-within", "1s");
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toMatch(/^legwork: Job \d+ is waiting: No Legwork worker is running\./);
    expect(result.stderr).toMatch(/Job \d+ did not start within 1 second: .* \(LW504\)/);
    const { rows } = await database.pool.query("select state from legwork.jobs order by id desc limit 1");
    expect(rows).toEqual([{ state: "cancelled" }]);
  });

  it.each([
    ["no tables", ["backup", "--folder", "/x"]],
    ["no folder", ["restore"]],
    ["an invalid pair", ["restore", "--folder", "/x", "--table", "a=b=c"]],
    ["an invalid duration", ["restore", "--folder", "/x", "--start-within", "soon"]],
  ])("exit with 2 for %s", async (_what, parameters) => {
    expect(await run(...parameters)).toMatchObject({ code: 2, stdout: "" });
  });
});

it("the progress line fits the terminal's width", () => {
  expect(progressLine(25, "shop.items", 80)).toBe(`[${"#".repeat(6)}${" ".repeat(18)}]  25%  shop.items`);
  expect(progressLine(null, null, 80)).toBe(`[${" ".repeat(24)}]   0%`);
  expect(progressLine(100, "x".repeat(200), 60)).toHaveLength(59);
});
