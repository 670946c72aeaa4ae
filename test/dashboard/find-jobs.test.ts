import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { grid, rowOf, shownIds } from "../support/job-list.ts";
import { restToken, startRest } from "../support/rest.ts";
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
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts, legwork_private.reruns");
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "mail/send", "queue": "mail"}, {"name": "report"}]')`,
  );
});

/** Enqueues jobs and resolves to their ids. */
async function add(count: number, task = "report", options = ""): Promise<string[]> {
  const { rows } = await database.pool.query(
    `select legwork.enqueue($1, jsonb_build_object('user', jsonb_build_object('id', n))${options}) as id from generate_series(1, $2) n`,
    [task, count],
  );
  return rows.map(({ id }) => id);
}

async function fail(ids: readonly string[], error: string): Promise<void> {
  await database.pool.query("select graphile_worker.permanently_fail_jobs($1::bigint[], $2)", [ids, error]);
}

const open = async (path: string, token = restToken, options = {}): Promise<Page> =>
  await browser.open(server.url, path, token, options);
describe("finding jobs", () => {
  it("finds a failed job by its error from the search box, and reloading the URL shows the same jobs", async () => {
    const ids = await add(3, "mail/send");
    await fail(ids.slice(0, 1), "connect ECONNREFUSED 10.0.0.7:25");
    await fail(ids.slice(1, 2), "no such mailbox");
    const page = await open("/");
    await page.getByLabel("Find a job").fill("econnrefused 10.0");
    await page.keyboard.press("Enter");
    await rowOf(page, ids[0] ?? "")
      .getByText("ECONNREFUSED")
      .waitFor();
    expect(await shownIds(page)).toEqual(ids.slice(0, 1));
    expect(new URL(page.url()).search).toBe("?state=failed&error=econnrefused+10.0");
    await page.reload();
    await rowOf(page, ids[0] ?? "").waitFor();
    expect(await page.getByRole("checkbox", { name: /^failed/ }).isChecked()).toBe(true);
  });

  it("filters by clicking the counts beside the list: states are combined, and a second task replaces the first", async () => {
    const mails = await add(3, "mail/send", ", tenant => 'acme'");
    const reports = await add(2);
    await fail([mails[0] ?? "", reports[0] ?? ""], "boom");
    const page = await open("/jobs");
    const facets = page.getByRole("complementary", { name: "Counts of matching jobs" });
    await facets.getByRole("button", { name: "mail/send 3" }).waitFor();
    expect(await facets.getByRole("region", { name: "Tenant" }).getByRole("button").allTextContents()).toEqual(["acme3"]);
    await facets.getByRole("checkbox", { name: /^failed 2/ }).check();
    await until("failed jobs are shown", async () => (await shownIds(page)).length === 2);
    await facets.getByRole("checkbox", { name: /^pending 3/ }).check();
    await until("pending jobs are shown too", async () => (await shownIds(page)).length === 5);
    expect(new URL(page.url()).searchParams.get("state")).toBe("pending,failed");
    await facets.getByRole("button", { name: "report 2" }).click();
    await until("only reports are shown", async () => (await shownIds(page)).length === 2);
    // The counts of the tasks ignore the task filter.
    await facets.getByRole("button", { name: "mail/send 3" }).click();
    await until("only mails are shown", async () => (await shownIds(page)).join() === mails.toReversed().join());
    await facets.getByRole("checkbox", { name: /^failed/ }).uncheck();
    await until("only pending mails are shown", async () => (await shownIds(page)).length === 2);
    await expectAccessible(page);
    await facets.getByRole("button", { name: "mail/send 2", pressed: true }).click();
    await page.waitForURL((url) => url.search === "?state=pending");
  });

  it("finds jobs by a path in their payload, and applies and removes typed filters", async () => {
    const ids = await add(5, "mail/send", ", tenant => 'acme', correlation_id => 'order-' || n");
    await add(2);
    const page = await open("/jobs");
    const filter = page.getByRole("combobox", { name: "Filter" });
    await filter.fill("mail/send payload.user.id:3");
    await filter.press("Enter");
    await page.getByText("5 payloads scanned").waitFor();
    expect(await shownIds(page)).toEqual([ids[2]]);
    expect(new URL(page.url()).search).toBe("?task=mail%2Fsend&payload=user.id%3A3");
    await page.getByRole("button", { name: "Remove filter Payload" }).click();
    await until("all five are shown", async () => (await shownIds(page)).length === 5);
    await filter.fill("correlation:order-4 tenant:acme");
    await filter.press("Enter");
    await until("only that job is shown", async () => (await shownIds(page)).join() === ids[3]);
    await page.getByRole("button", { name: "Clear all" }).click();
    await until("all jobs are shown", async () => (await shownIds(page)).length === 7);
  });

  it("completes fields and values while the user types, and suggests meanings for a word without a field", async () => {
    const ids = await add(2, "mail/send");
    const others = await add(1);
    await fail(ids.slice(0, 1), "connection refused");
    const page = await open("/jobs");
    const filter = page.getByRole("combobox", { name: "Filter" });
    const option = (name: string) => page.getByRole("option", { name });
    await rowOf(page, others[0] ?? "").waitFor();
    await filter.click();
    await option("task: jobs of a task").click();
    await option("mail/send").waitFor();
    // In a window of this width there are no counts, which would cover part of the suggestions.
    await page.setViewportSize({ width: 1_000, height: 800 });
    await expectAccessible(page);
    await page.setViewportSize({ width: 1_280, height: 800 });
    await filter.press("ArrowDown");
    await filter.press("Enter");
    await page.waitForURL((url) => url.search === "?task=mail%2Fsend");
    await page.getByRole("button", { name: "Clear all" }).click();
    await filter.fill("repo");
    await option("report Task").waitFor();
    await filter.press("Enter");
    await page.waitForURL((url) => url.search === "?task=report");
    await page.getByRole("button", { name: "Clear all" }).click();
    await filter.fill("connection ref");
    await option("Error contains “connection ref”").waitFor();
    await filter.press("Enter");
    await page.waitForURL((url) => url.search === "?state=failed&error=connection+ref");
    await until("only that job is shown", async () => (await shownIds(page)).join() === ids[0]);
    // Escape closes the suggestions, empties the box, and leaves it.
    await filter.fill("state:fai");
    for (let times = 0; times < 3; times += 1) await filter.press("Escape");
    expect(await filter.inputValue()).toBe("");
    expect(await page.locator(":focus").count()).toBe(0);
    await filter.fill(ids[1] ?? "");
    await option(`Open job ${ids[1]}`).waitFor();
    await filter.press("Enter");
    await page.waitForURL(`**/jobs/${ids[1]}`);
  });

  it("explains that no index supports a filter, and offers a supported filter as a button", async () => {
    const ids = await add(1);
    await fail(ids, "boom");
    const page = await open("/jobs?error=boom", restToken, { mayLog: /400/ });
    const refusal = page.getByRole("alert").filter({ hasText: "LW400" });
    await refusal.getByText("would read the whole history").waitFor();
    await expectAccessible(page);
    await refusal.getByRole("button", { name: "Show only failed jobs" }).click();
    await rowOf(page, ids[0] ?? "").waitFor();
  });

  it("on a phone, the filters are behind a button that shows how many are set", async () => {
    const [id = ""] = await add(1, "mail/send");
    const page = await open("/jobs?task=mail%2Fsend", restToken, { width: 390, height: 844 });
    await rowOf(page, id).waitFor();
    expect((await grid(page).boundingBox())?.y).toBeLessThan(260);
    await page.getByRole("button", { name: "Filters (1)" }).click();
    await page.getByLabel("State", { exact: true }).selectOption("failed");
    await page.getByRole("button", { name: "Filters (2)" }).waitFor();
    await until("the job is hidden", async () => (await rowOf(page, id).count()) === 0);
    await expectAccessible(page);
  });

  it("saves a view under a name in this browser", async () => {
    await add(2, "mail/send");
    const page = await open("/jobs?task=mail%2Fsend&state=pending");
    await page.getByRole("button", { name: "Saved views" }).click();
    await expectAccessible(page);
    await page.getByLabel("Name of the view").fill("Mails to go");
    await page.getByRole("button", { name: "Save view" }).click();
    await page.getByRole("button", { name: "Clear all" }).click();
    await page.getByRole("button", { name: "Saved views" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Mails to go", exact: true }).click();
    await page.waitForURL("**/jobs?state=pending&task=mail%2Fsend");
  });
});
