import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixInWordsOf, inWordsOf, readAction } from "../../src/action.ts";
import { COMMANDS } from "../../src/cli/command-wording.ts";
import { enqueue } from "../../src/jobs/enqueue.ts";
import { REQUESTS } from "../../src/server/request-wording.ts";
import type { Server } from "../../src/server/server.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { rest, restToken, startRest } from "../support/rest.ts";

const database = testDatabase();
let server: Server;
let failed: string;
let waiting: string;
let workflow: string;

beforeAll(async () => {
  server = await startRest(database);
  await database.pool.query(
    `select legwork_private.register_tasks('[{"name": "a", "queue": "mail", "payload_schema": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}}, {"name": "b"}]')`,
  );
  failed = await enqueue(database.pool, "b", {});
  waiting = await enqueue(database.pool, "b", {});
  await database.pool.query("select graphile_worker.permanently_fail_jobs(array[$1::bigint], 'refused')", [failed]);
  const { rows } = await database.pool.query(`select legwork.start_workflow('w', '[{"name": "s", "task": "b"}]') as id`);
  workflow = rows[0].id;
  await database.pool.query("select legwork.cancel_workflow($1)", [workflow]);
});
afterAll(async () => {
  await server.stop();
});

interface Suggestion {
  what: string;
  request: () => [method: string, path: string, body?: unknown];
  command?: () => string[];
  asRequest: () => string;
  asCommand?: () => string;
}

const SUGGESTIONS: Suggestion[] = [
  {
    what: "an unknown queue",
    request: () => ["POST", "/queues/mial/pause", {}],
    command: () => ["pause", "mial"],
    asRequest: () => "`GET /api/v1/queues` lists them.",
    asCommand: () => "`legwork queues` lists them.",
  },
  {
    what: "an unknown task",
    request: () => ["POST", "/jobs", { task: "c" }],
    command: () => ["add", "c"],
    asRequest: () => "`GET /api/v1/tasks` lists them.",
    asCommand: () => "`legwork tasks` lists them.",
  },
  {
    what: "a payload that does not match its task's schema",
    request: () => ["POST", "/jobs", { task: "a", payload: {} }],
    command: () => ["add", "a", "{}"],
    asRequest: () => "`GET /api/v1/tasks/a` shows the schema.",
    asCommand: () => "`legwork tasks --json` shows the schema.",
  },
  {
    what: "an unknown schedule",
    request: () => ["POST", "/schedules/x/enable"],
    command: () => ["schedule", "show", "x"],
    asRequest: () => "`GET /api/v1/schedules` lists them.",
    asCommand: () => "`legwork schedule list` lists them.",
  },
  {
    what: "cancelling a failed job",
    request: () => ["POST", `/jobs/${failed}/cancel`],
    command: () => ["cancel", failed],
    asRequest: () => `\`POST /api/v1/jobs/${failed}/discard\` discards a failed job.`,
    asCommand: () => `\`legwork discard ${failed}\` discards a failed job.`,
  },
  {
    what: "discarding a waiting job",
    request: () => ["POST", `/jobs/${waiting}/discard`],
    command: () => ["discard", waiting],
    asRequest: () => `\`POST /api/v1/jobs/${waiting}/cancel\` cancels a job that has not ended.`,
    asCommand: () => `\`legwork cancel ${waiting}\` cancels a job that has not ended.`,
  },
  {
    what: "rerunning a waiting job",
    request: () => ["POST", `/jobs/${waiting}/rerun`, {}],
    command: () => ["rerun", waiting],
    asRequest: () => `\`POST /api/v1/jobs/${waiting}/retry\` starts a job early.`,
    asCommand: () => `\`legwork retry ${waiting}\` starts a job early.`,
  },
  {
    what: "a signal to a failed job",
    request: () => ["POST", `/jobs/${failed}/signals/approval`, {}],
    command: () => ["signal", failed, "approval"],
    asRequest: () => `\`POST /api/v1/jobs/${failed}/retry\` retries it.`,
    asCommand: () => `\`legwork retry ${failed}\` retries it.`,
  },
  {
    what: "an unknown workflow step",
    request: () => ["POST", `/workflows/${workflow}/retry`, { fromStep: "x" }],
    command: () => ["workflow", "retry", workflow, "--from", "x"],
    asRequest: () => `\`GET /api/v1/workflows/${workflow}\` lists them.`,
    asCommand: () => `\`legwork workflow show ${workflow}\` lists them.`,
  },
  {
    what: "an unknown workflow",
    request: () => ["POST", "/workflows/4711/cancel", {}],
    command: () => ["workflow", "cancel", "4711"],
    asRequest: () => "`GET /api/v1/workflows` lists them.",
    asCommand: () => "`legwork workflow list` lists them.",
  },
  {
    what: "an unknown task in a workflow",
    request: () => ["POST", "/workflows", { name: "w", steps: [{ name: "s", task: "c" }] }],
    asRequest: () => "`GET /api/v1/tasks` lists them.",
  },
  {
    what: "an unknown alert",
    request: () => ["POST", "/alerts/4711/acknowledge", {}],
    asRequest: () => "`GET /api/v1/alerts` lists the open alerts.",
  },
  {
    what: "an unknown alert rule",
    request: () => ["DELETE", "/alert-rules/x"],
    asRequest: () => "`GET /api/v1/alert-rules` lists them.",
  },
  {
    what: "an unknown token",
    request: () => ["POST", "/tokens/00000000-0000-4000-8000-000000000000/revoke"],
    asRequest: () => "`GET /api/v1/tokens` lists them.",
  },
];

