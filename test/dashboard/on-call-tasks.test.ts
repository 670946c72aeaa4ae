// Common tasks of an on-call engineer. Each one starts at the overview, and the number of clicks that it takes is counted.
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { type OpenOptions, testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { HandWorker } from "../support/hand-worker.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
const browser = testBrowser();
const worker = new HandWorker("by-hand");
let server: Server;
/** The number of clicks for each task, for the report at the end. */
const taken: { task: string; clicks: number }[] = [];

beforeAll(async () => {
  server = await startRest(database);
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "mail/send", "queue": "mail"}, {"name": "report"}, {"name": "load"}]')`,
  );
});
afterAll(async () => {
  await server.stop();
  console.log(taken.map(({ task, clicks }) => `${String(clicks).padStart(2)}  ${task}`).join("\n"));
});
beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.reruns");
});

/** Opens the overview and counts the clicks from there on: mouse clicks, and two for each choice in a native select list. Keys are not counted. */
async function fromOverview(
  token = restToken,
  options: OpenOptions = {},
): Promise<{ page: Page; clicks: () => Promise<number> }> {
  const page = await browser.open(server.url, "/", token, options);
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.evaluate(`
    globalThis.clicks = 0;
    addEventListener("click", (event) => { if (event.isTrusted && event.detail > 0) globalThis.clicks += 1; }, true);
    addEventListener("change", ({ target }) => { if (target.tagName === "SELECT") globalThis.clicks += 2; }, true);
  `);
  async function clicks(): Promise<number> {
    const count = Number(await page.evaluate("globalThis.clicks"));
    taken.push({ task: expect.getState().currentTestName ?? "", clicks: count });
    return count;
  }
  return { page, clicks };
}

async function add(task: string, payload: unknown = {}, options = ""): Promise<string> {
  const { rows } = await database.pool.query(`select legwork.enqueue($1, $2${options}) as id`, [task, JSON.stringify(payload)]);
  return rows[0].id;
}

async function fail(ids: readonly string[], error: string): Promise<void> {
  await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], $2)", [ids, error]);
}

async function stateOf(id: string): Promise<string> {
  return (await database.pool.query("select state from legwork.jobs where id = $1", [id])).rows[0].state;
}

const menu = (page: Page, name: string) =>
  page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true });
const dialog = (page: Page) => page.getByRole("dialog");
const card = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

