import { defineWorkflow, enqueue, type Queryable } from "legwork";
import {
  cancelJob,
  enqueueBatch,
  pauseQueue,
  retryJobs,
  schedule,
  sendSignal,
  setAlertChannels,
  startWorkflow,
} from "legwork/operations";
import { startChat } from "../chat/start.ts";
import type { Work } from "./examples.ts";
import type { StandIns } from "./stand-ins.ts";

const TENANTS = ["acme", "globex", "initech"] as const;
const USERS = 12;
/** The user whose mailbox no longer exists: the mail server permanently rejects every email to gone.example. */
const GONE = 7;

const any = (from: readonly string[]): string => from[Math.floor(Math.random() * from.length)] ?? "";
const anyUser = (): number => 1 + Math.floor(Math.random() * USERS);

export const settings = (standIns: StandIns): Record<string, string> => ({
  LEGWORK_SMTP_URL: standIns.smtpUrl,
  LEGWORK_MAIL_FROM: "Chat <chat@example.com>",
  LEGWORK_SMS_URL: `${standIns.httpUrl}/sms`,
  LEGWORK_WEBHOOK_SECRET: standIns.webhookSecret,
  LEGWORK_WEBHOOK_ENDPOINTS: JSON.stringify({ partner: `${standIns.httpUrl}/partner` }),
  LEGWORK_REPORTS_FOLDER: standIns.reports,
});

export const start = (databaseUrl: string): Promise<void> => startChat(databaseUrl);

export async function first(client: Queryable): Promise<void> {
  await client.query(
    `insert into chat.users (name, email, phone)
     select 'User ' || n, 'user' || n || '@' || case when n = $2 then 'gone.example' else 'example.com' end, '+43660' || 1000000 + n
     from generate_series(1, $1) n where not exists (select from chat.users)`,
    [USERS, GONE],
  );
  await setAlertChannels(client, [{ task: "demo/tell-operators" }]);
  await schedule(client, "demo/forget-messages", "retention/expire", {
    every: "5m",
    overlap: "skip",
    payload: { table: "chat.messages", olderThan: "30 minutes", rate: { rows: 100 } },
  });
  await schedule(client, "demo/forget-events", "retention/expire", {
    every: "1h",
    overlap: "skip",
    requires: { "demo/forget-messages": "1h" },
    payload: { table: "calendar.events", column: "ends_at", olderThan: "7 days" },
  });
  await schedule(client, "demo/performance", "chat/report", {
    every: "10m",
    payload: { type: "performance", params: { period: "1 hour", format: "html" } },
  });
  await schedule(client, "demo/spring-campaign", "demo/newsletter", {
    cron: "0 9 * 3-5 MON",
    timezone: "Europe/Vienna",
    enabled: false,
    payload: { edition: "Spring campaign" },
  });
  await pauseQueue(client, "newsletter", "The template is being redesigned");
}

/** A workspace's daily digest: imports messages, creates two reports, and notifies a user. */
const digest = (workspace: string) =>
  defineWorkflow({
    name: "daily-digest",
    steps: {
      import: { task: "demo/import-messages", payload: { workspace: `${workspace}-today`, messages: 60, perSecond: 20 } },
      usage: { task: "chat/report", payload: { type: "usage", params: { period: "1 day" } }, dependsOn: ["import"] },
      audit: {
        task: "chat/report",
        payload: { type: "audit", params: { period: "1 day" } },
        dependsOn: ["import"],
        onFailure: "continue",
      },
      tell: {
        task: "chat/notification",
        payload: { type: "email", userId: 1, message: `The digest of ${workspace} is ready.` },
        dependsOn: ["usage", "audit"],
        delay: "5s",
      },
    },
  });

