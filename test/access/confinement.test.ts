import { createHash } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { testDatabase } from "../support/database.ts";

// Reads from the catalog every view and function that a login of the tenant acme can reach, and tries each of them on globex's rows. New views and
// functions are covered automatically.

const database = testDatabase();
const suffix = Math.random().toString(36).slice(2, 8);
/** The roles in which a login can be confined. Each includes the ones before it. */
const ROLES = ["reader", "enqueuer", "operator", "admin"] as const;
type Role = (typeof ROLES)[number];
const clients = {} as Record<Role, pg.Client>;
const nameOf = (role: Role): string => `legwork_test_confined_${role}_${suffix}`;
const run = async (text: string, values: unknown[] = []): Promise<pg.QueryResult["rows"]> =>
  (await database.pool.query(text, values)).rows;

/** Occurs in every text that belongs to globex, and in nothing that acme sends. */
const MARKER = "SECRET";
/** The first id of globex's rows, in every table. */
const FIRST_ID = 777_000_000;
const ID = /777000\d{3}/;
/** An id that does not exist. */
const NO_ID = "555000001";

interface Subjects {
  ids: string[];
  token: string;
  hash: Buffer;
}
let globex: Subjects;

beforeAll(async () => {
  if (inject("serverUrl") === "") return;
  await run("select legwork.create_roles()");
  await run(
    `select legwork_private.register_tasks('[{"name": "t", "queue": "q"}, {"name": "limited"}]'), legwork.limit_concurrency(1, task => 'limited')`,
  );
  await subjectsOf("acme", "public");
  await startIdsAt(FIRST_ID);
  globex = await subjectsOf("globex", MARKER);
  await startIdsAt(FIRST_ID + 100_000_000);
  for (const role of ROLES) {
    await run(`create role ${nameOf(role)} login password 'of the test' in role legwork_${role}`);
    await run("select legwork.confine_login($1, 'acme')", [nameOf(role)]);
    const url = new URL(database.url);
    url.username = nameOf(role);
    url.password = "of the test";
    clients[role] = new pg.Client({ connectionString: url.href });
    await clients[role].connect();
    for (const name of await settings()) await clients[role].query("select set_config($1, $2, false)", [name, settingOf(name)]);
  }
});
afterAll(async () => {
  await Promise.all(Object.values(clients).map((client) => client.end()));
  if (inject("serverUrl") === "") return;
  for (const role of ROLES) await run(`drop role ${nameOf(role)}`);
});

async function startIdsAt(first: number): Promise<void> {
  await run(
    `select setval(c.oid::regclass, $1) from pg_class c
     where c.relkind = 'S' and c.relnamespace::regnamespace::text in ('legwork', 'legwork_private', 'graphile_worker') and c.relname !~ 'tasks|limits'`,
    [first],
  );
}

