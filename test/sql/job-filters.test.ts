import { describe, expect, test } from "vitest";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

/** Functions that take a job filter, each with a time field that it accepts. */
const ACTIONS = [
  { call: "legwork.retry_jobs($1)", time: "failed_after" },
  { call: "legwork.cancel_jobs($1, 'a test')", time: "created_before" },
  { call: "legwork.rerun_jobs($1)", time: "created_after" },
] as const;

describe.for(ACTIONS)("$call", ({ call, time }) => {
  test.for([
    ["null", "A filter must be a JSON object; got null."],
    ["[]", "A filter must be a JSON object; got array."],
    ['{"color": "red"}', "A filter has no field 'color'."],
    ['{"ids": 17}', "ids is 17; it must be a list of job ids."],
    ['{"ids": ["seventeen"]}', 'ids is ["seventeen"]; it must be a list of job ids.'],
    ['{"ids": [1e400]}', "; it must be a list of job ids."],
    ['{"ids": [9223372036854775808]}', "ids is [9223372036854775808]; it must be a list of job ids."],
    ['{"tenant": {}}', "tenant is of type object; it must be a string."],
    [`{"${time}": "yesterdayish"}`, `${time} is yesterdayish; it must be a time between`],
    [`{"${time}": "infinity"}`, `${time} is infinity; it must be between`],
    [`{"${time}": "290000-01-01T00:00:00Z"}`, `${time} is 290000-01-01`],
  ])("rejects %s with LW400, and says what is expected", async ([filter = "", message = ""]) => {
    await expect(database.pool.query(`select ${call}`, [filter])).rejects.toMatchObject({
      code: "LW400",
      message: expect.stringContaining(message),
    });
  });

  test("takes ids as numbers and as text, and a time in any form that Postgres reads", async () => {
    const filter = { ids: [1, "9223372036854775807"], [time]: "2027-01-01 10:00+01" };
    await expect(database.pool.query(`select ${call}`, [filter])).resolves.toMatchObject({ rows: [] });
  });
});
