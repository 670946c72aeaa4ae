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
});
afterAll(async () => {
  await server.stop();
});

/** Enqueues a job that no worker runs. */
async function enqueue(): Promise<string> {
  const { rows } = await database.pool.query<{ id: string }>("select id from graphile_worker.add_job('mail/send')");
  return (rows[0] as { id: string }).id;
}

/** Requests a page as a browser does. */
async function getPage(path: string): Promise<Response> {
  return await fetch(server.url + path, { headers: { accept: "text/html,*/*" } });
}

describe("the server", () => {
  it("sends HTML to browsers at the URL of every page, and JSON to other clients", async () => {
    const page = await getPage("/");
    expect(page.headers.get("content-type")).toContain("text/html");
    expect(page.headers.get("content-security-policy")).toContain("script-src 'self';");
    expect(await (await getPage("/jobs/42")).text()).toBe(await page.text());
    expect(await (await fetch(server.url)).json()).toMatchObject({ name: "legwork", dashboard: "/" });
    for (const path of ["/api/v1/nothing", "/graphql/x", "/assets/none.js"]) {
      expect((await getPage(path)).headers.get("content-type")).toContain("json");
    }
    expect((await fetch(`${server.url}/jobs/42`)).status).toBe(404);
  });

  it("sends compressed files that browsers may cache, and no files outside their folder", async () => {
    const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(await (await getPage("/")).text())?.[1];
    const answer = await fetch(`${server.url}/${script}`, { headers: { "accept-encoding": "br" } });
    expect(answer.headers.get("content-encoding")).toBe("br");
    expect(answer.headers.get("cache-control")).toContain("immutable");
    expect((await fetch(`${server.url}/assets/..%2findex.html`)).status).toBe(404);
  });
});

