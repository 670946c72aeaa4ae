import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { makeToken, rest, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";
import { workerOver } from "../support/worker.ts";

const database = testDatabase();
const browser = testBrowser();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
});
afterAll(async () => {
  await server.stop();
});

/** Creates an alert for five consecutive failures of a task, and a resolved one. */
async function raise(): Promise<void> {
  await empty(database.pool, "legwork_private.alert_records, legwork_private.alert_silences");
  await database.pool.query(
    `insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at)
     values ('consecutive_failures', 'consecutive_failures', 'mail', 'warning', 5, 3, 'Task ''mail'' has failed 5 times in a row: no', now())`,
  );
  await database.pool.query(
    `insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at, resolved_at)
     values ('backlog_age', 'backlog_age', 'slow', 'critical', 2000, 1800, 'A job of queue ''slow'' has been due for long.', now() - interval '1 hour', now())`,
  );
}

describe("the page of workers", () => {
  it("shows what each worker runs, where it runs, and when workers started", async () => {
    await workerOver(database.url, {
      "wait.ts":
        "export default (_, { abortSignal }) => new Promise((resolve) => abortSignal.addEventListener('abort', resolve));",
    });
    await database.pool.query("select legwork.enqueue('wait')");
    const page = await browser.open(server.url, "/workers", restToken);
    const table = page.getByRole("region", { name: "Workers, table" });
    await table.getByText("1 of 4").waitFor();
    await table.getByRole("rowheader").getByRole("link").click();
    await page.getByRole("region", { name: "Jobs it runs, table" }).getByText("running").waitFor();
    await page.getByRole("region", { name: "Starts, table" }).waitFor();
    await expectAccessible(page);
    await database.pool.query("select legwork.cancel_job(id) from legwork.jobs where state = 'running'");
  });
});

describe("the page of alerts", () => {
  it("acknowledges an alert with a note", async () => {
    await raise();
    const page = await browser.open(server.url, "/alerts", restToken);
    await page.getByRole("button", { name: /^Acknowledge: Task 'mail'/ }).click();
    await page.getByLabel("Note").fill("the provider is down");
    await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
    const table = page.getByRole("region", { name: "Alerts, table" });
    await table.getByText("the provider is down").waitFor();
    expect((await rest(server, "GET", "/alerts")).body.items).toMatchObject([
      { state: "acknowledged", note: "the provider is down" },
    ]);
    await expectAccessible(page);
  });

  it("silences an alert for a time, lists the silence, and ends it", async () => {
    await raise();
    const page = await browser.open(server.url, "/alerts", restToken);
    await page.getByRole("button", { name: /^Silence: Task 'mail'/ }).click();
    await page.getByRole("dialog").getByLabel("For").selectOption("4 hours");
    await page.getByRole("dialog").getByLabel("Why").fill("planned work");
    await page.getByRole("dialog").getByRole("button", { name: "Silence" }).click();
    await page.getByRole("button", { name: /^Silences/ }).click();
    const table = page.getByRole("region", { name: "Silences, table" });
    await table.getByText("planned work").waitFor();
    await expectAccessible(page);
    await table.getByRole("button", { name: "End it" }).click();
    await page.getByText("No silence holds.").waitFor();
  });

  it("shows resolved alerts, at its own address", async () => {
    await raise();
    const page = await browser.open(server.url, "/alerts?show=resolved", restToken);
    await page.getByText("A job of queue 'slow' has been due for long.").waitFor();
    expect(await page.getByText("Task 'mail'").count()).toBe(0);
  });

  it("creates a rule, changes it, disables it and removes it", async () => {
    const page = await browser.open(server.url, "/alerts?show=rules", restToken, { mayLog: /400/ });
    await page.getByRole("button", { name: "New rule" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("mail_failures");
    await dialog.getByLabel("Looks at").selectOption("failed_jobs");
    await dialog.getByLabel("Warning from").fill("5");
    await dialog.getByLabel("Period").fill("1h");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit mail_failures" }).click();
    expect(await dialog.getByLabel("Period").inputValue()).toBe("1h");
    await dialog.getByLabel("Critical from").fill("2");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByRole("alert").getByText("is not valid").waitFor();
    await dialog.getByLabel("Critical from").fill("50");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "On: mail_failures" }).click();
    await page.getByRole("button", { name: "Off: mail_failures" }).waitFor();
    await expectAccessible(page);
    await page.getByRole("button", { name: "Drop mail_failures" }).click();
    await dialog.getByRole("button", { name: "Drop the rule" }).click();
    await until("the rule is gone", async () => {
      const { rowCount } = await database.pool.query("select from legwork_private.alert_rules where name = 'mail_failures'");
      return rowCount === 0;
    });
  });

  it("lets a viewer only read", async () => {
    await raise();
    const page = await browser.open(server.url, "/alerts", await makeToken(database, "viewer"));
    await page.getByText("Task 'mail'").waitFor();
    expect(await page.getByRole("button", { name: /Acknowledge|Silence:|New rule/ }).count()).toBe(0);
  });
});

