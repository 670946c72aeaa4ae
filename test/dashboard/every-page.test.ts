import { afterAll, beforeAll, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";
import { makeToken, restToken, startRest } from "../support/rest.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
const browser = testBrowser();
let server: Server;
/** The URL of every page, most of them with some content. */
const paths: string[] = [];

beforeAll(async () => {
  server = await startRest(database);
  const one = async (text: string): Promise<string> => (await database.pool.query(text)).rows[0].id;
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "mail/send", "queue": "mail"}, {"name": "report"}]')`,
  );
  // Long names and limits, as large systems have them.
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "conversations/refresh_all_documents", "queue": "conversation-maintenance"}]')`,
  );
  await database.pool.query(
    `select legwork.limit_concurrency(10, task => 'conversations/refresh_all_documents', key => 'workspaceId'),
       legwork.limit_rate(10000, '90 minutes', task => 'conversations/refresh_all_documents', key => 'workspaceId'),
       legwork.limit_concurrency(10, queue => 'conversation-maintenance', key => 'workspaceId')`,
  );
  await database.pool.query(
    "select legwork.limit_rate(5, '1 minute', task => 'mail/send'), legwork.pause_queue('default', 'moving')",
  );
  await database.pool.query("select legwork.schedule('nightly', 'report', cron => '30 2 * * *', timezone => 'Europe/Berlin')");
  const failed = await one("select legwork.enqueue('mail/send', '{\"to\": \"ann\"}', tenant => 'acme') as id");
  await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'no such mailbox')", [failed]);
  const waiting = await one("select legwork.enqueue('report') as id");
  const workflow = await one(
    `select legwork.start_workflow('night', '{"a": {"task": "mail/send"}, "b": {"task": "report", "depends_on": ["a"]}}') as id`,
  );
  const batch = await one(`select legwork.enqueue_batch('[{"task": "report"}]', description => 'a batch') as id`);
  const worker = new HandWorker("by-hand");
  const jobs = await worker.fetch(database.pool, 10);
  await worker.complete(
    database.pool,
    jobs.map(({ id }) => id),
  );
  await database.pool.query("select legwork_private.roll_up()");
  paths.push(
    "/",
    "/jobs",
    `/jobs/${failed}`,
    `/jobs/${waiting}`,
    "/failed",
    "/queues",
    "/queues/mail",
    "/tasks",
    "/tasks/mail%2Fsend",
  );
  paths.push(
    "/schedules",
    "/schedules/nightly",
    "/schedules?new=yes",
    "/workflows",
    `/workflows/${workflow}`,
    `/batches/${batch}`,
  );
  paths.push("/workers", "/alerts", "/database", "/audit", "/settings", "/no-such-page");
});
afterAll(async () => {
  await server.stop();
});

it(
  "every page is accessible in both themes, has its own heading and logs no errors",
  async () => {
    const page = await browser.open(server.url, "/", restToken);
    const headings = new Set<string>();
    for (const path of paths) {
      await page.goto(server.url + path);
      const heading = page.getByRole("heading", { level: 1 });
      await heading.waitFor();
      await until("everything has loaded", async () => (await page.locator("main .loading").count()) === 0);
      for (const colorScheme of ["light", "dark"] as const) {
        // Pages adapt to the system's theme immediately.
        await page.emulateMedia({ colorScheme });
        await expectAccessible(page, colorScheme === "light" ? "all" : "colors");
      }
      // Nothing scrolls sideways: narrow tables wrap their words, and become cards on a phone.
      for (const width of [390, 1024, 1280]) {
        await page.setViewportSize({ width, height: 800 });
        const wide =
          "[document.documentElement, ...document.querySelectorAll('.table-scroll')].filter((each) => each.scrollWidth > each.clientWidth + 1).length";
        expect(await page.evaluate(wide), `${path} at ${width} pixels`).toBe(0);
      }
      headings.add(`${await heading.textContent()} ${path.split("?")[0]}`);
    }
    expect(headings.size).toBe(new Set(paths.map((path) => path.split("?")[0])).size);
  },
  scaled(90_000),
);

it("a page that a role may not read is not in the menu, and opening its URL shows that it is not allowed", async () => {
  const page = await browser.open(server.url, "/audit", await makeToken(database, "viewer"), { mayLog: /403/ });
  await page
    .getByText("LW403")
    .or(page.getByText(/requires the role|is for/))
    .first()
    .waitFor();
  await page.getByRole("link", { name: "Jobs" }).waitFor();
  expect(await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Audit log" }).count()).toBe(0);
});
