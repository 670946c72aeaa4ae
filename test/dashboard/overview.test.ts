import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { judge } from "../../src/dashboard/features/overview/verdict.ts";
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

const TASKS = {
  "fine.ts": "export default async () => {};",
  "broken.ts": `export default async () => { throw new Error("connect ECONNREFUSED 127.0.0.1:25"); };`,
};

beforeAll(async () => {
  // The state of this machine and of the test process must not trigger alerts.
  await database.pool.query(
    "update legwork_private.alert_rules set is_enabled = false where kind like 'host%' or kind = 'worker_memory'",
  );
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await empty(
    database.pool,
    "legwork_private.alert_records, legwork_private.task_minutes, legwork_private.task_hours, legwork_private.task_totals, legwork_private.pauses",
  );
  await empty(database.pool, "legwork_private.finished_jobs, legwork_private.failed_attempts");
});

async function ended(count: number): Promise<void> {
  await until("the jobs have ended", async () => {
    const { rows } = await database.pool.query("select count(*)::int as n from legwork_private.finished_jobs");
    return rows[0].n >= count;
  });
}

/** Adds statistics for a task that has completed ten jobs per minute for an hour. */
async function counted(): Promise<void> {
  await database.pool.query(
    `select legwork_private.add_metrics(array(
       select row('fine', 'completed', m, 2, 8, 10, 0.2, 12, m)::legwork_private.counted_rows
       from generate_series(date_trunc('minute', now()) - interval '59 minutes', date_trunc('minute', now()), interval '1 minute') m))`,
  );
  await database.pool.query("update legwork_private.duties set ran_at = clock_timestamp() where duty = 'roll_up'");
}

function verdict(page: Page) {
  return page.getByRole("region", { name: "System status" });
}

describe("the status sentence", () => {
  const live = {
    readAt: "2026-01-01T10:00:00Z",
    running: 3,
    pending: 0,
    blocked: 0,
    paused: 0,
    later: 0,
    oldest: null,
    pausedQueues: 0,
    workers: 2,
    enqueuedPerSecond: null,
    endedPerSecond: null,
    failedAttemptsPerSecond: null,
  };
  const known = {
    live,
    health: [{ scope: "system", name: "system", status: "healthy" as const, reasons: [] }],
    isStopped: false,
    failed: 0n,
    tenant: null,
    now: Date.parse(live.readAt),
  };

  it("summarizes the normal state", () => {
    expect(judge(known)).toEqual({ status: "ok", sentence: "All systems normal. 2 workers, 3 running, 0 waiting.", more: [] });
    const waiting = { ...live, pending: 1, oldest: "2026-01-01T09:59:48Z" };
    expect(judge({ ...known, live: waiting, failed: 1n }).sentence).toBe(
      "All systems normal. 2 workers, 3 running, 1 waiting (oldest 12 s). 1 failed job can be retried.",
    );
  });

  it("reports the worst problem first: an emergency stop, no workers, then problems found by alert rules", () => {
    const health = [
      { scope: "system", name: "system", status: "degraded" as const, reasons: ["Task mail is degraded."] },
      { scope: "task", name: "mail", status: "degraded" as const, reasons: ["Task 'mail' has failed 3 times in a row."] },
      { scope: "queue", name: "mail", status: "degraded" as const, reasons: ["A job is late."] },
    ];
    expect(judge({ ...known, health, isStopped: true })).toMatchObject({ status: "critical", sentence: /All jobs are stopped/ });
    expect(judge({ ...known, health, live: { ...live, workers: 0, pending: 2 } })).toMatchObject({
      status: "critical",
      sentence: "No workers online; 2 jobs waiting.",
    });
    expect(judge({ ...known, health })).toEqual({
      status: "warning",
      sentence: "Task 'mail' has failed 3 times in a row.",
      more: ["A job is late."],
    });
    const worse = { scope: "task", name: "pdf", status: "unhealthy" as const, reasons: ["All attempts fail."] };
    expect(judge({ ...known, health: [...health, worse] }).status).toBe("critical");
  });

  it("reports no state until it is known", () => {
    expect(judge({ ...known, live: undefined }).status).toBe("unknown");
    expect(judge({ ...known, health: undefined }).status).toBe("unknown");
  });
});

