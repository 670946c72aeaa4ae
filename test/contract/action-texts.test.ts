import { expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/command-wording.ts";
import { commandOf, curlOf, type Doable, requestOf, statementOf } from "../../src/contract/action-texts.ts";
import { REQUESTS } from "../../src/server/request-wording.ts";
import { testDatabase } from "../support/database.ts";

const database = testDatabase();

const ACTIONS: readonly Doable[] = [
  { do: "retry_job", id: "42" },
  { do: "discard_job", id: "42" },
  { do: "cancel_job", id: "42" },
  { do: "rerun_job", id: "42", discard: true },
  { do: "set_priority", id: "42", priority: -3 },
  { do: "send_signal", id: "42", name: "it's ok" },
];

it("an action copied from the dashboard is the same as in the hints of the command line, REST and SQL", async () => {
  for (const action of ACTIONS) {
    const { method, path, body } = requestOf(action);
    const { priority, ...rest } = { priority: undefined, ...action };
    const asHint = { ...rest, ...(priority === undefined ? {} : { priority }) };
    expect(`\`${commandOf(action)}\``).toBe(COMMANDS[action.do](asHint));
    expect(`\`${method} ${path}${body === undefined ? "" : ` ${JSON.stringify(body)}`}\``).toBe(REQUESTS[action.do](asHint));
    const { rows } = await database.pool.query("select legwork_private.statement_for($1) as statement", [JSON.stringify(action)]);
    // No fix suggests discarding a job, so the SQL function has no statement for that.
    expect([null, statementOf(action)]).toContain(rows[0].statement);
  }
});

it("a reason and a payload with quotes are copied so that the database and the shell read them back", async () => {
  const cancel: Doable = { do: "cancel_job", id: "42", reason: "it's wrong" };
  expect(statementOf(cancel)).toBe("select legwork.cancel_job(42, 'it''s wrong');");
  expect(commandOf(cancel)).toBe(String.raw`legwork cancel 42 --reason 'it'\''s wrong'`);
  expect(curlOf(cancel, "https://jobs.example")).toBe(
    String.raw`curl -X POST https://jobs.example/api/v1/jobs/42/cancel -H "Authorization: Bearer $LEGWORK_TOKEN" -H 'Content-Type: application/json' -d '{"reason":"it'\''s wrong"}'`,
  );
  const rerun: Doable = { do: "rerun_job", id: "42", payload: { to: "ann" } };
  expect(statementOf(rerun)).toBe(`select legwork.rerun_job(42, payload => '{"to":"ann"}');`);
  expect(commandOf(rerun)).toBe(`legwork rerun 42 --payload '{"to":"ann"}'`);
});