/** Creates one of each kind of object that a tenant can have, with a text that identifies the tenant. */
async function subjectsOf(tenant: string, marker: string): Promise<Subjects> {
  const payload = JSON.stringify({ text: marker });
  const jobs = await run(
    `select legwork.enqueue(task, $2::jsonb, tenant => $1, run_at => case n when 2 then now() + interval '1 hour' end) as id
     from unnest(array['t', 't', 't', 't', 't', 'limited', 'limited']) with ordinality x (task, n)`,
    [tenant, payload],
  );
  const [waiting, later, running, failed, completed] = jobs.map(({ id }) => id as string);
  await run("update graphile_worker._private_jobs set locked_by = $2, locked_at = now(), attempts = 1 where id = $1", [
    running,
    `${tenant}-worker`,
  ]);
  await run("select legwork_private.worker_beat($1, 'host', 1, 1, '{t}', array[$2::bigint])", [`${tenant}-worker`, running]);
  await run("select graphile_worker.permanently_fail_jobs(array[$1]::bigint[], $2)", [failed, marker]);
  await run("select graphile_worker.complete_jobs(array[$1]::bigint[])", [completed]);
  await run("select legwork_private.record_output($1, 1, now(), 50, $2, null)", [running, marker]).catch(() => undefined);
  await run(
    "insert into legwork_private.job_logs (job_id, attempt, logged_at, level, message, tenant) values ($1, 1, now(), 'info', $2, $3)",
    [running, marker, tenant],
  );
  await run(
    `insert into legwork_private.job_steps (job_id, kind, name, state, attempt, started_at, tenant) values ($1, 'run', $2, 'completed', 1, now(), $3)`,
    [running, marker, tenant],
  );
  await run("select legwork.send_signal($1, $2)", [later, marker]);
  const steps = JSON.stringify([{ name: "s", task: "t", payload: { text: marker } }]);
  const [{ flow }] = await run("select legwork.start_workflow($1, $2::jsonb, tenant => $3) as flow", [
    `${marker} flow`,
    steps,
    tenant,
  ]);
  const [{ ended }] = await run("select legwork.start_workflow($1, $2::jsonb, tenant => $3) as ended", [
    `${marker} flow`,
    steps,
    tenant,
  ]);
  await run("select legwork.cancel_workflow($1, $2)", [ended, marker]);
  const [{ batch }] = await run("select legwork.enqueue_batch($1::jsonb, tenant => $2) as batch", [
    JSON.stringify([{ task: "t", payload: { text: marker } }]),
    tenant,
  ]);
  await run("select legwork.schedule($1, 't', every => '1 hour', payload => $2::jsonb, tenant => $3), legwork.run_schedule($1)", [
    `${tenant}-name`,
    payload,
    tenant,
  ]);
  const [{ secret }] = await run("select legwork.create_token($1, 'admin', $2) as secret", [`${marker} token`, tenant]);
  const [{ id: token }] = await run("select id from legwork_private.tokens where tenant = $1", [tenant]);
  await run("select legwork_private.claim_request($1, 'key', 'hash'), legwork_private.keep_response($1, 'key', $2::jsonb)", [
    `${tenant} token`,
    payload,
  ]);
  const ids = [waiting, later, running, failed, completed, flow, ended, batch].map(String);
  return { ids, token, hash: createHash("sha256").update(secret).digest() };
}

/** Every setting that Legwork's functions and views read. */
async function settings(): Promise<string[]> {
  const rows = await run(`
    select distinct m[1] as name
    from (
      select pg_get_functiondef(p.oid) as text from pg_proc p where p.pronamespace::regnamespace::text like 'legwork%' and p.prokind = 'f'
      union all
      select pg_get_viewdef(c.oid) from pg_class c where c.relnamespace::regnamespace::text like 'legwork%' and c.relkind = 'v'
    ) d, regexp_matches(d.text, 'current_setting\\(''(legwork\\.\\w+)''', 'g') m order by 1`);
  return rows.map(({ name }) => name);
}

function settingOf(name: string): string {
  if (name === "legwork.role") return "admin";
  // Completing a job parses these settings as lists or numbers, and fails for any other value.
  return /completed_|failures|parent_id|traceparent/.test(name) ? "" : "globex";
}

interface Outcome {
  text: string;
  code: string;
}
async function attempt(client: pg.Client, text: string, values: unknown[] = []): Promise<Outcome> {
  return await client.query({ text, values, rowMode: "array" }).then(
    ({ rows }) => ({ text: JSON.stringify(rows), code: "ok" }),
    ({ code, message, hint, detail }) => ({ text: [message, hint, detail].join(" "), code }),
  );
}

let selectRows: string | undefined;
/** Globex's rows in every table, as the owner of the tables sees them. */
async function rowsOfGlobex(): Promise<string[]> {
  const tables =
    selectRows === undefined
      ? await run(`
    select c.oid::regclass::text as name from pg_class c
    where c.relkind = 'r' and c.relnamespace::regnamespace::text in ('legwork', 'legwork_private', 'graphile_worker') order by 1`)
      : [];
  selectRows ??= `select * from (${tables
    .map(
      ({ name }) => `
      select ${pg.escapeLiteral(name)} || ' ' || j from (select to_jsonb(x) as j from ${name} x) x
      where j ->> 'tenant' = 'globex' or j -> 'flags' ? 'tenant:globex' or j ->> 'subject' like 'globex%' or j::text like '%${MARKER}%'
        or jsonb_path_exists(j, '$.* ? (@ >= ${FIRST_ID} && @ < ${FIRST_ID + 1_000_000})')`,
    )
    .join(" union all ")}) r (row) order by 1`;
  // A named statement, so that it is planned once.
  return (await database.pool.query({ name: "rows of globex", text: selectRows })).rows.map(({ row }) => row);
}

