import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { chromiumPath } from "../test/support/chromium-path.ts";

/**
 * Takes the screenshots of docs/guides/dashboard.md: every page, light and dark, of a running `npm start` (LEGWORK_URL and LEGWORK_TOKEN, or its
 * ready.json). Run `npm run screenshots` after the server has run for a few minutes, so that the pages have content.
 */
const FOLDER = fileURLToPath(new URL("../docs/dashboard/", import.meta.url));

interface Shot {
  name: string;
  path: string;
  /** A text that is visible once the page has loaded. */
  text: string | RegExp;
}

const { httpUrl, token } = await findServer();

async function findServer(): Promise<{ httpUrl: string; token: string }> {
  const { LEGWORK_URL, LEGWORK_TOKEN, LEGWORK_DATA_DIR = ".legwork" } = process.env;
  if (LEGWORK_URL !== undefined && LEGWORK_TOKEN !== undefined) return { httpUrl: LEGWORK_URL, token: LEGWORK_TOKEN };
  const { readFile } = await import("node:fs/promises");
  return JSON.parse(await readFile(`${LEGWORK_DATA_DIR}/ready.json`, "utf8")) as { httpUrl: string; token: string };
}

/** Returns the first row of one of the demo's lists. */
async function first<T>(path: string): Promise<T | undefined> {
  const response = await fetch(`${httpUrl}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
  return ((await response.json()) as { items: T[] }).items[0];
}

async function findShots(): Promise<Shot[]> {
  const failed = await first<{ id: string }>("/jobs?state=failed&limit=1");
  const job = failed ?? (await first<{ id: string }>("/jobs?limit=1"));
  const queue = await first<{ name: string }>("/queues");
  const task = await first<{ task: string }>("/task-statistics?period=1h");
  const schedule = await first<{ name: string }>("/schedules?limit=1");
  const workflow = await first<{ id: string }>("/workflows?limit=1");
  return [
    { name: "overview", path: "/", text: "Overview" },
    { name: "jobs", path: "/jobs", text: "Jobs" },
    ...(job === undefined ? [] : [{ name: "job", path: `/jobs/${job.id}`, text: new RegExp(job.id) }]),
    { name: "failed", path: "/failed", text: /Failed/ },
    { name: "queues", path: "/queues", text: "Queues" },
    ...(queue === undefined ? [] : [{ name: "queue", path: `/queues/${encodeURIComponent(queue.name)}`, text: queue.name }]),
    { name: "tasks", path: "/tasks", text: "Tasks" },
    ...(task === undefined ? [] : [{ name: "task", path: `/tasks/${encodeURIComponent(task.task)}`, text: task.task }]),
    { name: "schedules", path: "/schedules", text: "Schedules" },
    ...(schedule === undefined
      ? []
      : [{ name: "schedule", path: `/schedules/${encodeURIComponent(schedule.name)}`, text: schedule.name }]),
    { name: "workflows", path: "/workflows", text: "Workflows" },
    ...(workflow === undefined ? [] : [{ name: "workflow", path: `/workflows/${workflow.id}`, text: /./ }]),
    { name: "workers", path: "/workers", text: "Workers" },
    { name: "alerts", path: "/alerts", text: "Alerts" },
    { name: "database", path: "/database", text: /Database/ },
    { name: "audit", path: "/audit", text: "Audit log" },
    { name: "settings", path: "/settings", text: "Settings" },
  ];
}

async function take(
  browser: Browser,
  shots: readonly Shot[],
  theme: "light" | "dark",
  width: number,
  suffix: string,
): Promise<void> {
  const context = await browser.newContext({
    viewport: { width, height: width < 500 ? 844 : 800 },
    colorScheme: theme,
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  await page.goto(`${httpUrl}/#token=${encodeURIComponent(token)}`);
  for (const { name, path, text } of shots) {
    await page.goto(httpUrl + path);
    await page.getByRole("heading", { level: 1 }).filter({ hasText: text }).waitFor();
    // Wait until the data has arrived and the page no longer shows gray placeholders.
    await page.waitForFunction(() => document.querySelector(".loading") === null);
    await page.waitForLoadState("networkidle").catch(() => undefined);
    await page.screenshot({ path: `${FOLDER}${name}${suffix}.png` });
    console.log(`${name}${suffix}.png`);
  }
  await context.close();
}

await mkdir(FOLDER, { recursive: true });
const shots = await findShots();
const browser = await chromium.launch({
  executablePath: chromiumPath(),
  args: ["--no-sandbox", "--hide-scrollbars"],
});
try {
  await take(browser, shots, "light", 1280, "");
  await take(browser, shots, "dark", 1280, "-dark");
  await take(
    browser,
    shots.filter(({ name }) => ["overview", "jobs", "job"].includes(name)),
    "light",
    390,
    "-phone",
  );
} finally {
  await browser.close();
}