describe("the overview", () => {
  it("reports in one sentence that all systems are normal, and lists the workers", async () => {
    await workerOver(database.url, TASKS);
    const page = await browser.open(server.url, "/", restToken);
    await verdict(page).getByText("All systems normal. 1 worker, 0 running, 0 waiting.").waitFor();
    await page.getByRole("region", { name: "Workers, table" }).getByText("0 of 4").waitFor();
  });

  it("shows failed jobs by their error, and an alert in the status sentence", async () => {
    await workerOver(database.url, TASKS);
    const page = await browser.open(server.url, "/", restToken);
    await verdict(page).getByText("All systems normal").waitFor();
    await database.pool.query("select legwork.enqueue('broken', max_attempts => 1) from generate_series(1, 5)");
    await ended(5);
    await database.pool.query(
      "update legwork_private.duties set every = '200 ms', due_at = now() where duty in ('roll_up', 'alerts')",
    );
    await until(
      "the alert is raised",
      async () => (await database.pool.query("select from legwork_private.alert_records")).rowCount,
    );
    await page.reload();
    const attention = page.getByRole("region", { name: "Needs attention" });
    await attention.getByText("connect ECONNREFUSED").first().waitFor();
    await verdict(page).getByText("Task 'broken' has failed 5 times in a row").waitFor();
    // A task's alerts and failed jobs are shown in one row.
    await attention.getByRole("button", { name: /^Acknowledge: .*'broken'/ }).waitFor();
    expect(await attention.getByRole("listitem").count()).toBe(1);
    expect(await attention.getByRole("listitem").textContent()).toContain("5 failed jobs");
    expect(await attention.getByRole("link", { name: "Review jobs of broken" }).getAttribute("href")).toBe("/failed?task=broken");
    await attention.getByRole("button", { name: /^Acknowledge/ }).click();
    await page.getByLabel("Note").fill("on it");
    await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
    await attention.getByText(/acknowledged by/).waitFor();
    const failed = page.getByRole("link", { name: "Failed", exact: true }).last();
    expect(await failed.getAttribute("href")).toBe("/failed");
    await expectAccessible(page);
    await database.pool.query("update legwork_private.duties set due_at = 'infinity'");
  });

  it("shows the last hour, zooms by dragging, and keeps the range in the URL until it is reset", async () => {
    await counted();
    await workerOver(database.url, TASKS);
    const page = await browser.open(server.url, "/", restToken);
    const chart = page.getByRole("slider", { name: "Jobs per minute: chart" });
    await chart.waitFor();
    const box = (await chart.boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/from=.*&to=/);
    await page.getByText("Intervals of 1 minute.").waitFor();
    await page.reload();
    await page.getByRole("button", { name: "Back to last hour" }).click();
    await page.waitForURL((url) => !url.search.includes("from="));
    await page.getByRole("button", { name: "6h" }).click();
    await page.waitForURL(/period=6h/);
  });

  it("shows all values under the cursor, hides a series, and lists the jobs of a clicked interval", async () => {
    await counted();
    await database.pool.query(
      `insert into legwork_private.backlog_minutes
       select m, '', 1234, 1, 3, 60 from generate_series(date_trunc('minute', now()) - interval '59 minutes', now(), interval '1 minute') m
       on conflict (queue, minute) do update set pending = excluded.pending, held = excluded.held`,
    );
    const page = await browser.open(server.url, "/", restToken);
    const chart = page.getByRole("figure", { name: "Jobs per minute" });
    const plot = chart.getByRole("slider");
    await plot.waitFor();
    const box = (await plot.boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + 60);
    const tooltip = chart.locator(".time-chart-tooltip");
    await tooltip.getByText("1,235").waitFor();
    expect(await tooltip.textContent()).toMatch(/completed 10.*failed 0.*waiting 1,235/);
    // Hides the series of waiting jobs.
    await chart.getByRole("button", { name: "waiting" }).click();
    expect(await chart.getByRole("button", { name: "waiting" }).getAttribute("aria-pressed")).toBe("false");
    await page.mouse.click(box.x + box.width / 2, box.y + 60);
    await page.waitForURL(/\/jobs\?finished_after=.*&finished_before=/);
    const query = new URL(page.url()).searchParams;
    expect(Date.parse(query.get("finished_before")!) - Date.parse(query.get("finished_after")!)).toBe(60_000);
    await page.goBack();
    await page.getByRole("figure", { name: "Jobs per minute" }).waitFor();
  });

  it("shows the jobs of the last whole minute as the throughput while less than one job per second ends", async () => {
    await counted();
    const page = await browser.open(server.url, "/", restToken);
    await page.locator(".figure", { hasText: "Throughput" }).getByText("10/min", { exact: true }).waitFor();
  });

  it("makes the values of a chart available by keyboard and as a table", async () => {
    await counted();
    const page = await browser.open(server.url, "/", restToken);
    const chart = page.getByRole("slider", { name: "Jobs per minute: chart" });
    await chart.focus();
    await page.keyboard.press("End");
    await page.keyboard.press("ArrowLeft");
    await until("it reads the value at the cursor", async () =>
      (await chart.getAttribute("aria-valuetext"))?.includes("completed 10"),
    );
    await page.keyboard.press("+");
    await page.waitForURL(/from=.*&to=/);
    await chart.focus();
    await page.keyboard.press("Escape");
    await page.waitForURL((url) => !url.search.includes("from="));
    await page.getByRole("button", { name: "Show data" }).first().click();
    const table = page.getByRole("region", { name: "Jobs per minute: table" });
    expect(await table.getByRole("row").count()).toBeGreaterThan(40);
  });

  it("pauses a queue with a reason, and undoes the pause", async () => {
    await workerOver(database.url, TASKS);
    const page = await browser.open(server.url, "/", restToken);
    await page.getByRole("button", { name: "Pause default" }).click();
    await page.getByLabel("Reason (optional)").fill("provider is down");
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await page.getByRole("region", { name: "Queues, table" }).getByText("provider is down").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByRole("button", { name: "Pause default" }).waitFor();
    expect((await database.pool.query("select from legwork_private.pauses")).rowCount).toBe(0);
  });

  it("shows the time of its data while the server is unreachable", async () => {
    const away = await startRest(database);
    try {
      await workerOver(database.url, TASKS);
      // A server that is stopping rejects requests with 503.
      const page = await browser.open(away.url, "/", restToken, { mayLog: /ERR_|WebSocket|503/ });
      await verdict(page).getByText("All systems normal").waitFor();
      await away.stop();
      await page
        .getByRole("alert")
        .getByText(/^Can't reach the server.*data from \d\d:\d\d/)
        .waitFor();
    } finally {
      await away.stop();
    }
  });

  it("shows a tenant only its own jobs, offers no pause, and sends no requests that would be rejected", async () => {
    await workerOver(database.url, TASKS);
    await database.pool.query(
      "select legwork.enqueue('broken', max_attempts => 1, tenant => t) from unnest(array['acme', 'other', 'other']) t",
    );
    await ended(3);
    const page = await browser.open(server.url, "/", await makeToken(database, "operator", "acme"));
    await verdict(page).getByText("1 failed job of acme can be retried").waitFor();
    await page.getByRole("region", { name: "Queues, table" }).waitFor();
    expect(await page.getByRole("button", { name: /^Pause/ }).count()).toBe(0);
    expect(await page.getByRole("region", { name: "Workers" }).count()).toBe(0);
    expect(await page.locator(".figure", { hasText: "Throughput" }).count()).toBe(0);
    expect(await page.getByRole("region", { name: "Throughput and backlog" }).count()).toBe(0);
  });

  it("is accessible in both themes, on wide and narrow screens", async () => {
    await counted();
    await workerOver(database.url, TASKS);
    for (const width of [1280, 390]) {
      const page = await browser.open(server.url, "/", restToken, { width });
      await verdict(page).getByText("All systems normal").waitFor();
      await page.getByRole("slider").first().waitFor();
      await page.getByRole("region", { name: "Workers, table" }).waitFor();
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        await expectAccessible(page, colorScheme === "light" ? "all" : "colors");
      }
      expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    }
  });
});
