import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Server } from "../../src/server/server.ts";
import { expectAccessible } from "../support/axe.ts";
import { testBrowser } from "../support/browser.ts";
import { testDatabase } from "../support/database.ts";
import { HandWorker } from "../support/hand-worker.ts";
import { makeToken, rest, restToken, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const database = testDatabase();
const browser = testBrowser();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "mail/send", "queue": "mail", "description": "Sends one mail.", "payload_schema": {"type": "object"}}, {"name": "report"}]')`,
  );
  await database.pool.query(
    "select legwork.enqueue_many((select jsonb_agg(jsonb_build_object('task', 'mail/send', 'payload', '{}'::jsonb)) from generate_series(1, 7)))",
  );
  const worker = new HandWorker("by-hand");
  const jobs = await worker.fetch(database.pool, 7);
  await worker.complete(
    database.pool,
    jobs.map(({ id }) => id),
  );
  await database.pool.query("select legwork_private.roll_up()");
});
afterAll(async () => {
  await server.stop();
});

describe("the tasks page", () => {
  it("lists tasks with the outcomes of their jobs, and keeps the filter and sort order in the URL", async () => {
    const page = await browser.open(server.url, "/tasks", restToken);
    const row = page.getByRole("row", { name: /^mail\/send/ });
    await row.getByRole("cell", { name: "7", exact: true }).waitFor();
    await expectAccessible(page);
    await page.getByLabel("Queue", { exact: true }).selectOption("mail");
    expect(page.url()).toContain("queue=mail");
    expect(await page.getByRole("row").count()).toBe(2);
    await page.getByRole("button", { name: "Completed" }).click();
    expect(page.url()).toContain("sort=-completed");
    expect(await page.getByRole("columnheader", { name: "Completed" }).getAttribute("aria-sort")).toBe("descending");
    await page.getByLabel("Find task").fill("nothing");
    await page.getByText("No matching tasks").waitFor();
  });

  it("shows a tenant's viewer only what the token may read, and requests nothing else", async () => {
    const page = await browser.open(server.url, "/tasks", await makeToken(database, "viewer", "acme"));
    await page.getByRole("link", { name: "mail/send" }).waitFor();
    expect(await page.getByRole("columnheader", { name: "Health" }).count()).toBe(0);
    await page.getByRole("link", { name: "mail/send" }).click();
    await page.getByRole("heading", { name: "Definition" }).waitFor();
    expect(await page.getByText("Throughput and latency").count()).toBe(0);
    expect(
      await page
        .getByRole("main")
        .getByRole("button", { name: /Pause|Enqueue|Add limit/ })
        .count(),
    ).toBe(0);
  });
});

describe("a task's page", () => {
  it("shows the outcomes of its jobs over time, and its definition", async () => {
    const page = await browser.open(server.url, "/tasks/mail%2Fsend", restToken, { theme: "dark" });
    await page.getByText("Sends one mail.").waitFor();
    await page.locator(".figure", { hasText: "Completed" }).getByText("7", { exact: true }).waitFor();
    await page.getByRole("region", { name: "Throughput and latency" }).waitFor();
    await page.getByText("Payload schema").click();
    await page.getByRole("region", { name: "Payload schema" }).getByText('"object"').waitFor();
    await expectAccessible(page);
  });

  it("changes limits in place, and pauses the task with a reason, which explains why its jobs are waiting", async () => {
    const page = await browser.open(server.url, "/tasks/mail%2Fsend", restToken);
    const limits = page.getByRole("region", { name: "Limits", exact: true });
    await limits.getByRole("button", { name: "Add limit" }).click();
    await limits.getByLabel("Type").selectOption("rate");
    await limits.getByLabel("Max starts").fill("5");
    await limits.getByLabel("Per", { exact: true }).fill("1m");
    await limits.getByRole("button", { name: "Save" }).click();
    await limits.getByText("per minute").waitFor();
    expect((await rest(server, "GET", "/tasks/mail%2Fsend")).body.limits).toEqual([{ kind: "rate", max: 5, per: "00:01:00" }]);
    await page.getByRole("button", { name: "Pause mail/send" }).click();
    await page.getByLabel("Reason (optional)").fill("bounces");
    await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
    await page.getByText("bounces").first().waitFor();
    const { rows } = await database.pool.query("select legwork.enqueue('mail/send') as id");
    expect(JSON.stringify((await rest(server, "GET", `/jobs/${rows[0].id}/explain`)).body)).toContain("bounces");
    await page.getByRole("button", { name: "Enqueue job" }).click();
    await page.getByRole("dialog").waitFor();
    expect(page.url()).toContain("/jobs");
  });
});

describe("a choice among more than 20 options", () => {
  it("is narrowed by typing, and keeps the chosen option until another one is chosen", async () => {
    await database.pool.query(
      "select legwork_private.register_tasks((select jsonb_agg(jsonb_build_object('name', 'many/' || n, 'queue', 'line-' || n)) from generate_series(1, 150) n))",
    );
    const page = await browser.open(server.url, "/tasks", restToken);
    const choice = page.getByRole("combobox", { name: "Queue" });
    await choice.click();
    const list = page.getByRole("listbox", { name: "Queue" });
    await page.getByText("53 more; type to narrow the list").waitFor();
    await expectAccessible(page);
    await choice.fill("LINE-14");
    expect(await list.getByRole("option").allTextContents()).toEqual([
      "line-14",
      ...Array.from({ length: 10 }, (_, n) => `line-14${n}`),
    ]);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("row", { name: /^many\/140/ }).waitFor();
    expect(page.url()).toContain("queue=line-140");
    await choice.fill("nothing");
    await page.getByText("No match").waitFor();
    await page.keyboard.press("Escape");
    expect(await choice.inputValue()).toBe("line-140");
    await choice.click();
    await list.getByRole("option", { name: "Any queue" }).click();
    await page.getByRole("row", { name: /^mail\/send/ }).waitFor();
    expect(await choice.inputValue()).toBe("");
  });
});

describe("a thousand tasks", () => {
  it("are all found on the page, in the palette and in filters, and the page draws 200 rows until it is asked for all", async () => {
    await database.pool.query(
      "select legwork_private.register_tasks((select jsonb_agg(jsonb_build_object('name', 'thousand/' || n, 'queue', 'q')) from generate_series(1, 1000) n))",
    );
    const page = await browser.open(server.url, "/tasks", restToken);
    await page.getByText("First 200 of 1,").waitFor();
    expect(await page.getByRole("row").count()).toBe(201);
    await page.getByRole("button", { name: "Show all" }).click();
    const last = page.getByRole("row", { name: /^thousand\/999/ });
    await last.scrollIntoViewIfNeeded();
    await last.getByRole("link", { name: "thousand/999" }).click();
    await page.getByRole("heading", { level: 1, name: "thousand/999" }).waitFor();
    await page.goBack();
    await last.waitFor();
    await page.getByLabel("Find task").fill("thousand/998");
    await until("one row is left", async () => (await page.getByRole("row").count()) === 2);
    await page.keyboard.press("Control+K");
    await page.getByRole("dialog").getByRole("combobox").fill("thousand/997");
    await page.getByRole("option", { name: /^thousand\/997/, selected: true }).waitFor();
    await page.keyboard.press("Escape");
    await page.goto(`${server.url}/jobs`);
    await page.getByRole("combobox", { name: /Filter/ }).fill("task:thousand/99");
    await page.getByRole("option", { name: /thousand\/996/ }).waitFor();
  });
});
