import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { whileConfined } from "../../src/db/confinement.ts";
import { transaction } from "../../src/db/pool.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

interface Use {
  kind: string;
  key: string | null;
  value: string | null;
  in_use: string;
  waiting: string;
  key_values: string;
  frees_at: Date | null;
  is_partial: boolean;
}

async function useOf(scope: string, name: string, atMost = 20): Promise<Use[]> {
  return (await database.pool.query("select * from legwork.limit_use($1, $2, $3)", [scope, name, atMost])).rows;
}

async function enqueue(task: string, payload: unknown, tenant: string | null = null): Promise<string> {
  const { rows } = await database.pool.query("select legwork.enqueue($1, $2, tenant => $3) as id", [
    task,
    JSON.stringify(payload),
    tenant,
  ]);
  return rows[0].id;
}

beforeAll(async () => {
  await database.pool.query(`select graphile_worker.add_job('mail'), graphile_worker.add_job('open')`);
  await database.pool.query(
    `insert into legwork_private.task_definitions (name, queue, redact) values ('mail', 'post', '{user.phone}'), ('open', 'post', null)`,
  );
});

beforeEach(async () => {
  await database.pool.query("delete from graphile_worker._private_jobs");
  await database.pool.query("delete from legwork_private.limits; delete from legwork_private.slots");
});

describe("legwork.limit_use", () => {
  it("returns the taken slots and the waiting jobs for each value of a key, the longest lines first", async () => {
    await database.pool.query("select legwork.limit_concurrency(2, task => 'mail', key => 'user.id')");
    for (const id of ["ann", "bob", "bob", "bob", "bob", "eve", "eve", "eve"]) await enqueue("mail", { user: { id } });
    expect(await useOf("task", "mail", 2)).toMatchObject([
      { kind: "concurrency", key: "user.id", value: "bob", in_use: "2", waiting: "2", key_values: "3" },
      { kind: "concurrency", key: "user.id", value: "eve", in_use: "2", waiting: "1", key_values: "3" },
    ]);
  });

  it("counts only the slots of the given limits, however many slots other limits have", async () => {
    await database.pool.query("select legwork.limit_concurrency(2, task => 'open', key => 'id'), legwork.limit_concurrency(2, task => 'mail', key => 'id')");
    await database.pool.query(
      `insert into legwork_private.slots (gate, job_id)
       select l.id || ':' || n, 1000000000 + n from legwork_private.limits l cross join generate_series(1, 100000) n where l.name = 'open'`,
    );
    await enqueue("mail", { id: "ann" });
    await database.pool.query("analyze legwork_private.slots");
    expect(await useOf("task", "mail")).toMatchObject([{ value: "ann", in_use: "1", is_partial: false }]);
    expect((await useOf("task", "open", 1))[0]).toMatchObject({ key_values: "100000", is_partial: true });
    const { rows } = await database.pool.query(
      "explain select s.job_id from legwork_private.limits l join legwork_private.slots s on s.gate >= l.id || ':' and s.gate < l.id || ';' where l.name = 'mail'",
    );
    expect(rows.map((row) => row["QUERY PLAN"]).join("\n")).toMatch(/Index Scan (using|on) slots_gate/);
  });

  it("returns one row for a limit without a key, and counts a rate limit's slots until their window has passed", async () => {
    await database.pool.query("select legwork.limit_rate(2, '1 hour', queue => 'post')");
    for (const task of ["mail", "open", "open"]) await enqueue(task, {});
    expect(await useOf("queue", "post")).toMatchObject([{ kind: "rate", key: null, value: null, in_use: "2", waiting: "1" }]);
    await database.pool.query("update legwork_private.slots set free_at = now() - interval '1 second'");
    expect(await useOf("queue", "post")).toMatchObject([{ in_use: "0", waiting: "1" }]);
  });

  it("shows no values that one of the limit's tasks redacts", async () => {
    await database.pool.query("select legwork.limit_concurrency(1, queue => 'post', key => 'user.phone')");
    await enqueue("open", { user: { phone: "4711" } });
    expect(await useOf("queue", "post")).toMatchObject([{ key: "user.phone", value: "[redacted]", in_use: "1" }]);
    await database.pool.query("select legwork.limit_concurrency(1, task => 'open', key => 'user.phone')");
    expect(await useOf("task", "open")).toMatchObject([{ value: "4711" }]);
  });

  it("shows a confined caller only their tenant's jobs, including ended ones", async () => {
    await database.pool.query("select legwork.limit_rate(3, '1 hour', task => 'mail', key => 'to')");
    const ended = await enqueue("mail", { to: "x" }, "acme");
    await database.pool.query("select graphile_worker.complete_jobs($1)", [[ended]]);
    await database.pool.query("update legwork_private.slots set free_at = now() + interval '1 hour'");
    for (const tenant of ["acme", "other", "acme", "other"]) await enqueue("mail", { to: "x" }, tenant);
    await enqueue("mail", { to: "secret" }, "other");
    const uses = await transaction(database.pool, async (client) => {
      await client.query("select set_config('legwork.confined_to', 'acme', true)");
      return await whileConfined(client, async () => (await client.query("select * from legwork.limit_use('task', 'mail')")).rows);
    });
    const [use] = uses;
    expect(uses).toHaveLength(1);
    expect(use.value).toBe("x");
    expect(Number(use.in_use) + Number(use.waiting)).toBe(3);
  });

  it("rejects an unknown task with the nearest name, and a role without read access", async () => {
    await expect(useOf("task", "mial")).rejects.toMatchObject({ code: "LW404", hint: expect.stringContaining("mail") });
    await expect(useOf("job", "mail")).rejects.toMatchObject({ code: "LW400" });
    await expect(
      transaction(database.pool, async (client) => {
        await client.query("select set_config('legwork.role', 'enqueuer', true)");
        await client.query("select * from legwork.limit_use('task', 'mail')");
      }),
    ).rejects.toMatchObject({ code: "LW403" });
  });
});