interface Callable {
  name: string;
  required: number;
  isVolatile: boolean;
  isImmutable: boolean;
  names: string[];
  types: string[];
}
/** The functions that a role may call in addition to those of the roles before it. */
async function functionsOf(role: Role): Promise<Callable[]> {
  return (await run(
    `select p.oid::regproc::text as name, p.pronargs - p.pronargdefaults as required,
       p.provolatile = 'v' as "isVolatile", p.provolatile = 'i' as "isImmutable",
       array(select coalesce(p.proargnames[i], '') from generate_series(1, p.pronargs) i) as names,
       array(select format_type(t, null) from unnest(p.proargtypes) with ordinality a (t, n) order by n) as types
     from pg_proc p
     where p.pronamespace::regnamespace::text ~ '^(legwork|graphile_worker)' and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
       and has_schema_privilege($1::name, p.pronamespace, 'usage') and has_function_privilege($1::name, p.oid, 'execute')
       and not exists (select from unnest($2::name[]) o where has_function_privilege(o, p.oid, 'execute'))
     order by 1, p.oid`,
    [nameOf(role), ROLES.slice(0, ROLES.indexOf(role)).map(nameOf)],
  )) as Callable[];
}

const FILTERS = (ids: readonly string[]): unknown[] => [
  { tenant: "globex" },
  {},
  { ids, state: "failed" },
  { ids },
  [{ task: "t", tenant: "globex", name: "s" }],
  [{ task: "t", depends_on: ids.slice(0, 1), name: "s" }],
];

/** One of globex's values for an argument with this name and type: the n-th if there are several. */
function argument(name: string, type: string, n: number, id: string): unknown {
  switch (type) {
    case "bigint":
      return id;
    case "bigint[]":
      return [id];
    case "json":
    case "jsonb": {
      const filters = FILTERS(globex.ids);
      return JSON.stringify(filters[n % filters.length]);
    }
    case "uuid":
      return globex.token;
    case "uuid[]":
      return [globex.token];
    case "bytea":
      return globex.hash;
    case "boolean":
      return n % 2 === 1;
    case "integer":
    case "smallint":
    case "double precision":
    case "numeric":
    case "real":
      return 1;
    case "interval":
      return "1 hour";
    case "timestamp with time zone":
      return new Date(0);
    case "text[]":
      return ["globex-name"];
    case "text":
    case "name": {
      const known: Record<string, string> = {
        tenant: "globex",
        task: "t",
        queue: "q",
        scope: "task",
        role: "admin",
        needed: "admin",
        worker: "globex-worker",
        subject: "globex token",
        key: "key",
        request_hash: "hash",
        reason: "x",
        cron: "",
        login: nameOf("reader"),
      };
      return known[name] ?? "globex-name";
    }
    default:
      return null;
  }
}

async function call(
  client: pg.Client,
  { name, names, types }: Callable,
  given: number,
  n: number,
  id: string,
): Promise<Outcome & { asked: string }> {
  const values = names.slice(0, given).map((each, i) => argument(each, types[i] ?? "", n, id));
  const list = values.map((_value, i) => `${names[i] === "" ? "" : `"${names[i]}" => `}$${i + 1}::${types[i]}`).join(", ");
  const text = `select * from ${name}(${list})`;
  return { ...(await attempt(client, text, values)), asked: `${text} ${JSON.stringify(values)}` };
}

const MARKER_OR_ID = new RegExp(`${MARKER}|${ID.source}`);

