import type pg from "pg";
import { beforeAll, expect, it } from "vitest";
import { neededRole } from "../../src/db/needed-role.ts";
import { JOB_STATES } from "../../src/jobs/read-jobs.ts";
import { expectDocumented } from "../support/access-matrix.ts";
import { testDatabase } from "../support/database.ts";
import { fillEveryState, type TenantRows } from "../support/every-state.ts";
import { functionCalls } from "../support/function-calls.ts";
import { DATABASE_ROLES, type DatabaseRole, type RoleLogin, roleLogins } from "../support/role-logins.ts";

const database = testDatabase();
const logins = roleLogins(database);
const roleNames = DATABASE_ROLES.map((role) => role.slice("legwork_".length));

let filled: Awaited<ReturnType<typeof fillEveryState>>;
beforeAll(async () => {
  filled = await fillEveryState(database.pool);
});

interface Outcome {
  /** "ok", or the SQLSTATE. */
  code: string;
  message: string;
  rows: Record<string, unknown>[];
}

/** The outcome of a statement, in a transaction that is rolled back. */
async function outcomeOf(client: pg.Client, text: string): Promise<Outcome> {
  try {
    // The message contains several statements; the last result is that of the tested one.
    const results = (await client.query(`begin; ${text}`)) as unknown as pg.QueryResult[];
    return { code: "ok", message: "", rows: results.at(-1)?.rows ?? [] };
  } catch (error) {
    const { code = "", message } = error as Error & { code?: string };
    return { code, message, rows: [] };
  } finally {
    await client.query("rollback");
  }
}

/** Runs a function for all logins in parallel. */
async function each<T>(work: (login: RoleLogin) => Promise<T>): Promise<Map<RoleLogin, T>> {
  return new Map(await Promise.all(logins.map(async (login) => [login, await work(login)] as const)));
}

function find<T>(outcomes: Map<RoleLogin, T>, role: DatabaseRole, kind: RoleLogin["kind"]): T | undefined {
  return [...outcomes].find(([login]) => login.role === role && login.kind === kind)?.[1];
}

it("both tenants have jobs in every state", async () => {
  const { rows } = await database.pool.query(
    "select tenant, array_agg(distinct state::text) as states from legwork.jobs group by tenant order by 1",
  );
  expect(rows.map(({ tenant, states }) => [tenant, states.toSorted()])).toEqual(
    ["acme", "other"].map((tenant) => [tenant, JOB_STATES.toSorted()]),
  );
});

it("a view shows every row in every state to a role that may read it, and no row of another tenant to a confined login", async () => {
  const { rows: relations } = await database.pool.query<{ name: string; readers: string[] }>(
    `select n.nspname || '.' || c.relname as name, array(
       select l from unnest($1::text[]) l where has_schema_privilege(l, n.oid, 'usage') and has_table_privilege(l, c.oid, 'select')) as readers
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('legwork', 'legwork_private', 'legwork_tenant', 'legwork_confined', 'graphile_worker') and c.relkind in ('r', 'p', 'v')
       and not c.relispartition
     order by 1`,
    [logins.map(({ name }) => name)],
  );
  const table: string[][] = [];
  const wrong: unknown[] = [];
  for (const { name, readers } of relations) {
    const seen = await each(({ client }) => outcomeOf(client, `select * from ${name}`));
    for (const [login, { code, message, rows }] of seen) {
      if (code !== (readers.includes(login.name) ? "ok" : "42501")) wrong.push([name, login.name, message]);
      const isForeign = (row: Outcome["rows"][number]): boolean => (row.tenant ?? "acme") !== "acme";
      if (login.kind === "confined" && rows.some(isForeign)) wrong.push([name, login.name, "rows of another tenant"]);
    }
    if (readers.length > 0) table.push([`\`${name}\``, ...DATABASE_ROLES.map((role) => viewCell(seen, role))]);
  }
  expect(wrong).toEqual([]);
  expectDocumented("views", ["view", ...roleNames], table);
});

function viewCell(seen: Map<RoleLogin, Outcome>, role: DatabaseRole): string {
  const plain = find(seen, role, "plain");
  const confined = find(seen, role, "confined") ?? plain;
  if (plain?.code !== "ok" || confined === undefined) return "";
  if (plain.rows.length === 0) return confined.rows.length === 0 ? "✓ server" : "✓ confined";
  if (confined.rows.length === 0) return "✓ all tenants";
  return JSON.stringify(plain.rows) === JSON.stringify(confined.rows) ? "✓" : "✓ own rows";
}

