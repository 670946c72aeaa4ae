import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { createLegwork } from "../../src/embed.ts";
import { testBrowser } from "../support/browser.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase, testLog } from "../support/database.ts";
import { pathProxy } from "../support/path-proxy.ts";
import { restToken, startRest } from "../support/rest.ts";

const database = testDatabase();
const browser = testBrowser();
const at = "/tools/jobs";

/** Starts `legwork server`. Returns its URL without a path. */
async function serverUrl(options: Parameters<typeof startRest>[1]): Promise<string> {
  const server = await startRest(database, { graphqlIntrospection: true, ...options });
  onTestFinished(() => server.stop());
  return new URL(server.url).origin;
}

/** Expects the dashboard with its links and live updates, the other pages, REST and the command line to work at a URL. */
async function expectEverythingAt(url: string): Promise<void> {
  const page = await browser.open(url, `${at}/queues`, restToken);
  await page.getByRole("heading", { level: 1, name: "Queues" }).waitFor();
  await page.locator('[data-connection="open"]').waitFor();
  await page.getByRole("link", { name: "Jobs", exact: true }).first().click();
  await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
  expect(page.url()).toMatch(`${url}/jobs`);
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Jobs" }).waitFor();
  for (const path of ["/docs", "/graphql"]) {
    const response = await fetch(url + path, { headers: { accept: "text/html" } });
    const files = [...(await response.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, file = ""]) => new URL(file, response.url),
    );
    expect(files.length).toBeGreaterThan(1);
    for (const file of files) expect([file.href, (await fetch(file)).status]).toEqual([file.href, 200]);
  }
  expect(await (await fetch(`${url}/docs/json`)).json()).toMatchObject({ servers: [{ url: at }] });
  expect(await (await fetch(url)).json()).toMatchObject({ dashboard: `${at}/`, rest: { url: `${at}/api/v1` } });
  const listed = await legwork(["queues", "--json"], { LEGWORK_URL: `${url}/`, LEGWORK_TOKEN: restToken });
  expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining('"default"') });
}

it("a server with a public path works behind proxies that remove or keep the path", async () => {
  const behind = await serverUrl({ publicPath: at, hosts: ["127.0.0.1"] });
  for (const to of ["", at]) await expectEverythingAt(await pathProxy(behind, { at, to }));
});

it("a server accepts the removed path only from a trusted proxy, and ignores invalid paths", async () => {
  const headers = { "x-forwarded-prefix": at };
  const behind = await serverUrl({ trustProxy: ["127.0.0.1"], hosts: ["127.0.0.1"] });
  await expectEverythingAt(await pathProxy(behind, { at, to: "", headers }));
  const baseOf = async (url: string, prefix: string): Promise<string | undefined> => {
    const response = await fetch(url, { headers: { accept: "text/html", "x-forwarded-prefix": prefix } });
    return /<base href="([^"]*)"/.exec(await response.text())?.[1];
  };
  expect(await baseOf(behind, "/a/b/")).toBe("/a/b/");
  for (const text of ['/a"><script>', "//evil.example", "https://evil.example", "/a, /b"])
    expect(await baseOf(behind, text)).toBe("/");
  expect(await baseOf(await serverUrl({}), "/a")).toBe("/");
  expect(await baseOf(await serverUrl({ trustProxy: ["10.0.0.1"] }), "/a")).toBe("/");
});

it("a mounted server works behind a proxy that changes the path", async () => {
  const mounted = await createLegwork({
    databaseUrl: database.url,
    log: testLog,
    token: restToken,
    server: "mount",
    prefix: "/jobs",
    publicPath: `${at}/`,
    hosts: ["127.0.0.1"],
    graphqlIntrospection: true,
  });
  onTestFinished(() => mounted.stop());
  const app = createServer((request, response) => {
    if (request.url?.startsWith("/jobs") === true) mounted.handler(request, response);
    else response.writeHead(404).end("my own");
  }).on("upgrade", mounted.upgrade);
  await once(app.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void app.close());
  const behind = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
  await expectEverythingAt(await pathProxy(behind, { at, to: "/jobs" }));
});

it("the dashboard shows its pages and a message if no live connection can be opened", async () => {
  const behind = await serverUrl({ publicPath: at });
  const refused = await pathProxy(behind, { at, to: at, headers: { origin: "https://elsewhere.example" } });
  const page = await browser.open(refused, `${at}/queues`, restToken, { mayLog: /WebSocket/ });
  await page.locator('[data-connection="barred"]').waitFor();
  expect(await page.locator(".connection").getAttribute("title")).toMatch(/^The live connection cannot be opened, although/);
  const silent = await browser.open(await pathProxy(behind, { at, to: at, webSockets: false }), `${at}/queues`, restToken);
  await silent.locator('[data-connection="barred"]').waitFor({ timeout: 20_000 });
  await silent.getByRole("cell", { name: "default" }).first().waitFor();
});

it("a public path that is invalid or collides with one of the server's own paths is rejected", async () => {
  for (const path of ["tools", "/tools//jobs", "/docs", "/api/v1/x", "/graphql/"]) {
    await expect(createLegwork({ databaseUrl: database.url, publicPath: path })).rejects.toMatchObject({ code: "LW514" });
  }
});