it.each(ROLES)(
  "a confined login in legwork_%s finds no row of another tenant in anything that it can read, whatever settings it changes",
  async (role) => {
    const relations = await run(
      `select c.oid::regclass::text as name from pg_class c
     where c.relkind in ('r', 'p', 'v', 'm') and c.relnamespace::regnamespace::text ~ '^(legwork|graphile_worker)'
       and has_schema_privilege($1::name, c.relnamespace, 'usage') and has_any_column_privilege($1::name, c.oid, 'select') order by 1`,
      [nameOf(role)],
    );
    const found: unknown[] = [];
    for (const { name } of relations) {
      const { code, text } = await attempt(clients[role], `select x::text from ${name} x`);
      // An expression that raises an error for a row would reveal that the row exists.
      const tellTale = `select from ${name} x where 1 / (case when x::text ~ '${MARKER}|777000' then 0 else 1 end) = 1`;
      const told = await attempt(clients[role], tellTale);
      if (code !== "ok" || told.code !== "ok" || MARKER_OR_ID.test(text)) found.push({ name, code, text, told });
    }
    expect(relations.length).toBeGreaterThan(0);
    expect(found).toEqual([]);
  },
);

it.each(["reader", "operator", "admin"] as const)(
  "a confined login in legwork_%s can still read its own tenant's jobs",
  async (role) => {
    expect((await attempt(clients[role], "select payload from legwork_tenant.jobs")).text).toContain("public");
  },
);

it.each(ROLES)(
  "a confined login in legwork_%s cannot read or change another tenant's rows with any function that it can call, whatever settings it changes",
  async (role) => {
    const functions = await functionsOf(role);
    expect(functions.length).toBeGreaterThan(0);
    let before = await rowsOfGlobex();
    expect(before.length).toBeGreaterThan(20);
    const found: unknown[] = [];
    for (const callable of functions) {
      const { asked, leaks } = await tryOut(clients[role], callable);
      found.push(...leaks);
      // Postgres lets only volatile functions write.
      if (!callable.isVolatile) continue;
      const after = await rowsOfGlobex();
      const gone = before.filter((row) => !after.includes(row));
      const come = after.filter((row) => !before.includes(row));
      if (gone.length > 0 || come.length > 0) found.push({ asked, gone, come });
      before = after;
    }
    expect(found).toEqual([]);
  },
);

/** Calls a function with all of globex's values. Returns all calls, and separately the calls that revealed something. */
async function tryOut(client: pg.Client, callable: Callable): Promise<{ asked: string[]; leaks: unknown[] }> {
  const asked: string[] = [];
  const leaks: unknown[] = [];
  const hasId = callable.types.some((type) => type.startsWith("bigint"));
  const hasFilter = callable.types.some((type) => type.startsWith("json"));
  // An immutable function cannot read any table.
  const ids = hasId && !callable.isImmutable ? globex.ids : [NO_ID];
  const variants = hasFilter && !callable.isImmutable ? FILTERS([]).length : 1;
  for (const given of new Set([callable.required, callable.names.length])) {
    const unknown = await call(client, callable, given, 0, NO_ID);
    for (let n = 0; n < Math.max(ids.length, variants); n++) {
      const outcome = await call(client, callable, given, n, ids[n % ids.length] ?? NO_ID);
      asked.push(outcome.asked);
      // An id that was sent may appear in the response.
      const telling = outcome.asked.includes("777000") ? new RegExp(MARKER) : MARKER_OR_ID;
      // Another tenant's row must produce the same code as an unknown row.
      const isKnown = hasId && !hasFilter && outcome.code !== unknown.code;
      if (telling.test(outcome.text) || isKnown) leaks.push({ outcome, unknown });
    }
  }
  return { asked, leaks };
}

it("actions of confined logins are in the audit log of their own tenant", async () => {
  const rows = await run(
    "select distinct tenant, operation from legwork_private.audit_entries where starts_with(database_role, $1) order by 2",
    ["legwork_test_confined_"],
  );
  expect(new Set(rows.map(({ tenant }) => tenant))).toEqual(new Set(["acme"]));
  expect(rows.map(({ operation }) => operation)).toEqual(
    expect.arrayContaining(["cancel_jobs", "create_token", "retry_jobs", "rerun_jobs"]),
  );
});
