import { beforeAll, expect, it } from "vitest";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();
let environment: Record<string, string>;

beforeAll(async () => {
  environment = { DATABASE_URL: database.url };
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail"}]')`);
  await database.pool.query(
    'insert into legwork_private.samples (name, value) values (\'database\', \'[{"check": "triggers", "severity": "critical", "finding": "A trigger is missing."}]\')',
  );
  await database.pool.query(
    `insert into legwork_private.task_minutes (minute, task, completed, failed_attempts, run_seconds, waits, runs)
     values (date_trunc('minute', now()), 'mail', 3, 1, 2, array[4], array[0, 0, 0, 0, 0, 0, 0, 4])`,
  );
  await database.pool.query("select legwork.evaluate_alerts()");
});

it("legwork alerts lists alerts, and exits with 1 if one is critical", async () => {
  const { code, stdout } = await legwork(["alerts"], environment);
  expect(code).toBe(1);
  expect(stdout).toMatch(/critical +open +database +triggers .*A trigger is missing\./);
  const json = JSON.parse((await legwork(["alerts", "--json"], environment)).stdout);
  expect(json).toMatchObject([{ rule: "database", target: "triggers", severity: "critical", state: "open" }]);
});

it("legwork health shows the health of each part", async () => {
  const { code, stdout } = await legwork(["health"], environment);
  expect(code).toBe(1);
  expect(stdout).toMatch(/system +system +unhealthy +A trigger is missing\./);
  expect(stdout).not.toContain("mail");
  expect((await legwork(["health", "--all"], environment)).stdout).toMatch(/task +mail +healthy/);
});

it("legwork stats shows the results of tasks", async () => {
  const { code, stdout } = await legwork(["stats", "--period", "1h"], environment);
  expect(code).toBe(0);
  expect(stdout).toMatch(/mail +3 +0 +0 +0 +0 +25\.0% +\S+ ms +500 ms/);
  expect(await legwork(["stats", "--period", "soon"], environment)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("LW400"),
  });
});

it("legwork alerts acknowledges an alert and silences a rule", async () => {
  const [{ id }] = JSON.parse((await legwork(["alerts", "--json"], environment)).stdout);
  expect(await legwork(["alerts", "--ack", id, "--note", "on it"], environment)).toMatchObject({
    code: 0,
    stdout: `Alert ${id} has been acknowledged.\n`,
  });
  expect((await legwork(["alerts"], environment)).code).toBe(0);
  expect(await legwork(["alerts", "--ack", "x"], environment)).toMatchObject({ code: 2 });
  expect(await legwork(["alerts", "--ack", "999999"], environment)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("LW404"),
  });
  const { stdout } = await legwork(["alerts", "--silence", "2h", "--rule", "database", "--reason", "moving"], environment);
  expect(stdout).toContain("Alerts are silenced for 2 hours");
  expect((await legwork(["alerts"], environment)).stdout).toContain("acknowledged, silenced");
  expect(await legwork(["alerts", "--silence", "2h", "--rule", "databse"], environment)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("Did you mean 'database'?"),
  });
  expect((await legwork(["alerts", "--rules"], environment)).stdout).toMatch(
    /consecutive_failures +consecutive_failures +each +3 +10/,
  );
});
