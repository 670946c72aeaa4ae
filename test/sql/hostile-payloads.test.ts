import { beforeAll, expect, it } from "vitest";
import { HOSTILE_JSON } from "../containment/hostile-json.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

// oxlint-disable-next-line typescript/no-explicit-any -- rows of any statement
async function sql(text: string, values: unknown[] = []): Promise<any[]> {
  return (await database.pool.query(text, values)).rows;
}

beforeAll(async () => {
  await sql("select legwork_private.register_tasks($1)", [
    JSON.stringify([{ name: "free" }, { name: "keyed", limits: [{ kind: "concurrency", key: ["user"], max: 1 }] }]),
  ]);
});

it("every payload that Postgres accepts passes through limits, history and retries unchanged", async () => {
  const given = new Map<string, string>();
  for (const payload of Object.values(HOSTILE_JSON)) {
    for (const task of ["free", "keyed"]) {
      const [row] = await sql("select id from graphile_worker.add_job($1, $2::json, max_attempts => 1)", [task, payload]);
      given.set(row.id, payload);
    }
  }
  const ids = [...given.keys()];
  // While the jobs wait, limits that read their payloads are created and removed.
  await sql(`select legwork.limit_concurrency(3, task => 'free', key => 'user'), legwork.limit_rate(10, '1 hour', task => 'free', key => 'user.0')`);
  await sql(
    "select legwork.drop_limit('concurrency', task => 'free', key => 'user'), legwork.drop_limit('rate', task => 'free', key => 'user.0')",
  );
  await sql("select legwork_private.register_tasks($1)", [JSON.stringify([{ name: "free", redact: ["user", "*.x"] }])]);
  await sql("select payload, error, raw_payload from legwork.jobs");
  await sql("select graphile_worker.permanently_fail_jobs($1::bigint[], 'It said user.')", [ids]);
  await sql("select legwork_private.register_tasks($1)", [JSON.stringify([{ name: "free", redact: null }])]);
  await sql("select e.* from unnest($1::bigint[]) id, legwork.explain_job(id) e", [ids]);
  await sql("select legwork.retry_job(id) from unnest($1::bigint[]) id", [ids]);
  expect(await sql("select problem from legwork.reconcile()")).toEqual([]);
  await sql("select graphile_worker.complete_jobs($1::bigint[])", [ids]);
  const rows = await sql("select id, raw_payload::text as raw, payload::jsonb as shown from legwork.jobs where state = 'completed'");
  expect(new Map(rows.map(({ id, raw }) => [id, raw]))).toEqual(given);
});

it("a hostile payload does not make a condition fail for other jobs", async () => {
  await sql("select graphile_worker.add_job('free', $1::json)", ['{"user": "ann"}']);
  expect(await sql("select from legwork.jobs where payload ->> 'user' = 'ann' and payload::jsonb @> '{\"user\": \"ann\"}'")).toHaveLength(1);
});

it("payloads that Postgres can parse keep their gates, whatever their length and escapes", async () => {
  const gates = await sql(
    `select legwork_private.gate(7, '{user}', p::json) as gate from unnest($1::text[]) with ordinality as u (p, n) order by n`,
    [
      [
        '{"user": "ann"}',
        '{"user": 42}',
        '{"user": null}',
        String.raw`{"user": "\u0061nn"}`,
        `{"list": [${"{},".repeat(5_000)}{}], "user": "ann"}`,
        `{"text": "${"[".repeat(5_000)}", "user": "ann"}`,
        `{"user": "${"x".repeat(300)}"}`,
      ],
    ],
  );
  expect(gates.map(({ gate }) => gate)).toEqual([
    "7:ann",
    "7:42",
    "7:",
    "7:ann",
    "7:ann",
    "7:ann",
    // The hash of a string of 300 x.
    "7:8a4876ea55d998a5d91ed59db796af28",
  ]);
});

it("a table row with such a JSON value is written, and its jobs are enqueued", async () => {
  await sql("create table documents (id bigint primary key, body json)");
  await sql("select legwork.enqueue_on('documents', array['insert', 'update', 'delete'], 'free')");
  await sql(String.raw`insert into documents values (1, '{"a": "x\u0000"}'), (2, '{"a": "\ud800"}'), (3, '{"a": 1}')`);
  await sql(String.raw`update documents set body = '{"a": "\udc00"}' where id = 1`);
  await sql("delete from documents");
  const rows = await sql("select payload #>> '{row,body,a}' as a from graphile_worker._private_jobs where payload ->> 'table' = 'public.documents' order by (payload #>> '{row,body,a}') collate \"C\"");
  expect(rows.map(({ a }) => a)).toEqual(["1", "1", "x\ufffd", "\ufffd", "\ufffd", "\ufffd", "\ufffd"]);
});

it("a redacted payload that cannot be parsed is hidden as a whole, and so are errors that contain it", async () => {
  const deep = `{"email": "ann@example.com", "deep": ${"[".repeat(3_000)}${"]".repeat(3_000)}}`;
  const [row] = await sql(
    `select legwork.redact($1::json, '{email}')::text as payload, legwork.redact($1::jsonb, '{email}')::text as same,
       legwork.redact_text('No mail for ann@example.com', $1::json, '{email}') as error`,
    [deep],
  );
  expect(row).toEqual({ payload: '"[redacted]"', same: '"[redacted]"', error: "[redacted]" });
});
