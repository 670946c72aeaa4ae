import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { setAlertChannels, setAlertRule } from "../../src/health/alert-rules.ts";
import { listAlerts } from "../../src/health/list-alerts.ts";
import { testDatabase } from "../support/database.ts";
import { scaled } from "../support/slowness.ts";
import { until } from "../support/until.ts";
import { directoryOf, workerOver, workerProcess } from "../support/worker.ts";

const database = testDatabase();

/** A webhook server that stores every message it receives. */
async function receiver(): Promise<{ url: string; bodies: { event: string; rule: string; target: string }[] }> {
  const bodies: { event: string; rule: string; target: string }[] = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    bodies.push(JSON.parse(text));
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, bodies };
}

const TASKS = {
  "flaky.ts": "export default async ({ fails }) => { if (fails) throw new Error('refused'); };",
  "notify/webhook.ts": `export default async ({ url, body }) => {
    const { ok } = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    if (!ok) throw new Error("refused");
  };`,
};

it(
  "three workers notify a webhook once when a task starts failing, and once when it has recovered",
  async () => {
    const { url, bodies } = await receiver();
    await database.pool.query("update legwork_private.duties set every = '200 ms', due_at = now()");
    await database.pool.query("delete from legwork_private.alert_rules where kind <> 'consecutive_failures'");
    await setAlertRule(database.pool, "consecutive_failures", { warning: 3 });
    await setAlertChannels(database.pool, [{ webhook: url }]);
    const directory = await directoryOf(TASKS);
    await Promise.all([
      workerProcess(database, directory),
      workerOver(database.url, [directory]),
      workerOver(database.url, [directory]),
    ]);
    await database.pool.query(
      "select graphile_worker.add_job('flaky', '{\"fails\": true}', max_attempts => 1) from generate_series(1, 5)",
    );
    await until("the webhook has the alert", () => bodies.length > 0, 20_000);
    expect(bodies[0]).toMatchObject({
      event: "raised",
      rule: "consecutive_failures",
      target: "flaky",
      severity: "warning",
      message: expect.stringContaining("refused"),
    });
    expect(await listAlerts(database.pool)).toMatchObject([{ state: "open", target: "flaky" }]);
    await database.pool.query("select graphile_worker.add_job('flaky', '{}')");
    await until("the webhook has the resolution", () => bodies.length > 1, 20_000);
    // Both rules have been evaluated many times since.
    const { rows } = await database.pool.query("select ran_at from legwork_private.duties where duty = 'alerts'");
    await until("the rules were evaluated again", async () => {
      const later = await database.pool.query("select from legwork_private.duties where duty = 'alerts' and ran_at > $1", [
        rows[0].ran_at,
      ]);
      return later.rows.length > 0;
    });
    expect(bodies.map(({ event }) => event)).toEqual(["raised", "resolved"]);
    // The webhook receives the message before the database records that it was sent.
    await until("both jobs have completed", async () => {
      const told = await database.pool.query(
        "select array(select j.state::text from legwork.jobs j where j.id = any (a.jobs)) as states from legwork.alerts a",
      );
      return told.rows.length === 1 && String(told.rows[0].states) === "completed,completed";
    });
  },
  scaled(90_000),
);