it("a role has every right that its functions need, and a call of any other function is rejected with the function's name", async () => {
  const { rows: functions } = await database.pool.query<{ name: string; callers: string[] }>(
    `select f.function as name, array(select l from unnest($1::text[]) l where has_function_privilege(l, p.oid, 'execute')) as callers
     from (select distinct function from legwork_private.role_functions()) f
     join pg_proc p on p.pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and p.proname = f.function order by 1`,
    [logins.map(({ name }) => name)],
  );
  const calls = functionCalls(filled);
  expect(Object.keys(calls).toSorted()).toEqual(functions.map(({ name }) => name).toSorted());
  const table: string[][] = [];
  const wrong: unknown[] = [];
  for (const { name, callers } of functions) {
    const call = calls[name] ?? "";
    const refused = new Map<RoleLogin, boolean>();
    // One login after another, because the functions lock the rows that they change.
    for (const login of logins) {
      const may = callers.includes(login.name);
      // An admin inherits these functions from the other roles, which are tested in every state.
      const everyState = may && call.includes("$job") && login.role !== "legwork_admin" && login.kind === "plain";
      for (const state of everyState ? JOB_STATES : (["pending"] as const)) {
        const { code, message } = await outcomeOf(
          login.client,
          `select * from ${call.replaceAll("$job", filled.acme.jobs[state])}`,
        );
        const isRight = may ? code === "ok" || code.startsWith("LW") : message === `permission denied for function ${name}`;
        if (!isRight) wrong.push([name, login.name, state, code, message]);
        refused.set(login, code === "42501" || code === "LW403");
      }
    }
    table.push([
      `\`${name}\``,
      ...DATABASE_ROLES.map((role) => {
        if (find(refused, role, "plain") === true) return "";
        return find(refused, role, "confined") === true ? "✓ all tenants" : "✓";
      }),
    ]);
  }
  expect(wrong).toEqual([]);
  expectDocumented("functions", ["function", ...roleNames], table);
});

it("an operation's outcome depends on the job's state and not on the caller's role", async () => {
  const calls = functionCalls(filled);
  const operations = [
    "cancel_job",
    "retry_job",
    "discard_job",
    "rerun_job",
    "set_priority",
    "send_signal",
    "explain_job",
    "job_reruns",
  ];
  const table: string[][] = [];
  for (const name of operations) {
    const outcomes = async (role: DatabaseRole, kind: RoleLogin["kind"], rows: TenantRows): Promise<string[]> => {
      const client = logins.find((login) => login.role === role && login.kind === kind)!.client;
      const codes: string[] = [];
      for (const state of JOB_STATES) {
        codes.push((await outcomeOf(client, `select * from ${calls[name]!.replaceAll("$job", rows.jobs[state])}`)).code);
      }
      return codes;
    };
    const plain = await outcomes("legwork_operator", "plain", filled.acme);
    expect([name, await outcomes("legwork_operator", "confined", filled.acme)]).toEqual([name, plain]);
    expect([name, await outcomes("legwork_admin", "plain", filled.other)]).toEqual([name, plain]);
    // Another tenant's job produces the same error as an unknown job.
    expect([name, await outcomes("legwork_operator", "confined", filled.other)]).toEqual([name, JOB_STATES.map(() => "LW404")]);
    table.push([`\`${name}\``, ...plain.map((code) => (code === "ok" ? "✓" : code))]);
  }
  expectDocumented("states", ["function", ...JOB_STATES], table);
});

it("the role that a hint names is the lowest one that is sufficient", async () => {
  const { rows } = await database.pool.query<{ name: string; roles: string[] }>(
    `select function as name, array_agg(role) as roles from legwork_private.role_functions() group by 1
     union all
     select c.relname, array_agg(r) from unnest($1::text[]) r
     join pg_class c on c.relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and c.relkind = 'v' and has_table_privilege(r, c.oid, 'select') group by 1`,
    [DATABASE_ROLES],
  );
  const least = (roles: readonly string[]): string | undefined => DATABASE_ROLES.find((role) => roles.includes(role));
  expect(rows.map(({ name }) => [name, neededRole(name)])).toEqual(rows.map(({ name, roles }) => [name, least(roles)]));
});

it("an enqueuer that owns a table gets an error that says who may create its trigger", async () => {
  const { name, client } = logins.find(({ role }) => role === "legwork_enqueuer")!;
  await database.pool.query(`create table public.people (id bigint); alter table public.people owner to ${name}`);
  const { code, message } = await outcomeOf(client, "select legwork.enqueue_on('people', 'insert', 'free')");
  await database.pool.query("drop table public.people");
  expect([code, message]).toEqual(["LW403", `Role ${name} may not create triggers that enqueue jobs.`]);
});
