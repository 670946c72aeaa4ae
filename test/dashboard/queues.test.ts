import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { makeToken, rest, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const browser = testBrowser();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
  await database.pool.query("select graphile_worker.add_job('mail/send')");
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query(
    "insert into legwork_private.task_definitions (name, queue, description) values ('mail/send', 'mail', 'Sends one mail.')",
  );
});
afterAll(async () => {
  await server.stop();
});

async function enqueue(payload: unknown): Promise<string> {
  return (await database.pool.query("select legwork.enqueue('mail/send', $1) as id", [JSON.stringify(payload)])).rows[0].id;
}

describe("the queues page", () => {
  it("pauses a queue with a reason, which explains why its jobs are not running, and shows changes made elsewhere", async () => {
    const page = await browser.open(server.url, "/queues", restToken);
    await page.getByRole("button", { name: "Pause mail" }).click();
    await page.getByLabel("Reason (optional)").fill("provider is down");
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await page.getByText("Queue mail paused.").first().waitFor();
    const row = page.getByRole("row", { name: /^mail/ });
    await row.getByText("provider is down").waitFor();
    const id = await enqueue({});
    await row.getByRole("link", { name: "1", exact: true }).waitFor();
    const explained = await rest(server, "GET", `/jobs/${id}/explain`);
    expect(JSON.stringify(explained.body)).toContain("provider is down");
    await expectAccessible(page);
    await database.pool.query("select legwork.resume_queue('mail')");
    await until("the page shows it", async () => (await row.getByText("provider is down").count()) === 0);
    await database.pool.query("select legwork.cancel_job($1)", [id]);
  });

  it("opens queues whose names contain slashes, percent signs and other characters with a meaning in addresses", async () => {
    const names = ["a b/c?d&e#f%2F", "a b/c?d&e#f/", "50%", "<b>bold</b>", "é %25"];
    await database.pool.query(
      `select legwork_private.register_tasks((select jsonb_agg(jsonb_build_object('name', 'odd/' || n, 'queue', name))
       from unnest($1::text[]) with ordinality as named (name, n)))`,
      [names],
    );
    const page = await browser.open(server.url, "/queues", restToken);
    for (const name of names) {
      await page.getByRole("main").getByRole("link", { name, exact: true }).click();
      await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
      await page.getByText("No job of this queue is ready to run.").waitFor();
      await page.reload();
      await page.getByRole("button", { name: `Pause ${name}` }).waitFor();
      await page.goBack();
    }
  });

  it("undoes a pause", async () => {
    const page = await browser.open(server.url, "/queues/mail", restToken);
    await page.getByRole("button", { name: "Pause mail" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await page.getByText("No reason given.").waitFor();
    // The notice shows this, so the status below it does not.
    await page.getByText("No job of this queue is ready to run.").waitFor();
    expect(await page.getByText("no reason was given").count()).toBe(0);
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("button", { name: "Pause mail" }).waitFor();
    expect((await database.pool.query("select from legwork_private.pauses")).rowCount).toBe(0);
  });
});

/** Buttons that change something, which excludes those of charts and those that sort a table or change its density. */
const ACTIONS = "button:not(.table-sort, .density-switch, .charts *)";

describe("a queue's page", () => {
  it("adds a limit, edits it in place, reports an invalid value, and removes it", async () => {
    const page = await browser.open(server.url, "/queues/mail", restToken, { mayLog: /400/ });
    const limits = page.getByRole("region", { name: "Limits", exact: true });
    await limits.getByRole("button", { name: "Add limit" }).click();
    await limits.getByLabel("Type").selectOption("rate");
    await limits.getByLabel("Max starts").fill("5");
    await limits.getByLabel("Per", { exact: true }).fill("soon");
    await limits.getByLabel("Key (optional)").fill("user.id");
    await limits.getByRole("button", { name: "Save" }).click();
    await limits.getByRole("alert").getByText("expected a duration").first().waitFor();
    await limits.getByLabel("Per", { exact: true }).fill("1m");
    await page.keyboard.press("Enter");
    await limits.getByText("per minute").waitFor();
    await limits.getByRole("button", { name: "Edit limit: 5 per minute per user.id" }).click();
    await limits.getByLabel("Max starts").fill("7");
    await page.keyboard.press("Enter");
    await limits.getByText("7", { exact: true }).waitFor();
    await expectAccessible(page);
    const queue = (await rest(server, "GET", "/queues/mail")).body;
    expect(queue.limits).toEqual([{ kind: "rate", max: 7, per: "00:01:00", key: "user.id" }]);
    await limits.getByRole("button", { name: /^Remove limit/ }).click();
    await limits.getByText("No limits").waitFor();
  });

  it("shows the usage of a limit for each value of its key", async () => {
    await database.pool.query("select legwork.limit_concurrency(1, queue => 'mail', key => 'to')");
    for (const to of ["ann", "bob", "bob"]) await enqueue({ to });
    const page = await browser.open(server.url, "/queues/mail", restToken, { theme: "dark" });
    const uses = page.getByRole("region", { name: "Usage of 1 concurrent per to" });
    expect((await uses.getByRole("row", { name: /bob/ }).innerText()).replaceAll(/\s+/g, " ")).toBe("bob 1 of 1 1");
    await uses.getByRole("row", { name: /ann/ }).waitFor();
    await expectAccessible(page);
  });

  it("shows jobs as they start and end", async () => {
    await database.pool.query("select legwork.drop_limit('concurrency', queue => 'mail', key => 'to')");
    const page = await browser.open(server.url, "/queues/mail", restToken);
    const jobs = page.getByRole("region", { name: "Newest jobs" }).first();
    await jobs.getByText("pending").first().waitFor();
    await workerOver(database.url, {
      "mail/send.ts": `import { defineTask } from "legwork"; export default defineTask({ queue: "mail", run: async () => undefined });`,
    });
    await jobs.getByText("completed").first().waitFor();
    await until("no job is pending", async () => (await jobs.getByText("pending").count()) === 0);
    await page.getByRole("region", { name: "Throughput and latency" }).waitFor();
  });

  it("shows viewers and operators of one tenant no buttons for actions that would be rejected", async () => {
    for (const [role, tenant] of [
      ["viewer", null],
      ["operator", "acme"],
    ] as const) {
      const page = await browser.open(server.url, "/queues/mail", await makeToken(database, role, tenant));
      await page.getByText("No limits").waitFor();
      const content = page.getByRole("main");
      expect(await content.locator(ACTIONS).count()).toBe(0);
      await page.goto(`${server.url}/queues`);
      await page.getByRole("row", { name: /^mail/ }).waitFor();
      expect(await content.locator(ACTIONS).count()).toBe(0);
      // The health of a queue covers the jobs of all tenants.
      expect(await page.getByRole("columnheader", { name: "Health" }).count()).toBe(tenant === null ? 1 : 0);
    }
  });

  it("reports that a queue does not exist, and suggests a similar name", async () => {
    const page = await browser.open(server.url, "/queues/mial", restToken, { mayLog: /404/ });
    await page.getByRole("alert").getByText("Did you mean 'mail'?").waitFor();
  });
});