describe("the page of the database", () => {
  it("shows the doctor's findings, with their fixes", async () => {
    const page = await browser.open(server.url, "/database", restToken);
    await page.getByRole("region", { name: "What to do" }).getByText("legwork worker").first().waitFor();
    await page.getByText(/things were looked at: .*warning/).waitFor();
    await expectAccessible(page);
  });
});

describe("the audit log", () => {
  it("shows the actor, the operation, and the values before and after", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail", "queue": "mail"}]')`);
    await rest(server, "PUT", "/queues/mail/limits", { kind: "concurrency", max: 5 });
    await rest(server, "PUT", "/queues/mail/limits", { kind: "concurrency", max: 7 });
    const page = await browser.open(server.url, "/audit?targetType=queue&target=mail", restToken);
    const table = page.getByRole("region", { name: "Audit log, table" });
    await table.getByRole("button", { name: /^max_count.*: what line/ }).click();
    await page.getByRole("row", { name: "max_count 5 7" }).waitFor();
    await expectAccessible(page);
  });

  it("takes its filter from the address, and is read in pages", async () => {
    await database.pool.query("select legwork_private.audit('many', 'job', n::text) from generate_series(1, 120) n");
    const page = await browser.open(server.url, "/audit", restToken);
    await page.getByLabel("Operation").fill("many");
    await page.keyboard.press("Enter");
    await page.waitForURL(/operation=many/);
    const rows = page.getByRole("region", { name: "Audit log, table" }).getByRole("row");
    await until("a page is loaded", async () => (await rows.count()) === 51);
    await page.getByRole("button", { name: "Older" }).click();
    await until("two pages are loaded", async () => (await rows.count()) === 101);
    await page.getByLabel("Who").fill("mallory");
    await page.keyboard.press("Enter");
    await page.getByText("Nothing that was done fits.").waitFor();
  });
});

describe("the settings page", () => {
  it("creates a token that is shown once, and revokes it", async () => {
    const page = await browser.open(server.url, "/settings", restToken);
    await page.getByRole("button", { name: "New token" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("grafana");
    await dialog.getByLabel("Only for the tenant").fill("acme");
    await dialog.getByRole("button", { name: "Make it" }).click();
    const token = await dialog.getByRole("textbox", { name: "The token" }).inputValue();
    expect((await rest(server, "GET", "/me", undefined, { authorization: `Bearer ${token}` })).body).toMatchObject({
      role: "viewer",
      tenant: "acme",
    });
    await expectAccessible(page);
    await dialog.getByRole("button", { name: "I have it" }).click();
    expect(await page.content()).not.toContain(token);
    await page.getByRole("button", { name: "Revoke grafana" }).click();
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByText(/revoked/).waitFor();
    expect((await rest(server, "GET", "/me", undefined, { authorization: `Bearer ${token}` })).status).toBe(401);
  });

  it("shows the user's role and tenant, and only what the token allows", async () => {
    const page = await browser.open(server.url, "/settings", await makeToken(database, "viewer", "acme"));
    await page.getByRole("region", { name: "You" }).getByText("acme", { exact: true }).waitFor();
    expect(await page.getByRole("region", { name: "Tokens" }).count()).toBe(0);
  });

  it("saves the theme and the time zone", async () => {
    const page = await browser.open(server.url, "/settings", restToken);
    await page.getByRole("radio", { name: "Dark" }).check();
    await page.getByRole("radio", { name: "UTC" }).check();
    await page.reload();
    await page.getByText(/^It is .* UTC\.$/).waitFor();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("dark");
    await expectAccessible(page);
  });
});

it.each(["/workers", "/alerts", "/alerts?show=rules", "/database", "/audit", "/settings"])(
  "%s fits a phone, and is accessible there in the dark theme",
  async (path) => {
    await raise();
    const page = await browser.open(server.url, path, restToken, { theme: "dark", width: 390 });
    await page.getByRole("status", { name: "Loading" }).first().waitFor({ state: "detached" });
    await page.getByRole("table").or(page.getByRole("listitem")).first().waitFor();
    await expectAccessible(page);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    expect(await page.evaluate("document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth")).toBe(
      true,
    );
  },
);
