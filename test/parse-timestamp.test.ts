import fc from "fast-check";
import pg from "pg";
import { expect, it } from "vitest";
import { parseTimestamp, UnboundedTime } from "../src/db/parse-timestamp.ts";
import { testDatabase } from "./support/database.ts";

const database = testDatabase();
const reference = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ);

it("every time that Postgres writes is parsed as node-postgres parses it, in every time zone", async () => {
  const zones = ["UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati", "Europe/Amsterdam", "Australia/Lord_Howe"];
  for (const zone of zones) {
    const client = await database.pool.connect();
    await client.query("select set_config('timezone', $1, false)", [zone]);
    // Selected as text, so that node-postgres does not parse it.
    const { rows } = await client.query(
      `select t::text from (select timestamptz '0001-01-01Z' + random() * interval '10500 years' as t from generate_series(1, 2000)
         union all select unnest(array['0044-03-15 12:00:00 BC', '2024-02-29 23:59:59.999999', '1883-11-18 12:03:58Z', '2000-01-01Z']::timestamptz[])) s`,
    );
    client.release(true);
    for (const { t } of rows) expect([t, parseTimestamp(t)]).toEqual([t, reference(t)]);
  }
});

it.each([
  ["infinity", "infinity", "null"],
  ["-infinity", "-infinity", '"-infinity"'],
  ["290000-01-01 00:00:00+00", "290000-01-01T00:00:00+00", '"290000-01-01T00:00:00+00"'],
])("%s, which a Date cannot hold, is shown unchanged", (written, text, json) => {
  const time = parseTimestamp(written);
  expect(time).toBeInstanceOf(UnboundedTime);
  expect([time.toISOString(), String(time), JSON.stringify(time), time.getTime()]).toEqual([text, text, json, Number.NaN]);
});

it("any other text is parsed by node-postgres", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const read = parseTimestamp(text);
      expect(read instanceof UnboundedTime || Object.is(Number(read), Number(reference(text)))).toBe(true);
    }),
  );
});