describe.each(SUGGESTIONS)("the hint about $what", ({ request, command, asRequest, asCommand }) => {
  it("names a request over REST", async () => {
    const { status, body } = await rest(server, ...request());
    expect(status).toBeGreaterThanOrEqual(400);
    expect(body.hint).toContain(asRequest());
    expect(body.hint).not.toMatch(/select |legwork\./);
  });

  it.skipIf(command === undefined)("names a command on the command line, with a server and without", async () => {
    const environments: Record<string, string>[] = [
      { DATABASE_URL: database.url },
      { LEGWORK_URL: server.url, LEGWORK_TOKEN: restToken },
    ];
    for (const env of environments) {
      const { stderr } = await legwork(command?.() ?? [], env);
      expect(stderr).toContain(asCommand?.());
      expect(stderr).not.toMatch(/select |legwork\.|api\/v1/);
    }
  });
});

it("every SQL hint that names a statement or a view has its suggestion as data", () => {
  const directory = "sql/definitions";
  const raises = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".sql"))
    .flatMap(
      (file) => readFileSync(join(directory, file), "utf8").match(/raise exception [^;]*?using(?:'[^']*'|[^';])*;/g) ?? [],
    );
  expect(raises.length).toBeGreaterThan(90);
  const silent = raises.filter((raise) => {
    const [, hint = ""] = raise.split(/\bhint =/);
    const texts = [...hint.matchAll(/'(?:[^']|'')*'/g)].join("\n");
    return /select [^]* from |\blegwork\.\w|\w\(…\)| => /.test(texts) && !raise.includes("detail =");
  });
  expect(silent).toEqual([]);
  const actions = raises.flatMap((raise) =>
    [...raise.matchAll(/"do": "(\w+)"|'do', (?:case v_state when 'failed' then )?'(\w+)'/g)].map(([, a, b]) => a ?? b),
  );
  expect(actions.length).toBeGreaterThan(15);
  expect(actions.filter((name) => readAction({ do: name }) === undefined)).toEqual([]);
});

it("a suggestion replaces the statement in a hint, or is added to a hint without one", () => {
  const action = readAction({ do: "retry_job", id: 42, more: true });
  expect(action).toEqual({ do: "retry_job", id: "42" });
  expect(inWordsOf(COMMANDS, { hint: "`select 1` does it.", action })).toBe("`legwork retry 42` does it.");
  expect(inWordsOf(REQUESTS, { hint: "Wait.", action })).toBe("Wait. `POST /api/v1/jobs/42/retry`");
  expect(inWordsOf(REQUESTS, { hint: "Wait." })).toBe("Wait.");
  expect(readAction({ do: "an action of a newer version" })).toBeUndefined();
});

it("every action of a fix is known and has a statement, and its text on each surface is in one pair of backquotes", async () => {
  const file = readFileSync("sql/definitions/explain/actions.sql", "utf8");
  const names = [...file.matchAll(/^  when '(\w+)' then /gm)].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(15);
  const sample = { id: "42", name: "it's `odd`", scope: "queue", max: 2, per: "1h", key: "a b", priority: -1, task: "mail" };
  for (const name of names) {
    const action = { do: name, ...sample };
    const { rows } = await database.pool.query<{ fix: string }>(
      "select legwork_private.suggest('do it', $1::jsonb) || '; then do more' as fix",
      [action],
    );
    const fix = rows[0]!.fix;
    expect(fix).toMatch(/^do it: `[^`]+`; then do more$/);
    expect(readAction(action)).toMatchObject({ do: name });
    const asRequest = fixInWordsOf(REQUESTS, { fix, actions: [action] });
    expect(asRequest).toMatch(/^do it: `[^`]+`; then do more$/);
    // A command line that uses REST rewrites a fix that the server has already rewritten.
    expect(fixInWordsOf(COMMANDS, { fix: asRequest, actions: [action] })).toBe(
      fixInWordsOf(COMMANDS, { fix, actions: [action] }),
    );
  }
  const shell = fixInWordsOf(COMMANDS, { fix: "`x`", actions: [{ do: "resume_queue", name: "it's" }] });
  expect(shell).toBe(String.raw`\`legwork resume 'it'\''s'\``.replaceAll("\\`", "`"));
  expect(
    fixInWordsOf(COMMANDS, { fix: "`new()` or `x`", actions: [{ do: "of a newer version" }, { do: "retry_job", id: 1 }] }),
  ).toBe("`new()` or `legwork retry 1`");
});