describe("the dashboard", () => {
  it("highlights the page in the menu that a URL belongs to, and leads from an unknown URL to the overview", async () => {
    const page = await browser.open(server.url, "/bulk", restToken);
    const current = page.getByRole("navigation", { name: "Pages" }).locator("[aria-current=page]");
    await current.getByText("Failed").waitFor();
    await page.goto(`${server.url}/no-such-page`);
    await page.getByText("There is no page at /no-such-page.").waitFor();
    expect(await current.count()).toBe(0);
    await page.getByRole("link", { name: "Go to the overview" }).click();
    await current.getByText("Overview").waitFor();
  });

  it("reads the token from the URL, and keeps it out of the address bar and request URLs", async () => {
    const page = await browser.open(server.url, "/", restToken);
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    expect(page.url()).toBe(`${server.url}/`);
    await page.getByText("admin").waitFor();
  });

  it("asks for a token, reports an invalid one, and signs in and out", async () => {
    const page = await browser.open(server.url, "/jobs", null, { mayLog: /401/ });
    await page.getByLabel("Token").fill("nothing");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("LW401").waitFor();
    await page.getByLabel("Token").fill(restToken);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
  });

  it("keeps the token of a link in its tab, and keeps that user signed in when others sign in elsewhere", async () => {
    const viewer = await makeToken(database, "viewer", "acme");
    const tab = await browser.open(server.url, "/jobs", viewer);
    await tab.getByText("viewer of acme").waitFor();
    expect(await tab.evaluate(() => Object.values(localStorage).join())).not.toContain(viewer);
    // Another user in another tab of the same browser stays signed in.
    const other = await tab.context().newPage();
    await other.goto(server.url);
    await other.getByLabel("Token").fill(restToken);
    await other.getByLabel("Stay signed in").check();
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.getByText("admin", { exact: true }).waitFor();
    await tab.reload();
    await tab.getByText("viewer of acme").waitFor();
    const third = await tab.context().newPage();
    await third.goto(server.url);
    await third.getByText("admin", { exact: true }).waitFor();
    // Signing out ends the session in all tabs with that token, but in no other tabs.
    await third.getByRole("button", { name: "Sign out" }).click();
    await other.getByLabel("Token").waitFor();
    expect(await tab.getByText("viewer of acme").count()).toBe(1);
    await tab.getByRole("button", { name: "Sign out" }).click();
    await tab.reload();
    await tab.getByLabel("Token").waitFor();
    expect(await tab.evaluate(() => Object.values(localStorage).join())).not.toContain(restToken);
  });

  it("explains why the user has to enter a token again", async () => {
    const viewer = await makeToken(database, "viewer", "acme");
    const page = await browser.open(server.url, "/jobs", viewer, { mayLog: /401/ });
    await page.getByText("viewer of acme").waitFor();
    await database.pool.query("select legwork.revoke_token(id) from legwork.token_list");
    await page.getByRole("link", { name: "Queues" }).click();
    await page.getByRole("alert").getByText("expired, was revoked").waitFor();
  });

  it("reports immediately when a user may not read a page", async () => {
    const page = await browser.open(server.url, "/workers", await makeToken(database, "viewer", "acme"));
    for (const path of ["workers", "alerts"]) {
      if (path !== "workers") await page.goto(`${server.url}/${path}`);
      await page.getByRole("alert").getByText("This page shows data of all tenants").waitFor();
      await page.getByText("LW403").waitFor();
    }
    await page.goto(`${server.url}/audit`);
    await page.getByRole("alert").getByText("This page requires the role admin").waitFor();
  });

  it("shows a tenant's viewer only the pages and buttons that the token permits", async () => {
    const page = await browser.open(server.url, "/", await makeToken(database, "viewer", "acme"));
    await page.getByText("viewer of acme").waitFor();
    const menu = page.getByRole("navigation", { name: "Pages" });
    expect(await menu.getByRole("link").allTextContents()).not.toContain("Audit log");
    expect(await menu.getByRole("link").allTextContents()).not.toContain("Workers");
    expect(await page.getByRole("button", { name: "Emergency stop" }).count()).toBe(0);
  });

  it("stops all jobs only after the confirmation word is typed, shows the stop on every page, and resumes the jobs", async () => {
    const page = await browser.open(server.url, "/queues", restToken);
    await page.getByRole("button", { name: "Emergency stop" }).click();
    const dialog = page.getByRole("dialog");
    const stop = dialog.getByRole("button", { name: "Stop all jobs" });
    expect(await stop.isDisabled()).toBe(true);
    await dialog.getByLabel("Reason (optional)").fill("wrong mails");
    await dialog.getByLabel("Type stop").fill("stop");
    await stop.click();
    await page.getByRole("alert").getByText("All jobs stopped").waitFor();
    await page.getByRole("link", { name: "Tasks" }).click();
    await page.getByRole("alert").getByText("wrong mails").waitFor();
    const audited = await database.pool.query("select surface, target_type from legwork.audit_log order by id desc limit 1");
    expect(audited.rows).toEqual([{ surface: "dashboard", target_type: "all" }]);
    await page.getByRole("button", { name: "Resume" }).click();
    await until("the banner is gone", async () => (await page.getByRole("alert").count()) === 0);
  });

  it("keeps its frame in view on long pages, also at 200% zoom, and opens each page at the top with the focus on its heading", async () => {
    const long = `${"a-queue-with-a-very-long-name-".repeat(4)}x`;
    await database.pool.query(
      `select legwork_private.register_tasks((select jsonb_agg(jsonb_build_object('name', 'task-' || n, 'queue', $1::text))
       from generate_series(10, 69) n))`,
      [long],
    );
    // The size of a 1440 by 900 pixel window at 200% zoom.
    const page = await browser.open(server.url, "/tasks", restToken, { width: 720, height: 450 });
    const scrollTop = async (): Promise<unknown> => await page.evaluate("document.querySelector('main').scrollTop");
    const fits = async (): Promise<unknown> =>
      await page.evaluate(
        "document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight",
      );
    const row = page.getByRole("row", { name: /^task-60/ });
    await row.scrollIntoViewIfNeeded();
    expect((await page.getByRole("button", { name: "Emergency stop" }).boundingBox())?.y).toBeLessThan(20);
    expect(await fits()).toBe(true);
    const place = await scrollTop();
    expect(place).toBeGreaterThan(100);
    await row.getByRole("link", { name: "task-60" }).click();
    const heading = page.getByRole("heading", { level: 1, name: "task-60" });
    await heading.waitFor();
    await until("the heading has focus", async () => (await page.evaluate("document.activeElement.textContent")) === "task-60");
    expect(await scrollTop()).toBe(0);
    await page.goBack();
    await until("the list is where it was left", async () => (await scrollTop()) === place);
    await page.setViewportSize({ width: 1440, height: 900 });
    expect((await row.boundingBox())?.height).toBeLessThan(34);
    expect(await fits()).toBe(true);
    await page.getByRole("button", { name: "Comfortable rows" }).click();
    expect((await row.boundingBox())?.height).toBeGreaterThan(39);
    await page.reload();
    await page.getByRole("button", { name: "Compact rows" }).waitFor();
  });

  it("finds pages, jobs and actions with Ctrl-K, asks for confirmation before it acts, and restores the focus", async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail/send", "queue": "mail"}]')`);
    const page = await browser.open(server.url, "/queues", restToken);
    const find = async (text: string): Promise<void> => {
      await page.keyboard.press("Control+K");
      await page.getByRole("dialog").getByRole("combobox").fill(text);
    };
    await page.getByRole("button", { name: "Pause mail" }).waitFor();
    await find("pause queue ml");
    await page.getByRole("option", { name: "Pause queue mail", selected: true }).waitFor();
    await expectAccessible(page);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Pause queue mail?" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    // While the dialog is open, the button in the row is replaced by another one.
    await page.getByRole("button", { name: "Pause mail" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await until(
      "the button's successor has focus",
      async () => (await page.evaluate("document.activeElement.ariaLabel")) === "Resume mail",
    );
    await database.pool.query("select legwork.resume_queue('mail')");
    const id = await enqueue();
    await find(id);
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/jobs/${id}`);
    await find("audit");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Audit log" }).waitFor();
    await find("no such thing at all");
    await page.getByRole("option", { name: /^Search jobs/ }).waitFor();

    const viewer = await browser.open(server.url, "/queues", await makeToken(database, "viewer"));
    await viewer.getByRole("link", { name: "mail" }).waitFor();
    await viewer.keyboard.press("Control+K");
    await viewer.getByRole("dialog").getByRole("combobox").fill("mail");
    await viewer.getByRole("option", { name: "mail/send" }).waitFor();
    expect(await viewer.getByRole("option", { name: /^(Pause queue|Pause task|Retry|Emergency)/ }).count()).toBe(0);
  });

  it("shows open critical alerts in the tab's title and icon until they are resolved", async () => {
    await database.pool.query(
      `insert into legwork_private.alert_records (rule, kind, target, severity, value, threshold, message, raised_at)
       values ('backlog_age', 'backlog_age', 'mail', 'critical', 2000, 1800, 'A job in queue ''mail'' is late.', now())`,
    );
    const page = await browser.open(server.url, "/alerts", restToken);
    const icon = page.locator("link[rel=icon]");
    await until("the title counts", async () => (await page.title()) === "(1) Alerts · Legwork");
    expect(await icon.getAttribute("href")).toContain("trouble");
    await database.pool.query("update legwork_private.alert_records set resolved_at = now()");
    await until("the title is as before", async () => (await page.title()) === "Alerts · Legwork");
    expect(await icon.getAttribute("href")).not.toContain("trouble");
  });

  it("reports once that the server is unreachable, opens a page that was not loaded yet when it is back, and pauses updates", async () => {
    const away = await startRest(database);
    const port = Number(new URL(away.url).port);
    const page = await browser.open(away.url, "/queues", restToken, { mayLog: /ERR_|WebSocket|Failed to/ });
    await page.getByRole("button", { name: /^Live/ }).waitFor();
    await page.getByRole("link", { name: "Audit log" }).waitFor();
    await away.stop();
    await page
      .getByRole("alert")
      .getByText(/^Can't reach the server. Retrying… \(data from \d\d:\d\d\)$/)
      .waitFor();
    await page.getByRole("link", { name: "Audit log" }).click();
    await page.getByText("This page has not been loaded yet").waitFor();
    expect(await page.getByRole("alert").count()).toBe(1);
    const back = await startRest(database, { port });
    try {
      await page.getByRole("heading", { level: 1, name: "Audit log" }).waitFor();
      await until("the banner is gone", async () => (await page.getByRole("alert").count()) === 0);
      await page.getByRole("button", { name: /^Live/ }).click();
      await page.getByRole("button", { name: "Paused. Resume live updates" }).click();
      await page.getByRole("button", { name: /^Live/ }).waitFor();
    } finally {
      await back.stop();
    }
  });

  it("opens pages, the search and the list of shortcuts by keyboard", async () => {
    const id = await enqueue();
    const page = await browser.open(server.url, "/", restToken);
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.getByRole("heading", { level: 1, name: "Schedules" }).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await page.keyboard.type(id);
    await page.keyboard.press("Enter");
    await page.waitForURL(`**/jobs/${id}`);
  });
});
