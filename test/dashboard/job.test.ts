import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const browser = testBrowser();
let server: Server;

beforeAll(async () => {
  await database.pool.query("create table signs (name text)");
  server = await startRest(database, {
    jobLinks: { Trace: "https://tempo.example/trace/{traceId}", Errors: "https://sentry.example/?query={correlationId}" },
  });
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

/** Reports its progress, and continues each time a row with the expected name appears in the table signs. */
const SLOW = `import { defineTask } from "legwork";
  const sign = async (sql, name) => { while ((await sql\`select from signs where name = \${name}\`).length === 0) await new Promise((go) => setTimeout(go, 20)); };
  export default defineTask({
    description: "Continues when it reads a sign.",
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

describe("the job page", () => {
  it("follows a running job: its progress, logs, end, result and child jobs", async () => {
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
    await card(page, "Result").getByRole("button", { name: "sum: 3" }).waitFor();
    await page.locator(".job-lead").getByText("completed").waitFor();
    const child = await until(
      "it has enqueued another",
      async () => await one("select id from legwork.jobs where parent_id = $1", [id]),
    );
    const timeline = card(page, "Timeline");
    // Checks the job's log lines, those of one part of the timeline, and the page of a child job.
    await timeline.getByRole("button", { name: "Waiting for a worker" }).click();
    await card(page, "Logs").getByText("0 log lines of Waiting for a worker").waitFor();
    await timeline.getByRole("button", { name: "Attempt 1" }).click();
    await card(page, "Logs").getByText("2 log lines of Attempt 1").waitFor();
    await card(page, "Logs").getByRole("button", { name: "Show all lines" }).click();
    await timeline
      .getByRole("row", { name: `Job ${child.id} (plain)` })
      .getByRole("link")
      .click();
    await card(page, "Origin").getByText(`Enqueued by job ${id}`).waitFor();
    await timeline.getByRole("button", { name: `Enqueued by job ${id}` }).waitFor();
  });

  it("explains why a job is waiting, and has a button that removes the reason", async () => {
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
    await why.getByRole("button", { name: "Raise limit to 2" }).waitFor();
    await why.getByRole("link", { name: first, exact: true }).click();
    await page.getByRole("heading", { level: 1, name: `Job ${first}` }).waitFor();
  });

  it("shows the error with its stack trace, and reruns the job with an edited payload while keeping its redacted values", async () => {
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

  it("shows the beginning of an error of 16 kB, and all of it on request", async () => {
    const id = await enqueue("plain");
    await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], $2)", [
      id,
      "The server closed the connection. ".repeat(470),
    ]);
    const page = await open(`/jobs/${id}`);
    const error = page.getByRole("region", { name: /^Error/ });
    const button = error.getByRole("button", { name: /^Show all [\d,]+ characters$/ });
    await button.waitFor();
    expect((await error.innerText()).length).toBeLessThan(1_200);
    expect((await card(page, "Timeline").boundingBox())?.y).toBeLessThan(1_000);
    await button.click();
    await button.waitFor({ state: "detached" });
    expect((await error.innerText()).length).toBeGreaterThan(15_000);
  });

  it("says that a job which was cancelled before its first attempt never started", async () => {
    const id = await enqueue("plain");
    const page = await open(`/jobs/${id}`);
    const started = card(page, "Facts").locator("dt:text-is('Started') + dd");
    await started.getByText("not yet").waitFor();
    await database.pool.query("select legwork.cancel_job($1)", [id]);
    await started.getByText("never").waitFor();
  });

  it("shows every digit of a number in a payload, and keeps the digits in a rerun", async () => {
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

  it("cancels a job with a reason, and changes a priority and undoes the change", async () => {
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
    const timeline = card(page, "Timeline");
    await timeline.getByRole("row", { name: /^Cancelled by legwork up.*not wanted/ }).waitFor();
    await timeline.getByRole("row", { name: /^Priority changed from 0 to 12/ }).waitFor();
  });

  it("shows the reasons for waiting, the attempts and a retry on one axis, shortens a day of waiting, and zooms", async () => {
    const { id } = await one("select legwork.enqueue('plain') as id");
    await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1]::bigint[], 'boom')", [id]);
    await database.pool.query("update graphile_worker._private_jobs set created_at = now() - interval '1 day' where id = $1", [
      id,
    ]);
    await database.pool.query(
      `update legwork_private.finished_jobs set created_at = now() - interval '1 day', run_at = now() - interval '2 hours', finished_at = now() - interval '1 hour',
         attempts = 2 where id = $1`,
      [id],
    );
    await database.pool.query(
      `insert into legwork_private.failed_attempts (job_id, attempt, task, queue, error_name, error_message, started_at, failed_at, retry_at, run_at)
       select $1, n, 'plain', 'mail', 'Error', 'boom', now() - interval '1 hour' - (3 - n) * interval '10 seconds',
         now() - interval '1 hour' - (3 - n) * interval '10 seconds' + interval '4 seconds',
         case n when 1 then now() - interval '1 hour' - interval '10 seconds' end, now() - interval '1 hour' - (3 - n) * interval '10 seconds'
       from generate_series(1, 2) n`,
      [id],
    );
    const page = await open(`/jobs/${id}`);
    const timeline = card(page, "Timeline");
    await timeline.getByRole("row", { name: /^Due later .* 22 h 59 min/ }).waitFor();
    await timeline.getByRole("row", { name: /^Retry delay after attempt 1/ }).waitFor();
    await expectAccessible(page);
    const width = async (label: string): Promise<number> =>
      (await timeline.getByRole("row", { name: label }).locator(".waterfall-bar").boundingBox())?.width ?? 0;
    const table = timeline.getByRole("region", { name: "Timeline, table" });
    const short = await width("Attempt 2");
    expect(short).toBeGreaterThan(30);
    await timeline.getByLabel("Shorten long waits").uncheck();
    await until("a day of waiting is drawn to scale", async () => (await width("Attempt 2")) < 4);
    await timeline.getByLabel("Shorten long waits").check();
    await until("it is short again", async () => (await width("Attempt 2")) === short);
    await table.focus();
    await page.keyboard.press("+");
    await until("the axis is zoomed", async () => await timeline.getByRole("button", { name: "Show everything" }).isEnabled());
    await page.keyboard.press("0");
    await until("it shows everything", async () => (await width("Attempt 2")) === short);
    const axis = (await timeline.locator(".waterfall-axis").boundingBox())!;
    await page.mouse.move(axis.x + axis.width * 0.6, axis.y + 5);
    await page.mouse.down();
    await page.mouse.move(axis.x + axis.width - 1, axis.y + 5);
    await page.mouse.up();
    await until("the dragged part is shown", async () => (await width("Attempt 2")) > short * 1.5);
    await page.getByRole("button", { name: "Retry", exact: true }).click();
    await timeline.getByRole("row", { name: /^Retried by legwork up/ }).waitFor();
  });

  it(
    "folds, searches and copies several megabytes of JSON, filters jobs by a value, and compares a rerun's payload with the original",
    async () => {
      const payload = {
        user: { id: 4711, name: "ann" },
        order: "9007199254740993",
        big: Array.from({ length: 20_000 }, (_, n) => ({ n, text: `item ${n} of a long list` })),
      };
      const { id } = await one("select legwork.enqueue('plain', $1) as id", [
        JSON.stringify(payload).replace('"9007199254740993"', "9007199254740993"),
      ]);
      await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1]::bigint[], 'boom')", [id]);
      const again = (await one(`select legwork.rerun_job($1, '{"user": {"id": 4712, "name": "ann"}}') as id`, [id])).id;
      const page = await open(`/jobs/${id}`);
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      const tree = card(page, "Payload");
      await tree.getByRole("button", { name: "order: 9007199254740993" }).waitFor({ timeout: scaled(60_000) });
      await tree.getByRole("button", { name: "big", exact: true }).click();
      await tree.getByRole("button", { name: "Show 1,000 more" }).waitFor();
      await tree.getByRole("searchbox", { name: "Find in payload" }).fill("item 19999 of");
      await tree.getByText("1 of 1").waitFor();
      await page.keyboard.press("Enter");
      await tree.getByRole("button", { name: 'text: "item 19999 of a long list"' }).waitFor();
      await tree.getByRole("button", { name: "Copy path" }).click();
      await tree.getByRole("button", { name: "Copied" }).waitFor();
      expect(await page.evaluate("navigator.clipboard.readText()")).toBe("big.19999.text");
      await tree.getByRole("button", { name: "Collapse all" }).click();
      await tree.getByRole("button", { name: "user", exact: true }).click();
      await tree.getByRole("button", { name: "id: 4711" }).click();
      await expectAccessible(page);
      await tree.getByRole("link", { name: "Filter jobs by this value" }).click();
      await page.getByRole("link", { name: id, exact: true }).waitFor();
      expect(new URL(page.url()).search).toBe("?payload=user.id%3A4711");
      await page.goto(`${server.url}/jobs/${again}`);
      await tree.getByLabel(`Changes from job ${id}`).check();
      await tree.getByRole("row", { name: "user.id 4711 4712" }).waitFor();
      await tree.getByRole("row", { name: "order 9007199254740993 absent" }).waitFor();
    },
    scaled(90_000),
  );

  it("keeps the trace id of an ended job, and links to the trace and to other systems", async () => {
    const [trace, span] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
    const { id } = await one(
      `select set_config('legwork.traceparent', $1, true), legwork.enqueue('plain', correlation_id => 'order 7') as id`,
      [`00-${trace}-${span}-01`],
    );
    expect(await one("select trace_id from legwork.jobs where id = $1", [id])).toEqual({ trace_id: trace });
    await database.pool.query("select graphile_worker.complete_jobs(array[$1]::bigint[])", [id]);
    expect(await one("select trace_id from legwork.jobs where id = $1", [id])).toEqual({ trace_id: trace });
    const page = await open(`/jobs/${id}`);
    const facts = card(page, "Facts");
    expect(await facts.getByRole("link", { name: "Trace" }).getAttribute("href")).toBe(`https://tempo.example/trace/${trace}`);
    expect(await facts.getByRole("link", { name: "Errors" }).getAttribute("href")).toBe(
      "https://sentry.example/?query=order%207",
    );
    await page.goto(`${server.url}/jobs/${await enqueue("plain")}`);
    await facts.waitFor();
    expect(await facts.getByRole("link", { name: "Trace" }).count()).toBe(0);
  });

  it("asks for confirmation when a key retries, cancels or edits a job, and copies the action as SQL, a command or a curl request", async () => {
    const id = await enqueue("plain", {}, ", run_at => now() + interval '1 hour'");
    const page = await open(`/jobs/${id}`);
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const copied = async (name: "SQL" | "curl"): Promise<string> => {
      await page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
      const start = { SQL: "select", curl: "curl" }[name];
      return await until("the text is in the clipboard", async () => {
        const text = String(await page.evaluate("navigator.clipboard.readText()"));
        return text.startsWith(start) ? text : undefined;
      });
    };
    await page.getByRole("button", { name: "Cancel job" }).waitFor();
    await page.keyboard.press("c");
    await page.getByRole("dialog", { name: `Cancel job ${id}?` }).waitFor();
    await page.getByRole("textbox", { name: "Reason (optional)" }).fill("it's wrong");
    expect(await copied("SQL")).toBe(`select legwork.cancel_job(${id}, 'it''s wrong');`);
    expect(await copied("curl")).toContain(`curl -X POST ${server.url}/api/v1/jobs/${id}/cancel `);
    await page.keyboard.press("Escape");
    await page.keyboard.press("r");
    const start = page.getByRole("dialog", { name: `Start job ${id} now?` });
    await start.waitFor();
    await expectAccessible(page);
    await start.getByRole("button", { name: "Start now" }).click();
    await page.locator(".job-lead").getByText("pending").waitFor();
    await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1]::bigint[], 'boom')", [id]);
    await page.getByRole("button", { name: "Retry with changes" }).waitFor();
    await page.keyboard.press("e");
    await page.getByRole("dialog", { name: `Retry job ${id} with changes` }).waitFor();
  });

  it("asks for redacted values that are no longer stored before it reruns a job", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "secret", "redact": ["password"]}]')`);
    const id = await enqueue("secret", { password: "hunter22" });
    await database.pool.query("select graphile_worker.complete_jobs(array[$1]::bigint[])", [id]);
    const page = await open(`/jobs/${id}`, restToken, { mayLog: /409/ });
    await page.getByRole("button", { name: "Rerun", exact: true }).click();
    await page.getByRole("dialog").getByText("enter them again").waitFor();
    await page.getByLabel("Payload as JSON").fill('{"password": "other"}');
    await page.getByRole("dialog").getByRole("button", { name: "Rerun with changes" }).click();
    await card(page, "Origin").getByText("Rerun of job").waitFor();
  });

  it("shows a message if a job does not exist or belongs to another tenant", async () => {
    const id = await enqueue("plain", {}, ", tenant => 'other'");
    const page = await open("/jobs/999999", restToken, { mayLog: /404/, theme: "dark" });
    await page.getByText("No job has id 999999.").waitFor();
    await expectAccessible(page);
    const viewer = await open(`/jobs/${id}`, await makeToken(database, "viewer", "acme"), { mayLog: /404/ });
    await viewer.getByText(`No job has id ${id}.`).waitFor();
    await page.goto(`${server.url}/jobs/nonsense`);
    await page.getByText("ids are whole numbers").waitFor();
  });

  it("shows a viewer only the buttons that the token permits, and is accessible in the dark theme and on a phone", async () => {
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
