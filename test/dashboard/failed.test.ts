import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
const browser = testBrowser();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts");
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "mail/send", "queue": "mail"}, {"name": "report"}]')`,
  );
});

/** Adds jobs that have failed with an error; resolves to their ids. */
async function failed(count: number, task: string, error: string): Promise<string[]> {
  const { rows } = await database.pool.query("select legwork.enqueue($1) as id from generate_series(1, $2)", [task, count]);
  const ids = rows.map(({ id }) => id);
  await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], $2)", [ids, error]);
  return ids;
}

const states = async (): Promise<unknown> =>
  (await database.pool.query("select task, state, count(*)::int as jobs from legwork.jobs group by 1, 2 order by 1, 2")).rows;
const group = (page: Page, error: string) => page.locator(".failed-group", { hasText: error });

describe("the failed jobs page", () => {
  it("groups jobs by error, largest group first, and retries a group after a preview", async () => {
    await failed(3, "report", "division by zero");
    await failed(12, "mail/send", "connect ECONNREFUSED 10.0.0.7:25");
    const page = await browser.open(server.url, "/failed", restToken);
    await group(page, "ECONNREFUSED").waitFor();
    expect(await page.locator(".failed-count").allTextContents()).toEqual(["12", "3"]);
    await page.getByText("15 jobs in 2 groups").waitFor();
    // The period is based on the time of the failure, and the number next to a task is the number of its failed jobs.
    await database.pool.query(
      "update legwork_private.finished_jobs set finished_at = now() - interval '2 hours' where task = 'report'",
    );
    await page.getByLabel("Failed", { exact: true }).selectOption("10m");
    await page.getByText("12 jobs in 1 group").waitFor();
    expect(await page.getByLabel("Task", { exact: true }).locator("option").allTextContents()).toEqual([
      "Any task",
      "mail/send (12)",
    ]);
    await group(page, "ECONNREFUSED")
      .getByRole("img", { name: /^Failures from .* at most 12 per interval$/ })
      .waitFor();
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy as issue" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const issue = await page.evaluate(() =>
      (globalThis as unknown as { navigator: { clipboard: { readText(): Promise<string> } } }).navigator.clipboard.readText(),
    );
    expect(issue).toMatch(
      /^## mail\/send fails: connect ECONNREFUSED[\s\S]*- 12 failed jobs of `mail\/send`[\s\S]*legwork retry --fingerprint /,
    );
    await page.getByLabel("Failed", { exact: true }).selectOption("24h");
    await page.getByText("15 jobs in 2 groups").waitFor();
    await group(page, "ECONNREFUSED").getByRole("button", { name: "Retry" }).click();
    await page.getByText("This will retry 12 jobs.").waitFor();
    expect(await page.getByRole("dialog").locator(".bulk-samples li").count()).toBe(5);
    await expectAccessible(page);
    await page.getByRole("button", { name: "Retry 12 jobs" }).click();
    await page.getByText("12 jobs retried.").first().waitFor();
    await until("the group is gone", async () => (await page.locator(".failed-group").count()) === 1);
    expect(await states()).toEqual([
      { task: "mail/send", state: "pending", jobs: 12 },
      { task: "report", state: "failed", jobs: 3 },
    ]);
  });

  it("shows the jobs of a group, and retries or discards a single job", async () => {
    const ids = await failed(25, "report", "division by zero");
    const page = await browser.open(server.url, "/failed", restToken);
    await page.getByRole("button", { name: "Show jobs" }).click();
    const jobs = page.getByRole("region", { name: "Jobs in the group" });
    await jobs.getByRole("link", { name: ids[0], exact: true }).waitFor();
    expect(await jobs.getByRole("row").count()).toBe(21);
    await page.getByRole("button", { name: "Load more of 25" }).click();
    await jobs.getByRole("link", { name: ids[24], exact: true }).waitFor();
    await expectAccessible(page);
    await jobs.getByRole("button", { name: `Retry job ${ids[0]}`, exact: true }).click();
    await jobs.getByRole("link", { name: ids[0], exact: true }).waitFor({ state: "detached" });
    await jobs.getByRole("button", { name: `Discard job ${ids[1]}`, exact: true }).click();
    await jobs.getByRole("link", { name: ids[1], exact: true }).waitFor({ state: "detached" });
    expect(await states()).toEqual([
      { task: "report", state: "pending", jobs: 1 },
      { task: "report", state: "failed", jobs: 24 },
    ]);
    const kept = await database.pool.query("select count(*)::int as jobs from graphile_worker._private_jobs");
    expect(kept.rows).toEqual([{ jobs: 24 }]);
  });

  it("discards the jobs that match the filter in the URL", async () => {
    await failed(2, "report", "division by zero");
    await failed(4, "mail/send", "division by zero");
    await failed(5, "mail/send", "no such mailbox");
    const page = await browser.open(server.url, "/failed", restToken);
    await page.getByLabel("Error contains").fill("DIVISION");
    await page.getByLabel("Task", { exact: true }).selectOption("mail/send");
    await page.getByText("4 jobs in 1 group").waitFor();
    expect(new URL(page.url()).search).toBe("?error=DIVISION&task=mail%2Fsend");
    await page.getByRole("button", { name: "Discard all" }).click();
    await page.getByRole("button", { name: "Discard 4 jobs" }).click();
    await page.getByText("No matching groups").waitFor();
    const kept = await database.pool.query("select count(*)::int as jobs from graphile_worker._private_jobs");
    expect(kept.rows).toEqual([{ jobs: 7 }]);
  });

  it("shows no actions to a viewer, and shows a message if there are no failed jobs", async () => {
    const none = await browser.open(server.url, "/failed", restToken, { theme: "dark" });
    await none.getByText("No failed jobs").waitFor();
    await expectAccessible(none);
    const ids = await failed(2, "report", "boom");
    const page = await browser.open(server.url, "/failed", await makeToken(database, "viewer"), { theme: "dark", width: 390 });
    await page.getByRole("button", { name: "Show jobs" }).click();
    await page.getByText(`Job ${ids[1]}`).first().waitFor();
    expect(await page.getByRole("button", { name: /Retry|Discard/ }).count()).toBe(0);
    await expectAccessible(page);
    expect(
      await page.locator("html").evaluate((root) => (root as unknown as { scrollWidth: number }).scrollWidth),
    ).toBeLessThanOrEqual(390);
  });
});
