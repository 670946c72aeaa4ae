import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import webPush from "web-push";
import { testDatabase } from "../support/database.ts";
import { gitRepository } from "../support/git-repository.ts";
import { httpServer } from "../support/http-server.ts";
import { configure, TASKS } from "../support/job.ts";
import { smtpServer } from "../support/smtp-server.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver } from "../support/worker.ts";

const database = testDatabase();
const page = await readFile(new URL("../../docs/guides/tasks.md", import.meta.url), "utf8");

async function taskNames(): Promise<string[]> {
  const files = await readdir(TASKS, { recursive: true });
  return files.filter((file) => file.endsWith(".ts") && !file.startsWith("@lib")).map((file) => file.replace(/\.ts$/, ""));
}

it("every task has a description, schemas for its payload and result, and an example in docs/guides/tasks.md", async () => {
  await workerOver(database.url, [TASKS]);
  const { rows } = await database.pool.query(
    `select name, description, payload_schema -> 'properties' is not null as payload, result_schema -> 'properties' is not null as result
     from legwork.tasks order by name`,
  );
  const names = await taskNames();
  expect(rows.map(({ name }) => name)).toEqual(names.toSorted());
  for (const { name, description, payload, result } of rows) {
    expect([name, description.length > 20, payload, result]).toEqual([name, true, true, true]);
    expect(page).toContain(`select legwork.enqueue('${name}', '`);
  }
});

it("the examples in docs/guides/tasks.md run, against servers on this machine", async () => {
  const backups = await directoryOf({});
  const logs = await directoryOf({ "app.log": "x" });
  const repository = await gitRepository({ "README.md": "# Hi\n" });
  const { url } = await httpServer((response) => response.end('{"id": "sms-1"}'));
  const smtp = await smtpServer();
  const keys = webPush.generateVAPIDKeys();
  configure({
    LEGWORK_ALLOWED_FOLDERS: [backups, logs, repository].join(","),
    LEGWORK_ALLOWED_ADDRESSES: "127.0.0.1",
    LEGWORK_SMTP_URL: smtp.url,
    LEGWORK_MAIL_FROM: "App <app@example.com>",
    LEGWORK_WEB_PUSH_SUBJECT: "mailto:ops@example.org",
    LEGWORK_WEB_PUSH_PUBLIC_KEY: keys.publicKey,
    LEGWORK_WEB_PUSH_PRIVATE_KEY: keys.privateKey,
    LEGWORK_SMS_URL: url,
    LEGWORK_WEBHOOK_SECRET: `whsec_${randomBytes(24).toString("base64")}`,
    LEGWORK_ENDPOINT_SECRET: `whsec_${randomBytes(24).toString("base64")}`,
    LEGWORK_WEBHOOK_ENDPOINTS: JSON.stringify({ ops: url }),
    LEGWORK_GIT_PROTOCOLS: "file",
    LEGWORK_REPORTS_FOLDER: await directoryOf({
      "usage-by-workspace.sql":
        "select workspace, count(*) as documents from documents where created_at > now() - $1::interval group by 1",
    }),
  });
  await workerOver(database.url, [TASKS]);
  const blocks = [...page.matchAll(/```sql\n([\s\S]+?)```/g)].map((match) => match[1] ?? "");
  for (const block of blocks) {
    const here = block
      .replaceAll("/var/backups/app", backups)
      .replaceAll("/var/log/app", logs)
      .replaceAll("https://github.com/graphile/worker.git", repository)
      .replaceAll(/https:\/\/(push\.)?example\.org/g, url);
    await database.pool.query(here);
    await until("the example's jobs have ended", async () => {
      const { rows } = await database.pool.query("select from legwork.jobs where finished_at is null and state <> 'failed'");
      return rows.length === 0;
    });
  }
  const { rows } = await database.pool.query("select task, state, error from legwork.jobs order by id");
  expect(rows.filter(({ state }) => state !== "completed")).toEqual([]);
  expect(new Set(rows.map(({ task }) => task))).toEqual(new Set(await taskNames()));
});
