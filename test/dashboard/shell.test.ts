import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
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

/** Requests a page as the browser does. */
async function getPage(path: string): Promise<Response> {
  return await fetch(server.url + path, { headers: { accept: "text/html,*/*" } });
}

describe("the server", () => {
  it("sends the page for the path of every page, and JSON to programs", async () => {
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

  it("sends files compressed and cacheable, and nothing outside their folder", async () => {
    const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(await (await getPage("/")).text())?.[1];
    const answer = await fetch(`${server.url}/${script}`, { headers: { "accept-encoding": "br" } });
    expect(answer.headers.get("content-encoding")).toBe("br");
    expect(answer.headers.get("cache-control")).toContain("immutable");
    expect((await fetch(`${server.url}/assets/..%2findex.html`)).status).toBe(404);
  });
});

describe("the dashboard", () => {
  it("takes the token from the address, and keeps it neither there nor in a request's address", async () => {
    const page = await browser.open(server.url, "/", restToken);
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    expect(page.url()).toBe(`${server.url}/`);
    await page.getByText("admin").waitFor();
  });

  it("asks for a token, shows an error for a wrong one, and signs in and out", async () => {
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

  it("keeps a link's token in its tab, and stays signed in when another user signs in elsewhere", async () => {
    const viewer = await makeToken(database, "viewer", "acme");
    const tab = await browser.open(server.url, "/jobs", viewer);
    await tab.getByText("viewer of acme").waitFor();
    expect(await tab.evaluate(() => Object.values(localStorage).join())).not.toContain(viewer);
    // Another user, in another tab of the same browser, which stores the token.
    const other = await tab.context().newPage();
    await other.goto(server.url);
    await other.getByLabel("Token").fill(restToken);
    await other.getByLabel("Keep it").check();
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.getByText("admin", { exact: true }).waitFor();
    await tab.reload();
    await tab.getByText("viewer of acme").waitFor();
    const third = await tab.context().newPage();
    await third.goto(server.url);
    await third.getByText("admin", { exact: true }).waitFor();
    // Signing out affects all tabs with that token, and no others.
    await third.getByRole("button", { name: "Sign out" }).click();
    await other.getByLabel("Token").waitFor();
    expect(await tab.getByText("viewer of acme").count()).toBe(1);
    await tab.getByRole("button", { name: "Sign out" }).click();
    await tab.reload();
    await tab.getByLabel("Token").waitFor();
    expect(await tab.evaluate(() => Object.values(localStorage).join())).not.toContain(restToken);
  });

  it("says why it asks for a token again", async () => {
    const viewer = await makeToken(database, "viewer", "acme");
    const page = await browser.open(server.url, "/jobs", viewer, { mayLog: /401/ });
    await page.getByText("viewer of acme").waitFor();
    await database.pool.query("select legwork.revoke_token(id) from legwork.token_list");
    await page.getByRole("link", { name: "Queues" }).click();
    await page.getByRole("alert").getByText("expired, was revoked").waitFor();
  });

  it("shows an error at once on a page that the token may not read", async () => {
    const page = await browser.open(server.url, "/workers", await makeToken(database, "viewer", "acme"));
    for (const path of ["workers", "alerts"]) {
      if (path !== "workers") await page.goto(`${server.url}/${path}`);
      await page.getByRole("alert").getByText("This page is about every tenant").waitFor();
      await page.getByText("LW403").waitFor();
    }
    await page.goto(`${server.url}/audit`);
    await page.getByRole("alert").getByText("This needs the role admin").waitFor();
  });

  it("shows a tenant's viewer only the pages and buttons that the token allows", async () => {
    const page = await browser.open(server.url, "/", await makeToken(database, "viewer", "acme"));
    await page.getByText("viewer of acme").waitFor();
    const menu = page.getByRole("navigation", { name: "Pages" });
    expect(await menu.getByRole("link").allTextContents()).not.toContain("Audit log");
    expect(await menu.getByRole("link").allTextContents()).not.toContain("Workers");
    expect(await page.getByRole("button", { name: "Stop all" }).count()).toBe(0);
  });

  it("stops everything only after the confirmation is typed, shows it on every page, and resumes", async () => {
    const page = await browser.open(server.url, "/queues", restToken);
    await page.getByRole("button", { name: "Stop all" }).click();
    const dialog = page.getByRole("dialog");
    const stop = dialog.getByRole("button", { name: "Stop everything" });
    expect(await stop.isDisabled()).toBe(true);
    await dialog.getByLabel("Why").fill("wrong mails");
    await dialog.getByLabel("Type stop").fill("stop");
    await stop.click();
    await page.getByRole("alert").getByText("Everything is stopped").waitFor();
    await page.getByRole("link", { name: "Tasks" }).click();
    await page.getByRole("alert").getByText("wrong mails").waitFor();
    const audited = await database.pool.query("select surface, target_type from legwork.audit_log order by id desc limit 1");
    expect(audited.rows).toEqual([{ surface: "dashboard", target_type: "all" }]);
    await page.getByRole("button", { name: "Resume" }).click();
    await until("the banner is gone", async () => (await page.getByRole("alert").count()) === 0);
  });

  it("can be used with the keyboard: pages, search and the list of keys", async () => {
    const page = await browser.open(server.url, "/", restToken);
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.getByRole("heading", { level: 1, name: "Schedules" }).waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await page.keyboard.type("17");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/jobs/17");
  });
});
