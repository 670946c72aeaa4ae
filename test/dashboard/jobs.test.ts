import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { grid, rowOf, shownIds } from "../support/job-list.ts";
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
describe("the job list", () => {
  it("shows new jobs and state changes as they happen", async () => {
    const [first = ""] = await add(1);
    const page = await open("/jobs");
    await rowOf(page, first).getByText("pending").waitFor();
    const [second = ""] = await add(1);
    await rowOf(page, second).waitFor();
    expect(await shownIds(page)).toEqual([second, first]);
    await database.pool.query("select legwork.cancel_job($1)", [first]);
    await rowOf(page, first).getByText("cancelled", { exact: true }).waitFor();
  });

  it("truncates an error in a right-to-left script at its end", async () => {
    const [id = ""] = await add(1);
    await fail([id], "\u05D0\u05D1\u05D2 ".repeat(60));
    const page = await open("/jobs");
    await rowOf(page, id).locator(".job-error").waitFor();
    const shown = await page.evaluate(
      "(({ direction, textOverflow }) => [direction, textOverflow])(getComputedStyle(document.querySelector('.job-detail .job-error')))",
    );
    expect(shown).toEqual(["rtl", "ellipsis"]);
  });

  it("inserts no rows while the user is reading further down, and shows the number of newer jobs", async () => {
    const all = await add(300);
    const page = await open("/jobs");
    await rowOf(page, all.at(-1) ?? "").waitFor();
    await grid(page).evaluate((element) => Object.assign(element, { scrollTop: 1_500 }));
    const before = await until("those rows are rendered", async () => {
      const ids = await shownIds(page);
      return ids.includes(all.at(-60) ?? "") && !ids.includes(all.at(-1) ?? "") ? ids : undefined;
    });
    const newest = await add(3);
    await page.getByRole("button", { name: "3 newer" }).waitFor();
    expect(await grid(page).evaluate((element) => (element as unknown as { scrollTop: number }).scrollTop)).toBe(1_500);
    expect(await shownIds(page)).toEqual(before);
    await page.getByRole("button", { name: "3 newer" }).click();
    await rowOf(page, newest.at(-1) ?? "").waitFor();
    const [again = ""] = await add(1);
    await rowOf(page, again).waitFor();
    await page.getByRole("button", { name: "Load more" }).click();
    await page.getByText("Showing 300 jobs").waitFor();
    await add(1);
    await page.getByRole("button", { name: "1 newer" }).waitFor();
    expect(await grid(page).evaluate((element) => (element as unknown as { scrollTop: number }).scrollTop)).toBe(0);
  });

  it("scrolls to the oldest of thousands of jobs while rendering only a few rows, and keeps those up to date", async () => {
    const ids = await add(2_500);
    const page = await open("/jobs");
    await grid(page).focus();
    await until("the end is reached", async () => {
      await page.keyboard.press("End");
      return await page.getByText("2,500 jobs", { exact: true }).isVisible();
    });
    await page.keyboard.press("End");
    await rowOf(page, ids[0] ?? "")
      .getByText("pending")
      .waitFor();
    await database.pool.query("select legwork.cancel_job($1)", [ids[0]]);
    await rowOf(page, ids[0] ?? "")
      .getByText("cancelled", { exact: true })
      .waitFor();
    expect(await grid(page).locator(".job-id").count()).toBeLessThan(80);
  });

  it("supports moving, selecting a job or a range, and opening a job by keyboard", async () => {
    const ids = (await add(6)).toReversed();
    const page = await open("/jobs");
    await rowOf(page, ids[0] ?? "").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    for (const key of ["j", "j", "Shift+X"]) await page.keyboard.press(key);
    await page.getByText("3 selected").waitFor();
    expect(await grid(page).getByRole("row", { selected: true }).count()).toBe(3);
    await expectAccessible(page);
    await page.keyboard.press("k");
    await page.keyboard.press("o");
    await page.waitForURL(`**/jobs/${ids[2]}`);
  });

  it("shows a job with its actions beside the list by keyboard, and then restores the focus", async () => {
    const ids = (await add(3)).toReversed();
    await fail(ids.slice(1, 2), "connect ECONNREFUSED");
    const page = await open("/jobs");
    await rowOf(page, ids[0] ?? "").waitFor();
    await page.keyboard.press("j");
    // The first j moves the focus to the grid, so that a screen reader announces the row.
    const active = await grid(page).getAttribute("aria-activedescendant");
    expect(await page.locator(":focus").getAttribute("role")).toBe("grid");
    expect(active).toBe(await rowOf(page, ids[0] ?? "").getAttribute("id"));
    await page.keyboard.press("Enter");
    const panel = (id: string | undefined) => page.getByRole("complementary", { name: `Job ${id}` });
    await panel(ids[0]).getByRole("button", { name: "Cancel job" }).waitFor();
    await expectAccessible(page);
    await page.keyboard.press("j");
    await panel(ids[1]).getByText("connect ECONNREFUSED").first().waitFor();
    await panel(ids[1]).getByRole("button", { name: "Retry with changes" }).waitFor();
    await page.keyboard.press("e");
    await page.getByRole("dialog", { name: `Retry job ${ids[1]} with changes` }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("r");
    await panel(ids[1]).getByText("pending", { exact: true }).waitFor();
    await page.keyboard.press("k");
    await page.keyboard.press("r");
    await page.getByText(`Job ${ids[0]} cannot be retried: it is pending.`).first().waitFor();
    await page.keyboard.press("c");
    await page
      .getByRole("dialog", { name: `Cancel job ${ids[0]}?` })
      .getByRole("button", { name: "Cancel job" })
      .click();
    await rowOf(page, ids[0] ?? "")
      .getByText("cancelled", { exact: true })
      .waitFor();
    await panel(ids[0]).getByRole("button", { name: "Close panel" }).click();
    await panel(ids[0]).waitFor({ state: "detached" });
    await page.keyboard.press("Enter");
    await panel(ids[0]).waitFor();
    await page.keyboard.press("Escape");
    await panel(ids[0]).waitFor({ state: "detached" });
    expect(await page.locator(":focus").getAttribute("role")).toBe("grid");
  });

  it("restores rows, scroll position and selection on the way back from a job, and starts at the top when opened from the menu", async () => {
    const ids = (await add(400)).toReversed();
    const page = await open("/jobs");
    await rowOf(page, ids[0] ?? "").waitFor();
    await page.getByRole("button", { name: "Load more" }).click();
    await page.getByText("Showing 300 jobs").waitFor();
    const scrollTop = async (): Promise<number> =>
      await grid(page).evaluate((element) => (element as unknown as { scrollTop: number }).scrollTop);
    await grid(page).evaluate((element) => Object.assign(element, { scrollTop: 4_000 }));
    const opened = ids[130] ?? "";
    await rowOf(page, opened).getByRole("checkbox").click();
    await rowOf(page, opened).getByRole("link").click();
    await page.getByRole("heading", { name: `Job ${opened}` }).waitFor();
    await page.goBack();
    await rowOf(page, opened).waitFor();
    expect(await scrollTop()).toBe(4_000);
    await page.getByText("1 selected").waitFor();
    await page.getByText(/^(Showing 300|400) jobs$/).waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.getByRole("link", { name: "Jobs", exact: true }).click();
    await rowOf(page, ids[0] ?? "").waitFor();
    expect(await scrollTop()).toBe(0);
  });

  it("shows a tenant's viewer only that tenant's jobs, without actions", async () => {
    await add(2);
    const [own = ""] = await add(1, "report", ", tenant => 'acme'");
    const page = await open("/jobs", await makeToken(database, "viewer", "acme"));
    await rowOf(page, own).waitFor();
    expect(await shownIds(page)).toEqual([own]);
    expect(await page.getByRole("button", { name: "Enqueue job" }).count()).toBe(0);
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByText("Read-only access").waitFor();
    expect(await page.getByRole("button", { name: "Cancel" }).count()).toBe(0);
  });

  it.each(["light", "dark"] as const)(
    "is accessible in the %s theme, on a wide screen and on a phone, with and without jobs",
    async (theme) => {
      const empty = await open("/jobs", restToken, { theme });
      await empty.getByText("No jobs yet").waitFor();
      await expectAccessible(empty);
      const ids = await add(3);
      await fail(ids.slice(0, 1), "boom");
      for (const width of [1_280, 390]) {
        const page = await open("/jobs", restToken, { theme, width });
        await rowOf(page, ids[0] ?? "").waitFor();
        await expectAccessible(page);
        expect(
          await page.locator("html").evaluate((root) => (root as unknown as { scrollWidth: number }).scrollWidth),
        ).toBeLessThanOrEqual(width);
      }
    },
  );
});