async function find(page: Page, text: string): Promise<void> {
  await page.keyboard.press("/");
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

describe("an on-call engineer, starting from the overview,", () => {
  it("retries jobs that failed with a 503 error in the last 10 minutes", async () => {
    const ids = [await add("mail/send"), await add("mail/send"), await add("mail/send"), await add("report")];
    await fail(ids.slice(0, 3), "the provider answered 503");
    await fail(ids.slice(3), "division by zero");
    // A job that failed yesterday is not retried.
    await database.pool.query("update legwork_private.finished_jobs set finished_at = now() - interval '1 day' where id = $1", [
      ids[0],
    ]);
    const { page, clicks } = await fromOverview();
    await menu(page, "Failed").click();
    await page.getByLabel("Failed", { exact: true }).selectOption("10m");
    await page.locator(".failed-group", { hasText: "503" }).getByRole("button", { name: "Retry" }).click();
    await page.getByRole("button", { name: "Retry 2 jobs" }).click();
    await page.getByText("2 jobs retried.").first().waitFor();
    expect(await Promise.all(ids.map(stateOf))).toEqual(["failed", "pending", "pending", "failed"]);
    expect(await clicks()).toBe(5);
  });

  it("finds out why a job is not running, and starts it", async () => {
    await database.pool.query("select legwork.pause_queue('mail', 'The template is being redesigned.')");
    const id = await add("mail/send");
    const { page, clicks } = await fromOverview();
    await find(page, id);
    const why = card(page, "Why it is not running");
    await why.getByText("The template is being redesigned.").waitFor();
    await why.getByRole("button", { name: "Resume queue" }).click();
    await until("it is pending", async () => (await stateOf(id)) === "pending");
    expect(await clicks()).toBe(1);
  });

  it("pauses a queue with a reason, and resumes it", async () => {
    const id = await add("mail/send");
    const { page, clicks } = await fromOverview();
    await menu(page, "Queues").click();
    await page.getByRole("button", { name: "Pause mail" }).click();
    await page.keyboard.type("The provider is down.");
    await dialog(page).getByRole("button", { name: "Pause" }).click();
    await until("it is paused", async () => (await stateOf(id)) === "paused");
    await page.getByRole("button", { name: "Resume mail" }).click();
    await until("it is pending", async () => (await stateOf(id)) === "pending");
    expect(await clicks()).toBe(4);
  });

  it("creates a schedule from times in plain English, runs it now, and removes it", async () => {
    // The preview sends what has been typed so far, which may not be a cron expression yet.
    const { page, clicks } = await fromOverview(restToken, { mayLog: /400/ });
    await menu(page, "Schedules").click();
    await page.getByRole("button", { name: "New schedule" }).click();
    await dialog(page).getByLabel("Name", { exact: true }).fill("nightly");
    await dialog(page).getByLabel("Task", { exact: true }).fill("report");
    await dialog(page).getByRole("textbox", { name: "Cron expression" }).fill("weekdays 9:00 New York");
    await dialog(page).getByRole("button", { name: "Use 0 9 * * MON-FRI in America/New_York" }).click();
    await dialog(page).getByRole("button", { name: "Create" }).click();
    await page.getByRole("heading", { level: 1, name: "nightly" }).waitFor();
    await page.getByRole("button", { name: "Run now" }).click();
    const { rows } = await until("a job is there", async () => {
      const found = await database.pool.query("select id from legwork.jobs where task = 'report'");
      return found.rowCount === 1 ? found : undefined;
    });
    await page
      .getByRole("link", { name: new RegExp(`\\b${rows[0].id}\\b`) })
      .first()
      .waitFor();
    await page.getByRole("button", { name: "Remove" }).click();
    await dialog(page).getByRole("button", { name: "Remove" }).click();
    await until(
      "it is gone",
      async () => (await database.pool.query("select from legwork.schedules where name = 'nightly'")).rowCount === 0,
    );
    expect(await clicks()).toBe(7);
  });

  it("retries the failed step of a workflow", async () => {
    const steps = { load: { task: "load" }, report: { task: "report", depends_on: ["load"] } };
    await database.pool.query("select legwork.start_workflow('night', $1)", [JSON.stringify(steps)]);
    const { rows } = await database.pool.query("select id from graphile_worker.jobs where task_identifier = 'load'");
    await fail([rows[0].id], "no space left");
    const { page, clicks } = await fromOverview();
    await menu(page, "Workflows").click();
    await page.getByRole("link", { name: "night" }).click();
    await page.getByRole("link", { name: "load failed" }).waitFor();
    await page.getByRole("button", { name: "Retry failed steps" }).click();
    await dialog(page).getByRole("button", { name: "Retry failed steps" }).click();
    await page.getByRole("link", { name: "load pending" }).waitFor();
    expect(await clicks()).toBe(4);
  });

  it("cancels a running job with a reason", async () => {
    const id = await add("report");
    await worker.fetch(database.pool, 1);
    const { page, clicks } = await fromOverview();
    await find(page, id);
    await page.getByRole("button", { name: "Cancel job" }).click();
    await page.getByRole("textbox", { name: "Reason (optional)" }).fill("the wrong month");
    await dialog(page).getByRole("button", { name: "Cancel job" }).click();
    await until(
      "its worker is asked to stop it",
      async () => (await database.pool.query("select from legwork_private.cancellations where job_id = $1", [id])).rowCount === 1,
    );
    expect(await clicks()).toBe(2);
  });

  it("runs a failed job again with another payload", async () => {
    const id = await add("report", { month: 13 });
    await fail([id], "no month 13");
    const { page, clicks } = await fromOverview();
    await find(page, id);
    await page.getByRole("button", { name: "Retry with changes" }).click();
    await page.getByLabel("Payload as JSON").fill('{"month": 12}');
    await dialog(page).getByRole("button", { name: "Retry with changes" }).click();
    await until(
      "the new job is there",
      async () => (await database.pool.query(`select from legwork.jobs where payload::jsonb = '{"month": 12}'`)).rowCount === 1,
    );
    expect(await clicks()).toBe(2);
  });

  it("finds the jobs of one user by their payload", async () => {
    for (const user of [4711, 4712, 4711]) await add("report", { user: { id: user } });
    const { page, clicks } = await fromOverview();
    await find(page, "payload.user.id:4711");
    await page.getByText("2 jobs", { exact: true }).first().waitFor();
    expect(await clicks()).toBe(0);
  });

  it("changes the priority of a job, and undoes the change", async () => {
    const id = await add("report");
    const { page, clicks } = await fromOverview();
    await find(page, id);
    await page.getByRole("button", { name: "Change priority" }).click();
    await dialog(page).getByLabel("Priority").fill("-20");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText(`Job ${id} now has priority -20.`).first().waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText(`Job ${id} now has priority 0.`).first().waitFor();
    expect(await clicks()).toBe(3);
  });

  it("creates a token for a tenant's user, which shows only the tenant's jobs", async () => {
    const own = await add("report", {}, ", tenant => 'acme'");
    const other = await add("report", {}, ", tenant => 'globex'");
    const { page, clicks } = await fromOverview();
    await menu(page, "Settings").click();
    await page.getByRole("button", { name: "New token" }).click();
    await dialog(page).getByLabel("Name").fill("ann");
    await dialog(page).getByLabel("Tenant (optional)").fill("acme");
    await dialog(page).getByRole("button", { name: "Create token" }).click();
    const token = await dialog(page).getByRole("textbox", { name: "Token" }).inputValue();
    const tenant = await browser.open(server.url, "/jobs", token);
    await tenant.getByRole("link", { name: own, exact: true }).waitFor();
    expect(await tenant.getByRole("link", { name: other, exact: true }).count()).toBe(0);
    expect(await clicks()).toBe(3);
  });

  it("stops all jobs, and resumes them", async () => {
    const id = await add("report");
    const { page, clicks } = await fromOverview();
    await page.getByRole("button", { name: "Emergency stop" }).click();
    await dialog(page).getByLabel("Reason (optional)").fill("wrong mails");
    await dialog(page).getByLabel("Type stop").fill("stop");
    await dialog(page).getByRole("button", { name: "Stop all jobs" }).click();
    await until("it is paused", async () => (await stateOf(id)) === "paused");
    await page.getByRole("alert").getByRole("button", { name: "Resume" }).click();
    await until("it is pending", async () => (await stateOf(id)) === "pending");
    expect(await clicks()).toBe(3);
  });

  it("opens the list by keyboard, moves down, opens a job and retries it", async () => {
    const ids = [await add("report"), await add("report")];
    await fail(ids, "boom");
    const { page, clicks } = await fromOverview();
    await page.keyboard.press("g");
    await page.keyboard.press("j");
    await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
    await page.getByRole("link", { name: ids[0] as string, exact: true }).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    const panel = page.getByRole("complementary", { name: `Job ${ids[0]}` });
    await panel.getByRole("button", { name: "Retry", exact: true }).first().waitFor();
    await page.keyboard.press("r");
    await until("it is pending", async () => (await stateOf(ids[0] as string)) === "pending");
    expect(await clicks()).toBe(0);
  });

  it("opens a job from a filtered list, and returns to the same list", async () => {
    const ids = [await add("mail/send"), await add("report")];
    await fail(ids, "boom");
    const { page, clicks } = await fromOverview();
    await menu(page, "Jobs").click();
    await page.getByRole("button", { name: /^report 1/ }).click();
    await page.getByRole("link", { name: ids[1] as string, exact: true }).click();
    await page.getByRole("heading", { level: 1, name: `Job ${ids[1]}` }).waitFor();
    await page.goBack();
    await page.getByRole("link", { name: ids[1] as string, exact: true }).waitFor();
    expect(await page.getByRole("link", { name: ids[0] as string, exact: true }).count()).toBe(0);
    expect(await clicks()).toBe(3);
  });

  it("follows a link from a chat without being signed in", async () => {
    const id = await add("report");
    const page = await browser.open(server.url, `/jobs/${id}`, null);
    await page.getByLabel("Token").fill(await makeToken(database, "viewer"));
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { level: 1, name: `Job ${id}` }).waitFor();
    expect(new URL(page.url()).pathname).toBe(`/jobs/${id}`);
  });

  it("reads a payload with malicious text and five megabytes of data", async () => {
    const id = await add("report", {
      html: "<b onclick=alert(1)>x</b>",
      rtl: "\u05e9\u05dc\u05d5\u05dd",
      long: "x".repeat(5_000_000),
    });
    const { page, clicks } = await fromOverview();
    await find(page, id);
    await card(page, "Payload").getByText("<b onclick=alert(1)>x</b>").waitFor();
    expect(await page.locator("main b[onclick]").count()).toBe(0);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    expect(await clicks()).toBe(0);
  });
});
