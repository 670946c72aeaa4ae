import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const browser = testBrowser();
let server: Server;

beforeAll(async () => {
  await database.pool.query("create table signs (name text)");
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(
    database.pool,
    "signs, legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.pauses, legwork_private.limits",
  );
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "plain", "queue": "mail"}]')`);
});

const one = async (text: string, values: unknown[] = []) => (await database.pool.query(text, values)).rows[0];
const enqueue = async (task: string, payload: unknown = {}, options = ""): Promise<string> =>
  (await one(`select legwork.enqueue($1, $2${options}) as id`, [task, JSON.stringify(payload)])).id;
const sign = async (name: string): Promise<unknown> => await database.pool.query("insert into signs values ($1)", [name]);

const open = async (path: string, token = restToken, options = {}): Promise<Page> =>
  await browser.open(server.url, path, token, options);
const card = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

/** Reports its progress, and continues at each sign. */
const SLOW = `import { defineTask } from "legwork";
  const sign = async (sql, name) => { while ((await sql\`select from signs where name = \${name}\`).length === 0) await new Promise((go) => setTimeout(go, 20)); };
  export default defineTask({
    description: "Continues at signs.",
    redact: ["password"],
    run: async (payload, { sql, progress, log, enqueue }) => {
      log.info("It begins.");
      await progress(40, "halfway");
      await sign(sql, "log");
      log.warn("A line that comes later.");
      await sign(sql, "end");
      await enqueue("plain");
      return { sum: 3 };
    },
  });`;

