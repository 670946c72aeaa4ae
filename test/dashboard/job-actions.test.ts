import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { restToken, startRest } from "../support/rest.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
const browser = testBrowser();
let server: Server;

const SCHEMA = {
  type: "object",
  properties: {
    to: { type: "string", minLength: 3, description: "Whom to write to." },
    copies: { type: "integer" },
    urgent: { type: "boolean" },
    kind: { enum: ["letter", "card"] },
    copy: { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }] },
    tags: { type: "array", items: { type: "string" } },
    address: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
  required: ["to", "kind"],
  additionalProperties: false,
};

beforeAll(async () => {
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  // A bulk action that a failed test has left running would change the jobs of the next test.
  await until(
    "no bulk action runs",
    async () => {
      const { rows } = await database.pool.query("select 1 from legwork_private.bulk_actions where finished_at is null");
      return rows.length === 0;
    },
    50_000,
  );
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(
    database.pool,
    "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.reruns, legwork_private.audit_entries",
  );
  await database.pool.query("select legwork_private.register_tasks($1)", [
    JSON.stringify([{ name: "mail/send", queue: "mail", payload_schema: SCHEMA }, { name: "report" }]),
  ]);
});

const states = async (): Promise<Record<string, number>> => {
  const { rows } = await database.pool.query("select state, count(*)::int as jobs from legwork.jobs group by 1");
  return Object.fromEntries(rows.map(({ state, jobs }) => [state, jobs]));
};

async function selectEverything(page: Page): Promise<void> {
  await page.getByRole("grid", { name: "Jobs" }).focus();
  await page.locator(".job-id a").first().waitFor();
  await page.keyboard.press("Control+a");
}

describe("bulk actions", () => {
  it(
    "10,000 failed jobs are retried, after a preview and with progress",
    async () => {
      await database.pool.query(
        `select legwork.enqueue_many((select jsonb_agg('{"task": "report"}'::jsonb) from generate_series(1, 10000)));
       select graphile_worker.permanently_fail_jobs((select array_agg(id) from graphile_worker._private_jobs), 'boom')`,
      );
      const page = await browser.open(server.url, "/jobs?state=failed", restToken);
      await selectEverything(page);
      await page.getByRole("button", { name: "Select all matching jobs" }).click();
      await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Retry" }).click();
      const dialog = page.getByRole("dialog", { name: "Retry all matching jobs?" });
      await dialog.getByText("This will retry 10,000 jobs.").waitFor();
      expect(await states()).toEqual({ failed: 10_000 });
      await dialog.getByRole("button", { name: "Retry 10,000 jobs" }).click();
      // It runs on the server, so the user can leave the page.
      await dialog.waitFor({ state: "detached" });
      await page.getByRole("link", { name: "Show progress" }).click();
      await page.getByRole("heading", { name: /^Bulk action \d+$/ }).waitFor();
      await page.getByRole("progressbar").waitFor();
      await expectAccessible(page);
      await page.getByText("10,000 of 10,000 jobs").waitFor({ timeout: scaled(50_000) });
      await page.getByText("All matching jobs have been handled.").waitFor({ timeout: scaled(20_000) });
      expect(await states()).toEqual({ pending: 10_000 });
      await page.getByRole("link", { name: "All bulk actions" }).click();
      await page.getByText("Retry failed jobs").first().waitFor();
      await expectAccessible(page);
      const { rows } = await database.pool.query(
        "select sum(count)::int as jobs, min(surface) as surface from legwork.audit_log where operation = 'end_bulk_action'",
      );
      expect(rows).toEqual([{ jobs: 10_000, surface: "dashboard" }]);
    },
    scaled(120_000),
  );

  it("if no bulk route supports the filter, jobs are collected from the list and no other job is changed", async () => {
    await database.pool.query("select legwork.enqueue('report', jsonb_build_object('n', n % 3)) from generate_series(1, 9) n");
    const page = await browser.open(server.url, "/jobs?payload=n%3A1", restToken);
    await selectEverything(page);
    await page.getByText("3 selected").waitFor();
    await page.getByRole("region", { name: "Selection" }).getByRole("button", { name: "Cancel" }).click();
    await page.getByLabel("Reason (optional)").fill("not wanted");
    await page.getByRole("button", { name: "Cancel 3 jobs" }).click();
    await until("they are cancelled", async () => (await states()).cancelled === 3);
    const { rows } = await database.pool.query(
      "select distinct payload ->> 'n' as n, error from legwork.jobs where state = 'cancelled'",
    );
    expect(rows).toEqual([{ n: "1", error: expect.stringContaining("not wanted") }]);
  });

  it("undoing a change of priority restores the previous priority of each job", async () => {
    await database.pool.query("select legwork.enqueue('report', priority => n) from generate_series(1, 3) n");
    const priorities = async (): Promise<number[]> =>
      (await database.pool.query("select priority from legwork.jobs order by id")).rows.map(({ priority }) => priority);
    const page = await browser.open(server.url, "/jobs", restToken);
    await selectEverything(page);
    await page.getByRole("button", { name: "Reprioritize" }).click();
    await page.getByRole("dialog").getByLabel("Priority").fill("-20");
    await page.getByRole("button", { name: "Reprioritize 3 jobs" }).click();
    await page.getByText("3 jobs reprioritized.").first().waitFor();
    expect(await priorities()).toEqual([-20, -20, -20]);
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("Priority of 3 jobs restored.").first().waitFor();
    expect(await priorities()).toEqual([1, 2, 3]);
  });

  it("each finished job is rerun once", async () => {
    await database.pool.query("select legwork.enqueue('report', jsonb_build_object('n', n)) from generate_series(1, 4) n");
    await database.pool.query("select graphile_worker.complete_jobs((select array_agg(id) from graphile_worker._private_jobs))");
    const page = await browser.open(server.url, "/jobs?state=completed", restToken);
    await selectEverything(page);
    await page.getByRole("button", { name: "Rerun" }).click();
    await expectAccessible(page);
    await page.getByRole("button", { name: "Rerun 4 jobs" }).click();
    await page.getByText("4 jobs rerun.").first().waitFor();
    expect(await states()).toEqual({ completed: 4, pending: 4 });
  });
});

