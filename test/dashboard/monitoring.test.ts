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

/** Creates an open alert about five failures of a task, and a resolved alert. */
async function raise(): Promise<void> {
  await empty(database.pool, "legwork_private.alert_records, legwork_private.alert_silences");
  await database.pool.query(
    `insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at)
     values ('consecutive_failures', 'consecutive_failures', 'mail', 'warning', 5, 3, 'Task ''mail'' has failed 5 times in a row: no', now())`,
  );
  await database.pool.query(
    `insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at, resolved_at)
     values ('backlog_age', 'backlog_age', 'slow', 'critical', 2000, 1800, 'A job in queue ''slow'' has been due for a long time.', now() - interval '1 hour', now())`,
  );
}

describe("the workers page", () => {
  it("shows which jobs each worker runs, its host, and when workers started", async () => {
    await workerOver(database.url, {
      "wait.ts":
        "export default (_, { abortSignal }) => new Promise((resolve) => abortSignal.addEventListener('abort', resolve));",
    });
    await database.pool.query("select legwork.enqueue('wait')");
    const page = await browser.open(server.url, "/workers", restToken);
    const table = page.getByRole("region", { name: "Workers, table" });
    await table.getByText("1 of 4").waitFor();
    await table.getByRole("rowheader").getByRole("link").click();
    await page.getByRole("region", { name: "Running jobs, table" }).getByText("running", { exact: true }).waitFor();
    await page.getByRole("region", { name: "Starts, table" }).waitFor();

    const [worker] = (await rest(server, "GET", "/workers")).body.items;
    expect(worker.name).toBe(`${worker.host}:${process.pid}`);
    await database.pool.query("select graphile_worker.add_job('elsewhere')");
    await table.getByText("Lacks 1 task").waitFor();
    const card = page.getByRole("region", { name: `Worker ${worker.name}` });
    await card.getByRole("link", { name: "elsewhere" }).waitFor();
    await table.getByRole("button", { name: `Quiet ${worker.name}` }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("It keeps running 1 job.").waitFor();
    await expectAccessible(page);
    await dialog.getByRole("button", { name: "Quiet", exact: true }).click();
    await card.getByText("Quiet", { exact: false }).first().waitFor();
    await until("it is quiet", async () => (await rest(server, "GET", `/workers/${worker.id}`)).body.state === "quiet");
    await table.getByRole("button", { name: `Resume ${worker.name}` }).click();
    await table.getByText("Active", { exact: true }).waitFor();
    const viewer = await browser.open(server.url, "/workers", await makeToken(database, "viewer"));
    await viewer.getByRole("region", { name: "Workers, table" }).getByText("Active", { exact: true }).waitFor();
    expect(await viewer.getByRole("button", { name: /^(Quiet|Drain)/ }).count()).toBe(0);
    await expectAccessible(page);
    await database.pool.query("select legwork.cancel_job(id) from legwork.jobs where state = 'running'");
  });
});

describe("the alerts page", () => {
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

  it("silences one target for a period, lists the silence, and removes it", async () => {
    await raise();
    const page = await browser.open(server.url, "/alerts", restToken);
    await page.getByRole("button", { name: /^Silence: Task 'mail'/ }).click();
    await page.getByRole("dialog").getByLabel("Duration").selectOption("4 hours");
    await page.getByRole("dialog").getByLabel("Reason (optional)").fill("planned work");
    await page.getByRole("dialog").getByRole("button", { name: "Silence" }).click();
    await page.getByRole("button", { name: /^Silences/ }).click();
    const table = page.getByRole("region", { name: "Silences, table" });
    await table.getByText("planned work").waitFor();
    await expectAccessible(page);
    await table.getByRole("button", { name: "Remove" }).click();
    await page.getByText("No active silences").waitFor();
  });

  it("shows resolved alerts at a separate URL", async () => {
    await raise();
    const page = await browser.open(server.url, "/alerts?show=resolved", restToken);
    await page.getByText("A job in queue 'slow' has been due for a long time.").waitFor();
    expect(await page.getByText("Task 'mail'").count()).toBe(0);
  });

  it("creates a rule, edits it, turns it off and removes it", async () => {
    const page = await browser.open(server.url, "/alerts?show=rules", restToken, { mayLog: /400/ });
    await page.getByRole("button", { name: "New rule" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("mail_failures");
    await dialog.getByLabel("Metric").selectOption("failed_jobs");
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
    await page.getByRole("button", { name: "Remove mail_failures" }).click();
    await dialog.getByRole("button", { name: "Remove rule" }).click();
    await until("the rule is gone", async () => {
      const { rowCount } = await database.pool.query("select from legwork_private.alert_rules where name = 'mail_failures'");
      return rowCount === 0;
    });
  });

  it("shows a viewer no actions", async () => {
    await raise();
    const page = await browser.open(server.url, "/alerts", await makeToken(database, "viewer"));
    await page.getByText("Task 'mail'").waitFor();
    expect(await page.getByRole("button", { name: /Acknowledge|Silence:|New rule/ }).count()).toBe(0);
  });
});

describe("the database page", () => {
  it("shows the doctor's findings with their fixes", async () => {
    const page = await browser.open(server.url, "/database", restToken);
    await page.getByRole("region", { name: "Needs attention" }).getByText("legwork worker").first().waitFor();
    await page.getByText(/checks: .*warning/).waitFor();
    await expectAccessible(page);
  });
});

describe("the audit log", () => {
  it("shows who changed what, with the values before and after", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail", "queue": "mail"}]')`);
    await rest(server, "PUT", "/queues/mail/limits", { kind: "concurrency", max: 5 });
    await rest(server, "PUT", "/queues/mail/limits", { kind: "concurrency", max: 7 });
    const page = await browser.open(server.url, "/audit?targetType=queue&target=mail", restToken);
    const table = page.getByRole("region", { name: "Audit log, table" });
    await table.getByRole("button", { name: /^max_count.*: changes of entry/ }).click();
    await page.getByRole("row", { name: "max_count 5 7" }).waitFor();
    await expectAccessible(page);
  });

  it("stores its filters in the URL, and is loaded one page at a time", async () => {
    await database.pool.query("select legwork_private.audit('many', 'job', n::text) from generate_series(1, 120) n");
    const page = await browser.open(server.url, "/audit", restToken);
    await page.getByLabel("Action, such as pause").fill("many");
    await page.keyboard.press("Enter");
    await page.waitForURL(/operation=many/);
    const rows = page.getByRole("region", { name: "Audit log, table" }).getByRole("row");
    await until("one page is loaded", async () => (await rows.count()) === 51);
    await page.getByRole("button", { name: "Load more" }).click();
    await until("two pages are loaded", async () => (await rows.count()) === 101);
    await page.getByLabel("Actor").fill("no-such-actor");
    await page.keyboard.press("Enter");
    await page.getByText("No matching entries").waitFor();
  });
});

describe("the settings page", () => {
  it("creates a token that is shown only once, and revokes it", async () => {
    const page = await browser.open(server.url, "/settings", restToken);
    await page.getByRole("button", { name: "New token" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("grafana");
    await dialog.getByLabel("Tenant (optional)").fill("acme");
    await dialog.getByRole("button", { name: "Create token" }).click();
    const token = await dialog.getByRole("textbox", { name: "Token" }).inputValue();
    expect((await rest(server, "GET", "/me", undefined, { authorization: `Bearer ${token}` })).body).toMatchObject({
      role: "viewer",
      tenant: "acme",
    });
    await expectAccessible(page);
    await dialog.getByRole("button", { name: "Done" }).click();
    expect(await page.content()).not.toContain(token);
    await page.getByRole("button", { name: "Revoke grafana" }).click();
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByText(/^revoked/).waitFor();
    expect((await rest(server, "GET", "/me", undefined, { authorization: `Bearer ${token}` })).status).toBe(401);
  });

  it("shows the signed-in user, and only what the token may see", async () => {
    const page = await browser.open(server.url, "/settings", await makeToken(database, "viewer", "acme"));
    await page.getByRole("region", { name: "Account" }).getByText("acme", { exact: true }).waitFor();
    expect(await page.getByRole("region", { name: "Tokens" }).count()).toBe(0);
  });

  it("saves the chosen theme and time zone", async () => {
    const page = await browser.open(server.url, "/settings", restToken);
    await page.getByRole("radio", { name: "Dark" }).check();
    await page.getByRole("radio", { name: "UTC" }).check();
    await page.reload();
    await page.getByText(/^Current time: .* UTC$/).waitFor();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("dark");
    await expectAccessible(page);
  });
});

it.each(["/workers", "/alerts", "/alerts?show=rules", "/database", "/audit", "/settings"])(
  "%s fits a phone screen, and is accessible on it in the dark theme",
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
