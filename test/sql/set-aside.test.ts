import { beforeEach, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";
import { resetLegwork } from "../support/reset-legwork.ts";
import { HandWorker } from "../support/hand-worker.ts";

// A tick may fail because of one row. Here, a user's trigger prevents some jobs from being released or cancelled.

const database = testDatabase();
const worker = new HandWorker("w");

beforeEach(async () => {
  await database.pool.query("drop trigger if exists users_own on graphile_worker._private_jobs");
  await resetLegwork(database.pool);
  await database.pool.query(`select legwork_private.register_tasks('[{"name": "ok"}]')`);
});

async function one(sql: string, parameters: unknown[] = []): Promise<unknown> {
  const { rows } = await database.pool.query({ text: sql, values: parameters, rowMode: "array" });
  return rows[0]?.[0];
}

async function breakBadJobs(): Promise<void> {
  await database.pool.query(`
    create or replace function public.refuse() returns trigger language plpgsql as $$
    begin
      if coalesce(old.payload ->> 'bad', '') <> '' then raise exception 'job % is bad', old.payload ->> 'bad'; end if;
      return coalesce(new, old);
    end $$;
    create trigger users_own before update or delete on graphile_worker._private_jobs for each row execute function public.refuse()`);
}

const setAside = async (): Promise<unknown[]> => (await database.pool.query("select what, item, error from legwork_private.set_aside order by what, item")).rows;
const states = async (ids: readonly unknown[]): Promise<unknown> =>
  one("select array_agg(state::text order by id) from legwork.jobs where id = any ($1)", [ids]);

/** Ends a job in a transaction that leaves the release of its dependants to the tick. */
async function endUnseen(id: unknown): Promise<void> {
  const client = await database.pool.connect();
  await client.query("begin isolation level repeatable read");
  await worker.complete(client, [String(id)]);
  await client.query("commit");
  client.release();
}

it("a job that cannot be released does not prevent others from being released, and is released once the cause is gone", async () => {
  const first = await one("select legwork.enqueue('ok')");
  const bad = await one("select legwork.enqueue('ok', '{\"bad\": 1}', depends_on => array[$1::bigint])", [first]);
  const good = await one("select legwork.enqueue('ok', depends_on => array[$1::bigint])", [first]);
  await one("select legwork.tick()");
  await worker.fetch(database.pool);
  await endUnseen(first);
  await breakBadJobs();
  await expect(one("select legwork.tick()")).rejects.toMatchObject({ code: "P0001", message: "job 1 is bad" });
  expect(await states([bad, good])).toEqual(["blocked", "blocked"]);
  expect(await one("select legwork_private.tick_one_by_one()")).toBe(1);
  expect(await states([bad, good])).toEqual(["blocked", "pending"]);
  const error = "P0001: job 1 is bad";
  expect(await setAside()).toEqual([{ what: "job", item: bad, error }]);
  expect(await one("select detail from legwork.explain_job($1) where reason = 'set_aside'", [bad])).toBe(
    `Its dependencies have ended, but releasing it failed: ${error}.`,
  );
  expect(
    (await database.pool.query("select severity, finding from legwork.doctor() d where d.check = 'set_aside'")).rows,
  ).toEqual([{ severity: "critical", finding: `Job ${String(bad)} could not be released after its dependencies ended, and was set aside: ${error}.` }]);

  // From now on, ticks work as before, and the regular calls of reconcile leave the job alone.
  expect(await one("select legwork.tick() is null")).toBe(true);
  expect((await database.pool.query("select * from legwork.reconcile()")).rows).toEqual([]);
  expect(await one("select legwork.take_up()")).toBe(1);
  expect(await setAside()).toHaveLength(1);
  await database.pool.query("drop trigger users_own on graphile_worker._private_jobs");
  await database.pool.query("update legwork_private.set_aside set set_aside_at = now() - interval '10 minutes'");
  await database.pool.query("select * from legwork.reconcile()");
  expect(await states([bad])).toEqual(["pending"]);
  expect(await setAside()).toEqual([]);
});

it("a signal, an expiry and a deadline that cannot be handled do not prevent others from being handled", async () => {
  const waiting = async (payload: string): Promise<string> => {
    const id = String(await one("select id from graphile_worker.add_job('ok', $1::json)", [payload]));
    await worker.fetch(database.pool);
    await one("select legwork_private.await_step($1, 'w', 1, 'wait', 'go', null)", [id]);
    await database.pool.query(
      "update graphile_worker._private_jobs set locked_by = null, locked_at = null, attempts = 0, run_at = legwork_private.suspend_job(id) where id = $1",
      [id],
    );
    return id;
  };
  const [badSignal, goodSignal] = [await waiting('{"bad": 2}'), await waiting("{}")];
  const [badDue, goodDue] = [
    await one("select legwork.enqueue('ok', '{\"bad\": 3}', run_at => now() + interval '1 hour', expires_at => now() + interval '2 hours')"),
    await one("select legwork.enqueue('ok', run_at => now() + interval '1 hour', expires_at => now() + interval '2 hours')"),
  ];
  const start = async (payload: object): Promise<unknown> =>
    await one("select legwork.start_workflow('w', jsonb_build_object('a', jsonb_build_object('task', 'ok', 'payload', $1::jsonb)), deadline => now() + interval '1 hour')", [
      JSON.stringify(payload),
    ]);
  const [badFlow, goodFlow] = [await start({ bad: 4 }), await start({})];
  await breakBadJobs();
  await database.pool.query(
    `begin; set transaction isolation level repeatable read; select legwork.send_signal(${badSignal}, 'go'), legwork.send_signal(${goodSignal}, 'go'); commit`,
  );
  await database.pool.query(`alter table graphile_worker._private_jobs disable trigger users_own`);
  await database.pool.query("update graphile_worker._private_jobs set flags = '{\"expires:1000\": true}' where id = any ($1)", [[badDue, goodDue]]);
  await database.pool.query("alter table graphile_worker._private_jobs enable trigger users_own; update legwork_private.expirations set expires_at = now() - interval '1 hour'");
  await database.pool.query("update legwork_private.workflow_runs set deadline = now() - interval '1 hour'");
  await expect(one("select legwork.tick()")).rejects.toMatchObject({ code: "P0001" });
  expect(await one("select legwork_private.tick_one_by_one()")).toBe(3);
  expect(await setAside()).toEqual([
    { what: "deadline", item: badFlow, error: "P0001: job 4 is bad" },
    { what: "expiry", item: badDue, error: "P0001: job 3 is bad" },
    { what: "signal", item: badSignal, error: "P0001: job 2 is bad" },
  ]);
  expect(await states([goodSignal, goodDue])).toEqual(["pending", "expired"]);
  expect(await one("select state from legwork.workflows where id = $1", [goodFlow])).toBe("expired");
  expect(await one("select legwork.tick() is null")).toBe(true);
  await database.pool.query("drop trigger users_own on graphile_worker._private_jobs");
  expect(await one("select legwork.take_up()")).toBe(0);
  expect(await states([badSignal, badDue])).toEqual(["pending", "expired"]);
  expect(await one("select state from legwork.workflows where id = $1", [badFlow])).toBe("expired");
});

it("nothing is set aside because of a lock or a missing right", async () => {
  const first = await one("select legwork.enqueue('ok')");
  await one("select legwork.enqueue('ok', '{\"bad\": 1}', depends_on => array[$1::bigint])", [first]);
  await one("select legwork.tick()");
  await worker.fetch(database.pool);
  await endUnseen(first);
  await breakBadJobs();
  await database.pool.query(
    "create or replace function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'busy' using errcode = '55P03'; end $$",
  );
  await expect(one("select legwork_private.tick_one_by_one()")).rejects.toMatchObject({ code: "55P03" });
  expect(await setAside()).toEqual([]);
});