export const work: readonly Work[] = [
  {
    every: 8,
    needs: ["LEGWORK_SMTP_URL", "LEGWORK_SMS_URL"],
    run: (client) => {
      const payload = { type: any(["email", "email", "sms"]), userId: anyUser(), message: "You have a new message." };
      return enqueue(client, "chat/notification", payload, { tenant: any(TENANTS), maxAttempts: 3 });
    },
  },
  // Failures with the same error form a group. They are caused early, so that the dashboard shows some on the first visit.
  {
    every: 240,
    begins: 2,
    needs: ["LEGWORK_SMTP_URL"],
    run: async (client) => {
      for (const message of ["You have a new message.", "You were mentioned."]) {
        await enqueue(
          client,
          "chat/notification",
          { type: "email", userId: GONE, message },
          { tenant: "globex", maxAttempts: 3 },
        );
      }
    },
  },
  // The partner's server is down for two of every six minutes, so attempts fail and are retried.
  {
    every: 30,
    needs: ["LEGWORK_WEBHOOK_ENDPOINTS", "LEGWORK_WEBHOOK_SECRET"],
    run: (client) =>
      enqueue(
        client,
        "notify/webhook",
        { endpoint: "partner", body: { event: "message.created" } },
        { tenant: any(TENANTS), maxAttempts: 6 },
      ),
  },
  // Two imports in one workspace at the same time: the second waits for the first.
  {
    every: 75,
    run: async (client) => {
      const workspace = any(TENANTS);
      for (const messages of [240, 120]) {
        await enqueue(client, "demo/import-messages", { workspace, messages, perSecond: 8 }, { tenant: workspace });
      }
    },
  },
  { every: 150, needs: ["LEGWORK_SMTP_URL"], run: (client) => startWorkflow(client, digest(any(TENANTS))) },
  {
    every: 200,
    needs: ["LEGWORK_SMTP_URL", "LEGWORK_SMS_URL"],
    run: (client) =>
      enqueueBatch(
        client,
        Array.from({ length: USERS }, (_one, index) => ({
          task: "chat/notification",
          payload: {
            type: index % 2 === 0 ? "sms" : "email",
            userId: index + 1,
            message: "The chat will be down for an hour tonight.",
          },
          runAt: new Date(Date.now() + index * 3_000),
          maxAttempts: 2,
        })),
        {
          description: "Announcement to all users",
          callback: {
            task: "chat/notification",
            payload: { type: "email", userId: 1, message: "All users have been notified." },
          },
        },
      ),
  },
  // Two jobs for later; the second is cancelled.
  {
    every: 120,
    needs: ["LEGWORK_SMS_URL"],
    run: async (client) => {
      const reminder = { type: "sms", userId: 1, message: "Your meeting starts in ten minutes." };
      await enqueue(client, "chat/notification", reminder, { runAt: new Date(Date.now() + 20 * 60_000), tenant: "acme" });
      const second = await enqueue(client, "chat/notification", reminder, {
        runAt: new Date(Date.now() + 3_600_000),
        tenant: "acme",
      });
      await cancelJob(client, second, "The meeting was called off");
    },
  },
  // Jobs in the paused queue: a few wait, and those with an expiry time expire.
  {
    every: 180,
    needs: ["LEGWORK_SMTP_URL"],
    run: async (client) => {
      const { rows } = await client.query("select paused::int < 4 as wanted from legwork.queues where name = 'newsletter'");
      if (rows[0]?.wanted === true) await enqueue(client, "demo/newsletter", { edition: "Weekly news" });
      await enqueue(client, "demo/newsletter", { edition: "Flash offer" }, { expiresAt: new Date(Date.now() + 5_000) });
    },
  },
  // Waits for an approval, which arrives when the next job is enqueued.
  {
    every: 160,
    run: async (client) => {
      const { rows } = await client.query(
        "select id from legwork.jobs where task = 'demo/onboard' and finished_at is null and state = 'blocked' order by id limit 5",
      );
      for (const { id } of rows) await sendSignal(client, id, "approval", { by: "ann" });
      await enqueue(client, "demo/onboard", { workspace: any(TENANTS) }, { tenant: any(TENANTS) });
    },
  },
  // Retries the jobs that failed while the partner was down, as an operator on call would.
  {
    every: 400,
    needs: ["LEGWORK_WEBHOOK_ENDPOINTS"],
    run: (client) => retryJobs(client, { task: "notify/webhook" }, { atMost: 20 }),
  },
];