describe("the enqueue form", () => {
  it("is generated from the task's schema, shows errors next to their fields, and opens the new job", async () => {
    const page = await browser.open(server.url, "/jobs", restToken, { mayLog: /422/ });
    await page.getByRole("button", { name: "Enqueue job" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Task").selectOption("mail/send");
    await dialog.getByLabel("to", { exact: true }).fill("x");
    await dialog.getByRole("button", { name: "Enqueue" }).click();
    await until(
      "the field is marked as invalid",
      async () => (await dialog.getByLabel("to", { exact: true }).getAttribute("aria-invalid")) === "true",
    );
    await expectAccessible(page);
    await dialog.getByLabel("to", { exact: true }).fill("ann");
    await dialog.getByLabel("kind", { exact: true }).selectOption("card");
    await dialog.getByLabel("copies (optional)").fill("2");
    await dialog.getByLabel("urgent (optional)").selectOption("true");
    await dialog.getByLabel("Type of copy").selectOption("list");
    await dialog.getByRole("button", { name: "Set copy" }).click();
    await dialog.getByRole("button", { name: "Add to copy" }).click();
    await dialog.getByLabel("copy 1", { exact: true }).fill("bob");
    await dialog.getByRole("button", { name: "Set tags" }).click();
    await dialog.getByRole("button", { name: "Add to tags" }).click();
    await dialog.getByLabel("tags 1", { exact: true }).fill("red");
    await dialog.getByRole("button", { name: "Set address" }).click();
    await dialog.getByLabel("city").fill("Ulm");
    await dialog.getByText("Options").click();
    await dialog.getByLabel("Priority").fill("-3");
    await dialog.getByLabel("Correlation id").fill("order-1");
    await dialog.getByRole("button", { name: "Enqueue" }).click();
    await page.getByRole("heading", { level: 1, name: /^Job \d+$/ }).waitFor();
    const { rows } = await database.pool.query("select payload, priority, correlation_id from legwork.jobs");
    expect(rows).toEqual([
      {
        payload: { to: "ann", kind: "card", copies: 2, urgent: true, copy: ["bob"], tags: ["red"], address: { city: "Ulm" } },
        priority: -3,
        correlation_id: "order-1",
      },
    ]);
  });

  it("interprets the start time in the page's time zone", async () => {
    const page = await browser.open(server.url, "/jobs?new=report", restToken);
    await page.getByText("Options").click();
    await page.getByLabel("Start", { exact: true }).fill("2099-06-01T18:00");
    await page.getByRole("button", { name: "Enqueue", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: /^Job \d+$/ }).waitFor();
    const { rows } = await database.pool.query("select run_at from legwork.jobs");
    // The browser is in Berlin.
    expect(rows).toEqual([{ run_at: new Date("2099-06-01T16:00Z") }]);
  });

  it("falls back to JSON if the task declares no schema, and has its own URL", async () => {
    const page = await browser.open(server.url, "/jobs?new=report", restToken, { theme: "dark" });
    const editor = page.getByLabel("Payload as JSON");
    await editor.fill("{ no");
    await page.getByText("This is not valid JSON").waitFor();
    expect(await page.getByRole("button", { name: "Enqueue", exact: true }).isDisabled()).toBe(true);
    await expectAccessible(page);
    await editor.fill('{"big": [1, {"a": null}]}');
    await page.getByRole("button", { name: "Enqueue", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: /^Job \d+$/ }).waitFor();
    expect((await database.pool.query("select payload from legwork.jobs")).rows).toEqual([
      { payload: { big: [1, { a: null }] } },
    ]);
  });
});
