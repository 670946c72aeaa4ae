import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testBrowser } from "./support/browser.ts";
import { scaled } from "./support/slowness.ts";

const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const SITE = `${CHECKOUT}/docs/.vitepress/dist`;

beforeAll(async () => {
  const vitepress = `${CHECKOUT}/node_modules/vitepress/bin/vitepress.js`;
  await promisify(execFile)(process.execPath, [vitepress, "build", "docs"], { cwd: CHECKOUT });
}, scaled(180_000));

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".png": "image/png",
};

/** A plain static server: it serves the site's files under a path, without any rewrite rules. */
async function serve(base: string): Promise<{ url: string; missing: string[] }> {
  const missing: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURI((request.url ?? "").split("?")[0] ?? "");
    const file = normalize(path.slice(base.length)).replace(/(^|\/)\.?$/, "$1index.html");
    void readFile(`${SITE}/${path.startsWith(base) ? file : "missing"}`).then(
      (content) => response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "text/plain" }).end(content),
      () => {
        missing.push(path);
        response.writeHead(404).end();
      },
    );
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  afterAll(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, missing };
}

/** The failed requests of a page, from now on. Requests that the browser aborts when it leaves a page do not count. */
function failedRequests(page: Page): string[] {
  const failed: string[] = [];
  page.on("requestfailed", (request) => {
    if (request.failure()?.errorText !== "net::ERR_ABORTED") failed.push(request.url());
  });
  return failed;
}

// Expressions for the browser are strings, because the tests are compiled without the types of the DOM.
const backgroundOf = (page: Page): Promise<string> => page.evaluate("getComputedStyle(document.body).backgroundColor");
const PICTURES_ARE_THERE =
  "document.images.length > 2 && [...document.images].every((image) => image.complete && image.naturalWidth > 0)";

describe("the site", () => {
  const browser = testBrowser();

  it.each(["/", "/some/prefix/"])("works under %s of a static server", async (base) => {
    const { url, missing } = await serve(base);
    const page = await browser.open(url, base, null);
    const failed = failedRequests(page);

    await page.getByRole("link", { name: "Start in five minutes" }).first().click();
    await page.waitForURL(`${url}${base}guides/start.html`);
    await page.getByRole("heading", { level: 1, name: "Start in five minutes" }).waitFor();
    // Opens a page in a subfolder by a link within the application, and then loads it directly.
    await page.getByRole("link", { name: "Dashboard", exact: true }).first().click();
    await page.waitForURL(`${url}${base}guides/dashboard.html`);
    await page.waitForFunction(PICTURES_ARE_THERE);
    await page.reload();
    await page.waitForFunction(PICTURES_ARE_THERE);

    await page.getByRole("button", { name: "Search" }).first().click();
    await page.getByRole("searchbox").or(page.locator("#localsearch-input")).first().fill("waiting room");
    await page.locator(".VPLocalSearchBox .result").first().click();
    await page.waitForURL((address) => address.pathname.startsWith(base) && !address.pathname.endsWith("/dashboard.html"));

    const light = await backgroundOf(page);
    await page.locator(".VPNavBarAppearance .VPSwitchAppearance").click();
    expect(await backgroundOf(page)).not.toBe(light);
    expect({ failed, missing }).toEqual({ failed: [], missing: [] });
  });

  it("can be read from a folder, without a server", async () => {
    const page = await browser.open(pathToFileURL(`${SITE}/`).href, "index.html", null);
    const failed = failedRequests(page);
    await page.getByRole("link", { name: "Start in five minutes" }).first().click();
    await page.waitForURL(/\/guides\/start\.html$/);
    await page.getByRole("link", { name: "Dashboard", exact: true }).first().click();
    await page.waitForURL(/\/guides\/dashboard\.html$/);
    await page.waitForFunction(PICTURES_ARE_THERE);
    // If the sidebar is next to the text, the style sheets were loaded.
    const [sidebar, text] = [await page.locator(".VPSidebar").boundingBox(), await page.locator(".vp-doc").boundingBox()];
    expect((sidebar?.x ?? 0) + (sidebar?.width ?? 0)).toBeLessThanOrEqual(text?.x ?? 0);
    const light = await backgroundOf(page);
    await page.locator(".VPNavBarAppearance .VPSwitchAppearance").click();
    expect(await backgroundOf(page)).not.toBe(light);
    await page.getByRole("link", { name: "Legwork" }).first().click();
    await page.waitForURL(/\/index\.html$/);
    expect(failed).toEqual([]);
  });

  it("has an llms.txt that lists every page with its description, and the pages as Markdown", async () => {
    const list = await readFile(`${SITE}/llms.txt`, "utf8");
    expect(list).toMatch(/^# Legwork\n\n> .+\n\n## Start\n\n- \[/);
    const pages = [...list.matchAll(/^- \[(.+?)\]\((.+?)\): (.+)$/gm)];
    expect(pages.length).toBeGreaterThan(30);
    expect(list.match(/^- /gm)).toHaveLength(pages.length);
    for (const [, title = "", path = "", description = ""] of pages) {
      expect(await readFile(`${SITE}/${path}`, "utf8")).toContain(`# ${title}`.slice(0, 8));
      expect([path, description.length > 20]).toEqual([path, true]);
    }
    expect(await readFile(`${SITE}/llms-full.txt`, "utf8")).toContain("# Start in five minutes");
  });
});