describe("the page of a job", () => {
  it("follows a running job: progress, logs, its end, its result and what it enqueued", async () => {
    await workerOver(database.url, { "slow.ts": SLOW, "plain.ts": "export default async () => {};" });
    const id = await enqueue("slow", { n: 1 });
    const page = await open(`/jobs/${id}`);
    await page.getByText("40%").waitFor();
    await page.getByText("halfway").waitFor();
    await card(page, "Logs").getByText("It begins.").waitFor();
    await card(page, "Status").getByText("It is running").waitFor();
    await expectAccessible(page);
    await sign("log");
    await card(page, "Logs").getByText("A line that comes later.").waitFor();
    await sign("end");
    await card(page, "Result").getByText('"sum": 3').waitFor();
    await page.locator(".job-lead").getByText("completed").waitFor();
    const child = await until(
      "it has enqueued another",
      async () => await one("select id from legwork.jobs where parent_id = $1", [id]),
    );
    await card(page, "Origin")
      .getByRole("link", { name: `job ${child.id}` })
      .click();
    await card(page, "Origin").getByText(`Enqueued by job ${id}`).waitFor();
    await card(page, "Timeline").getByText("Attempt 1").waitFor();
  });

  it("explains why a job waits, and removes the reason with a button", async () => {
    await database.pool.query("select legwork.pause_queue('mail', 'provider is down')");
    const id = await enqueue("plain", {}, ", run_at => now() + interval '1 hour'");
    const page = await open(`/jobs/${id}`);
    const why = card(page, "Why it is not running");
    await why.getByText("provider is down").waitFor();
    await why.getByText("It is due at").waitFor();
    await expectAccessible(page);
    await why.getByRole("button", { name: "Resume queue" }).click();
    await until(
      "the queue is resumed",
      async () => (await database.pool.query("select from legwork_private.pauses")).rowCount === 0,
    );
    await why.getByRole("button", { name: "Start now" }).click();
    await page.locator(".job-lead").getByText("pending").waitFor();
    await why.getByText("No Legwork worker is running").waitFor();
  });

  it("links to the jobs that block another one", async () => {
    await database.pool.query("select legwork.limit_concurrency(1, task => 'plain')");
    const [first, second] = [await enqueue("plain"), await enqueue("plain")];
    const page = await open(`/jobs/${second}`);
    const why = card(page, "Why it is not running");
    await why.getByRole("link", { name: "View limits of the task" }).waitFor();
    await why.getByRole("link", { name: first, exact: true }).click();
    await page.getByRole("heading", { level: 1, name: `Job ${first}` }).waitFor();
  });

  it("shows the error with its stack trace, and reruns the job with another payload except for redacted values", async () => {
    const worker = await workerOver(database.url, {
      "fails.ts": `import { defineTask } from "legwork";
        export default defineTask({ redact: ["password"], retry: { attempts: 1 }, run: async (payload) => { if (payload.to !== "bob") throw new TypeError("no such user " + payload.to); } });`,
    });
    const id = await enqueue("fails", { to: "ann", password: "hunter22" }, ", tenant => 'acme', correlation_id => 'order-7'");
    await until(
      "it has failed",
      async () => (await one("select state from legwork.jobs where id = $1", [id])).state === "failed",
    );
    await worker.stop();
    const page = await open(`/jobs/${id}`);
    await card(page, "Error of attempt 1").getByText("no such user ann").first().waitFor();
    await page.getByText("Stack trace", { exact: true }).click();
    await page
      .getByRole("region", { name: "stack trace" })
      .getByText(/at .*fails/)
      .waitFor();
    expect(await card(page, "Payload").textContent()).toContain("[redacted]");
    await page.getByRole("button", { name: "Retry with changes" }).click();
    const editor = page.getByLabel("Payload as JSON");
    await editor.fill((await editor.inputValue()).replace("ann", "bob"));
    await expectAccessible(page);
    await page.getByRole("dialog").getByRole("button", { name: "Retry with changes" }).click();
    const made = await until(
      "the new job is there",
      async () => await one("select id from legwork.jobs where parent_id = $1", [id]),
    );
    await page.getByRole("heading", { level: 1, name: `Job ${made.id}` }).waitFor();
    await card(page, "Origin").getByText(`Rerun of job ${id}`).waitFor();
    await card(page, "Origin").getByText("Correlation id order-7").waitFor();
    const kept = await database.pool.query("select id, payload from graphile_worker._private_jobs");
    expect(kept.rows).toEqual([{ id: made.id, payload: { to: "bob", password: "hunter22" } }]);
    await page.goto(`${server.url}/jobs/${id}`);
    await page.getByText("This job was discarded").waitFor();
    expect(await page.getByRole("button", { name: "Retry", exact: true }).count()).toBe(0);
  });

  it("shows every digit of a payload, and keeps it in a rerun", async () => {
    const { id } = await one(
      `select legwork.enqueue('plain', '{"order": 12345678901234567890, "huge": 1e400, "half": 0.5}') as id`,
    );
    await database.pool.query("select legwork.cancel_job($1)", [id]);
    const page = await open(`/jobs/${id}`);
    await card(page, "Payload").getByText("12345678901234567890").waitFor();
    await card(page, "Payload")
      .getByText(/10{400}/)
      .waitFor();
    await page.getByRole("button", { name: "Rerun with changes" }).click();
    const editor = page.getByLabel("Payload as JSON");
    await editor.fill((await editor.inputValue()).replace("12345678901234567890", "12345678901234567891"));
    await page.getByRole("dialog").getByRole("button", { name: "Rerun with changes" }).click();
    const made = await until(
      "the new job is there",
      async () => await one("select id from legwork.jobs where parent_id = $1", [id]),
    );
    expect(await one("select payload::text from legwork.jobs where id = $1", [made.id])).toEqual({
      payload: expect.stringMatching(/"half": ?0\.5,.*"huge": ?10{400},.*"order": ?12345678901234567891}/),
    });
  });

  it("cancels a job with a reason, changes a priority and undoes that", async () => {
    const id = await enqueue("plain", {}, ", run_at => now() + interval '1 hour'");
    const page = await open(`/jobs/${id}`);
    await page.getByRole("button", { name: "Change priority" }).click();
    await page.getByRole("dialog").getByLabel("Priority").fill("12");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText(`Job ${id} now has priority 12.`).first().waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText(`Job ${id} now has priority 0.`).first().waitFor();
    await page.getByRole("button", { name: "Cancel job" }).click();
    await page.getByRole("textbox", { name: "Reason (optional)" }).fill("not wanted");
    await page.getByRole("dialog").getByRole("button", { name: "Cancel job" }).click();
    await card(page, "How it ended").getByText("not wanted").waitFor();
    await page.getByRole("button", { name: "Rerun", exact: true }).waitFor();
    await card(page, "Origin")
      .getByText(/cancel job by .* \(dashboard\)/)
      .waitFor();
  });

  it("refuses to rerun a job with redacted values that are no longer stored, and asks for them", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "secret", "redact": ["password"]}]')`);
    const id = await enqueue("secret", { password: "hunter22" });
    await database.pool.query("select graphile_worker.complete_jobs(array[$1]::bigint[])", [id]);
    const page = await open(`/jobs/${id}`, restToken, { mayLog: /409/ });
    await page.getByRole("button", { name: "Rerun", exact: true }).click();
    await page.getByRole("dialog").getByText("enter them again").waitFor();
    await page.getByLabel("Payload as JSON").fill('{"password": "other"}');
    await page.getByRole("dialog").getByRole("button", { name: "Rerun with changes" }).click();
    await page.getByText("Rerun of").waitFor();
  });

  it("says when a job does not exist or belongs to another tenant", async () => {
    const id = await enqueue("plain", {}, ", tenant => 'other'");
    const page = await open("/jobs/999999", restToken, { mayLog: /404/, theme: "dark" });
    await page.getByText("No job has id 999999.").waitFor();
    await expectAccessible(page);
    const viewer = await open(`/jobs/${id}`, await makeToken(database, "viewer", "acme"), { mayLog: /404/ });
    await viewer.getByText(`No job has id ${id}.`).waitFor();
    await page.goto(`${server.url}/jobs/nonsense`);
    await page.getByText("ids are whole numbers").waitFor();
  });

  it("shows a viewer no more buttons than the token has rights, also in the dark theme and on a phone", async () => {
    const id = await enqueue("plain", {}, ", run_at => now() + interval '1 hour', tenant => 'acme'");
    const page = await open(`/jobs/${id}`, await makeToken(database, "viewer", "acme"), { theme: "dark", width: 390 });
    await card(page, "Why it is not running").getByText("It is due at").waitFor();
    for (const name of ["Cancel job", "Start now", "Change priority"]) {
      expect(await page.getByRole("button", { name }).count()).toBe(0);
    }
    await expectAccessible(page);
    expect(
      await page.locator("html").evaluate((root) => (root as unknown as { scrollWidth: number }).scrollWidth),
    ).toBeLessThanOrEqual(390);
  });
});
