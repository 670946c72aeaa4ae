import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
const browser = testBrowser();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "report/daily", "description": "Reports a day."}]')`,
  );
});
afterAll(async () => {
  await server.stop();
});

async function schedules(): Promise<Record<string, unknown>[]> {
  return (
    await database.pool.query("select name, task, cron, timezone, is_enabled, payload from legwork.schedules order by name")
  ).rows;
}

describe("the schedules page", () => {
  it("creates a schedule, and previews its next runs while the user types", async () => {
    const page = await browser.open(server.url, "/schedules", restToken, { mayLog: /400/ });
    await page.getByText("No schedules yet").waitFor();
    await page.getByRole("button", { name: "New schedule" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill("nightly");
    await dialog.getByLabel("Task", { exact: true }).fill("report/daily");
    await dialog.getByRole("textbox", { name: "Cron expression" }).fill("61 * * * *");
    const preview = dialog.getByRole("region", { name: "Preview" });
    await preview.locator(".field-problem").waitFor();
    await dialog.getByRole("textbox", { name: "Cron expression" }).fill("weekdays 9:00 New York");
    await dialog.getByRole("button", { name: "Use 0 9 * * MON-FRI in America/New_York" }).click();
    await preview.getByText("in America/New_York").waitFor();
    await dialog.getByRole("textbox", { name: "Cron expression" }).fill("daily 2:30 Berlin");
    await dialog.getByRole("button", { name: "Use 30 2 * * * in Europe/Berlin" }).click();
    await preview.getByText("At 02:30").waitFor();
    expect(await preview.getByRole("listitem").filter({ hasText: "02:30" }).count()).toBeGreaterThan(4);
    await expectAccessible(page);
    await dialog.getByLabel("Payload").fill('{"for": "sales"}');
    await dialog.getByRole("button", { name: "Create" }).click();
    await page.waitForURL("**/schedules/nightly");
    expect(await schedules()).toEqual([
      {
        name: "nightly",
        task: "report/daily",
        cron: "30 2 * * *",
        timezone: "Europe/Berlin",
        is_enabled: true,
        payload: { for: "sales" },
      },
    ]);
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Schedules" }).click();
    await page.getByText("At 02:30").waitFor();
    await page.getByText("in the next 24 hours").or(page.getByText("Next 24 hours")).first().waitFor();
    await expectAccessible(page);
  });
});

describe("a schedule's page", () => {
  it("explains how clock changes affect times that do not exist or occur twice, also after an edit", async () => {
    const page = await browser.open(server.url, "/schedules/nightly", restToken, { theme: "dark" });
    const changes = page.getByRole("region", { name: "Clock changes" });
    await changes.getByText("02:30 does not exist that day; the run is at 03:00.").waitFor();
    await changes.getByText(/02:30 occurs twice; the schedule runs the first time only/).waitFor();
    await expectAccessible(page);
    await page.getByRole("button", { name: "Edit" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Cron expression" }).fill("30 4 * * *");
    await dialog.getByRole("region", { name: "Preview" }).getByText("At 04:30").waitFor();
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByText("Schedule nightly saved.").first().waitFor();
    await changes.getByText("No run falls in the skipped hour.").waitFor();
    expect((await schedules())[0]).toMatchObject({ cron: "30 4 * * *", payload: { for: "sales" } });
  });

  it("shows two weeks at a time, starting with this week, and marks clock changes", async () => {
    // The last Sunday of the next March that does not include this week.
    const year = new Date().getUTCFullYear() + (new Date().getUTCMonth() < 2 ? 0 : 1);
    const change = 31 - new Date(Date.UTC(year, 2, 31)).getUTCDay();
    const page = await browser.open(server.url, `/schedules/nightly?week=${year}-03-${change}`, restToken);
    const cell = page.getByRole("cell").filter({ hasText: "Clocks 02:00 → 03:00" });
    await cell.getByText("04:30").waitFor();
    expect(await page.locator(".calendar-run").count()).toBe(14);
    await page.getByRole("button", { name: "Next two weeks" }).click();
    await page.waitForURL(/week=.*-04-/);
    await page.goto(`${server.url}/schedules/nightly`);
    await page.locator("[data-today=yes]").waitFor();
    expect(await page.getByRole("button", { name: "Previous two weeks" }).isDisabled()).toBe(true);
  });

  it("keeps a time in the repeated hour unchanged when another field is edited", async () => {
    // The second occurrence of 02:30 in that night.
    await database.pool.query(
      "select legwork.schedule('once', 'report/daily', at => '2035-10-28 01:30:00Z', timezone => 'Europe/Berlin')",
    );
    const page = await browser.open(server.url, "/schedules/once?edit=yes", restToken);
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Payload").fill('{"n": 1}');
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByText("Schedule once saved.").first().waitFor();
    const { rows } = await database.pool.query("select at, payload from legwork.schedules where name = 'once'");
    expect(rows).toEqual([{ at: new Date("2035-10-28T01:30:00Z"), payload: { n: 1 } }]);
    await database.pool.query("select legwork.unschedule('once')");
  });

  it("runs the schedule now, shows the outcome, disables and enables it, and removes it after a confirmation", async () => {
    const page = await browser.open(server.url, "/schedules/nightly", restToken, { mayLog: /404/ });
    await page.getByRole("button", { name: "Run now" }).click();
    const job = await until("the job is there", async () => {
      const { rows } = await database.pool.query("select id from legwork.jobs where task = 'report/daily'");
      return rows[0]?.id;
    });
    await page
      .getByRole("link", { name: new RegExp(`\\b${job}\\b`) })
      .first()
      .waitFor();
    await page.getByRole("region", { name: "Last run" }).getByText("Latest:").waitFor();
    await page.getByRole("button", { name: "Disable" }).click();
    await until("it is disabled", async () => (await schedules())[0]?.is_enabled === false);
    await page.getByRole("button", { name: "Enable" }).click();
    await until("it is enabled", async () => (await schedules())[0]?.is_enabled === true);
    const { rows } = await database.pool.query(
      "select operation, surface from legwork.audit_log where target = 'nightly' order by id desc limit 2",
    );
    expect(rows).toEqual([
      { operation: "enable_schedule", surface: "dashboard" },
      { operation: "disable_schedule", surface: "dashboard" },
    ]);
    await page.getByRole("button", { name: "Remove" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await page.waitForURL("**/schedules");
    expect(await schedules()).toEqual([]);
  });

  it("shows no action buttons to a viewer", async () => {
    await database.pool.query("select legwork.schedule('hourly', 'report/daily', every => '1 hour')");
    const page = await browser.open(server.url, "/schedules", await makeToken(database, "viewer"));
    await page.getByRole("link", { name: "hourly" }).waitFor();
    // The remaining buttons sort the table and change its density.
    expect(await page.getByRole("main").locator("button:not(.table-sort, .density-switch)").count()).toBe(0);
    await page.getByRole("link", { name: "hourly" }).click();
    await page.getByRole("heading", { level: 1, name: "hourly" }).waitFor();
    await page.getByText("Next runs").waitFor();
    expect(await page.getByRole("button", { name: /Run now|Edit|Remove|Disable/ }).count()).toBe(0);
  });
});
