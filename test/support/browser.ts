import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterEach, beforeAll } from "vitest";
import { chromiumPath } from "./chromium-path.ts";
import { scaled } from "./slowness.ts";

export interface TestBrowser {
  /**
   * Opens the dashboard at a path, signed in with a token unless it is null. An error that the page logs fails the test, unless it matches `mayLog`.
   */
  open(serverUrl: string, path: string, token: string | null, options?: OpenOptions): Promise<Page>;
}

export interface OpenOptions {
  theme?: "light" | "dark";
  width?: number;
  height?: number;
  timezone?: string;
  mayLog?: RegExp;
}

/** The browser of this process, which runs one test file after another. It is closed when the process ends. */
let browser: Browser | undefined;

/** Opens each page with a new profile. */
export function testBrowser(): TestBrowser {
  const contexts: BrowserContext[] = [];
  const complaints: string[] = [];
  beforeAll(async () => {
    // Chromium's sandbox does not work for root, but the pages are trusted.
    browser ??= await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox"] });
  });
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    const said = complaints.splice(0);
    if (said.length > 0) throw new Error(`The page logged errors: ${said.join("\n")}`);
  });
  return {
    async open(serverUrl, path, token, { theme = "light", width = 1280, height = 800, timezone = "Europe/Berlin", mayLog } = {}) {
      const context = await (browser as Browser).newContext({
        viewport: { width, height },
        colorScheme: theme,
        timezoneId: timezone,
        locale: "en-GB",
        reducedMotion: "reduce",
      });
      contexts.push(context);
      context.setDefaultTimeout(scaled(15_000));
      const page = await context.newPage();
      const complain = (text: string): void => {
        if (mayLog?.test(text) !== true) complaints.push(text);
      };
      page.on("pageerror", (error) => complain(error.message));
      page.on("console", (message) => {
        if (message.type() === "error") complain(message.text());
      });
      await page.goto(new URL(path + (token === null ? "" : `#token=${encodeURIComponent(token)}`), serverUrl).href);
      return page;
    },
  };
}
