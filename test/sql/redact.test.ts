import { beforeAll, describe, expect, it } from "vitest";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

/** The text that legwork.redact(json) returns for the value. */
async function redact(value: string, ...paths: string[]): Promise<string> {
  const { rows } = await database.pool.query("select legwork.redact($1::json, $2::text[])::text as redacted", [value, paths]);
  return rows[0].redacted;
}

async function redactText(text: string, payload: string, ...paths: string[]): Promise<string> {
  const { rows } = await database.pool.query("select legwork.redact_text($1, $2::json, $3::text[]) as redacted", [
    text,
    payload,
    paths,
  ]);
  return rows[0].redacted;
}

describe("legwork.redact", () => {
  const CARDS = { z: 1, email: "a@b.c", user: { phone: "123456", age: 7 }, cards: [{ number: 4111, kind: "x" }, { number: 4222 }] };
  it.each<[string, string[], unknown]>([
    ["a key", ["email"], { ...CARDS, email: "[redacted]" }],
    ["a nested key", ["user.phone"], { ...CARDS, user: { phone: "[redacted]", age: 7 } }],
    ["every element", ["cards.*.number"], { ...CARDS, cards: [{ number: "[redacted]", kind: "x" }, { number: "[redacted]" }] }],
    ["one element", ["cards.1"], { ...CARDS, cards: [CARDS.cards[0], "[redacted]"] }],
    ["every key", ["user.*"], { ...CARDS, user: { phone: "[redacted]", age: "[redacted]" } }],
    ["an object as a whole", ["user"], { ...CARDS, user: "[redacted]" }],
    ["several paths", ["z", "email"], { ...CARDS, z: "[redacted]", email: "[redacted]" }],
    ["a path that does not exist", ["user.phone.area", "nothing", "z.y", "cards.7.number"], CARDS],
  ])("replaces %s", async (_what, paths, expected) => {
    expect(JSON.parse(await redact(JSON.stringify(CARDS), ...paths))).toEqual(expected);
    const { rows } = await database.pool.query("select legwork.redact($1::jsonb, $2::text[]) as redacted", [CARDS, paths]);
    expect(rows[0].redacted).toEqual(expected);
  });

  it("keeps the order of keys, and empty values", async () => {
    expect(Object.keys(JSON.parse(await redact('{"z": 1, "b": {}, "a": []}', "b.x", "a.*", "z")))).toEqual(["z", "b", "a"]);
    expect(JSON.parse(await redact('{"z": 1, "b": {}, "a": []}', "b.x", "a.*"))).toEqual({ z: 1, b: {}, a: [] });
    expect(await redact("7", "a")).toBe("7");
  });

  it("returns a value unchanged if there are no paths", async () => {
    const { rows } = await database.pool.query(`select legwork.redact('{"a":1}'::jsonb, null) as jsonb, legwork.redact('{"a":1}'::json, null)::text as json`);
    expect(rows).toEqual([{ jsonb: { a: 1 }, json: '{"a":1}' }]);
  });

  it("does not fail on characters that Postgres cannot store", async () => {
    expect(JSON.parse(await redact(String.raw`{"a\u0000b": "x", "\ud83dk": 1, "l\udC00": 2, "\ud83d\ude00": 3, "e": "y"}`, "e"))).toEqual({
      "a\uFFFDb": "x",
      "\uFFFDk": 1,
      "l\uFFFD": 2,
      "😀": 3,
      e: "[redacted]",
    });
    expect(await redactText("said x\uFFFDyz", String.raw`{"e": "x\u0000yz"}`, "e")).toBe("said [redacted]");
  });
});

describe("legwork.redact_text", () => {
  it("replaces every occurrence of the values at the paths", async () => {
    const payload = JSON.stringify({ email: "a@b.cd", cards: [{ number: 41111 }, { number: "4222-2" }] });
    expect(await redactText("a@b.cd: no mail to a@b.cd with 41111 or 4222-2", payload, "email", "cards.*.number")).toBe(
      "[redacted]: no mail to [redacted] with [redacted] or [redacted]",
    );
  });

  it("replaces the values below a path, and the longer of two values first", async () => {
    const payload = JSON.stringify({ user: { name: "Anna", full: ["Annabel"] } });
    expect(await redactText("Anna is Annabel", payload, "user")).toBe("[redacted] is [redacted]");
  });

  it("replaces a value in its JSON form", async () => {
    const payload = JSON.stringify({ quote: 'say "hi"\n' });
    expect(await redactText(`got ${payload}`, payload, "quote")).toBe('got {"quote":"[redacted]"}');
  });

  it("does not replace values of less than four characters, which could be in any text", async () => {
    expect(await redactText("abc 123 true", '{"s": ["abc", 123, true]}', "s")).toBe("abc 123 true");
  });
});

describe("a task that redacts", () => {
  beforeAll(async () => {
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail", "redact": ["email", "cards.*.number"]}]')`);
  });

  const SECRET = { email: "secret@example.com", cards: [{ number: "4111-secret" }], to: "kept" };

  async function add(maxAttempts = 25): Promise<string> {
    const { rows } = await database.pool.query("select id from graphile_worker.add_job('mail', $1, max_attempts => $2)", [
      JSON.stringify(SECRET),
      maxAttempts,
    ]);
    await database.pool.query(
      "update graphile_worker._private_jobs set attempts = 1, locked_by = 'plain', locked_at = now() where id = $1",
      [rows[0].id],
    );
    return rows[0].id;
  }

  async function fail(id: string): Promise<void> {
    await database.pool.query(
      `update graphile_worker._private_jobs set last_error = 'no mail to secret@example.com with 4111-secret',
         run_at = now() + interval '1 hour', locked_by = null, locked_at = null where id = $1`,
      [id],
    );
  }

  async function shown(id: string): Promise<Record<string, unknown>> {
    return (await database.pool.query("select * from legwork.jobs where id = $1", [id])).rows[0];
  }

  const REDACTED = { email: "[redacted]", cards: [{ number: "[redacted]" }], to: "kept" };

  it("shows no redacted values while its job is live, whatever kind of worker runs it", async () => {
    const id = await add();
    expect(await shown(id)).toMatchObject({ state: "running", payload: REDACTED });
    await fail(id);
    expect(await shown(id)).toMatchObject({
      state: "retrying",
      payload: REDACTED,
      error: "no mail to [redacted] with [redacted]",
    });
  });

  it("stores no redacted values when its job completes or fails, and retries the job with the original payload", async () => {
    const completed = await add();
    await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [completed]);
    expect(await shown(completed)).toMatchObject({ state: "completed", payload: REDACTED });
    const failed = await add(1);
    await fail(failed);
    expect(await shown(failed)).toMatchObject({
      state: "failed",
      payload: REDACTED,
      error: "no mail to [redacted] with [redacted]",
    });
    const { rows: kept } = await database.pool.query(
      `select (select count(*)::int from legwork_private.finished_jobs f where f::text ~ 'secret') as jobs,
         (select count(*)::int from legwork_private.failed_attempts f where f::text ~ 'secret') as attempts,
         (select count(*)::int from legwork.jobs j where j::text ~ 'secret') as shown`,
    );
    expect(kept).toEqual([{ jobs: 0, attempts: 0, shown: 0 }]);
    await database.pool.query("select graphile_worker.reschedule_jobs(array[$1::bigint], attempts => 0)", [failed]);
    const { rows } = await database.pool.query("select payload from graphile_worker._private_jobs where id = $1", [failed]);
    expect(rows).toEqual([{ payload: SECRET }]);
  });

  it("ends a job whose payload contains characters that Postgres cannot store", async () => {
    const { rows } = await database.pool.query(
      String.raw`select id from graphile_worker.add_job('mail', '{"email": "a\u0000b", "k\u0000": "\ud800"}')`,
    );
    await database.pool.query("delete from graphile_worker._private_jobs where id = $1", [rows[0].id]);
    expect(await shown(rows[0].id)).toMatchObject({ state: "cancelled", payload: { email: "[redacted]" } });
  });

  it("keeps its paths when it is registered without paths, and loses them when it is registered with null", async () => {
    const paths = async (): Promise<unknown> =>
      (await database.pool.query("select redact from legwork.tasks where name = 'mail'")).rows[0].redact;
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail", "description": "x"}]')`);
    expect(await paths()).toEqual(["email", "cards.*.number"]);
    await database.pool.query(`select legwork_private.register_tasks('[{"name": "mail", "redact": null}]')`);
    expect(await paths()).toBeNull();
  });
});
