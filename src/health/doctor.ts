import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { toError } from "../errors.ts";
import { GRAPHILE_WORKER_SCHEMA, GRAPHILE_WORKER_VERSION } from "../db/migrate.ts";
import { roleHint } from "../db/needed-role.ts";
import type { Pool, Queryable } from "../db/pool.ts";
import { fromDatabaseError } from "../db/translate-error.ts";
import { describePooling, findPoolingBefore, type Pooling } from "../db/pooler.ts";
import { describeLack, lackingNow } from "../db/repair.ts";
import { type Migration, type SchemaFiles, schemaFiles } from "../db/schema-files.ts";
import { splitSql } from "../db/split-sql.ts";
import { compareVersions } from "../version.ts";

/** The newest Postgres that is tested. */
const MAX_SERVER_MAJOR = 18;

/** A second is what people compare logs by; less than that, NTP leaves behind now and then. */
const SKEW_WARNING_MS = 1_000;

/** graphile-worker's crontab goes by the worker's clock, in minutes: from here on schedules fire in the wrong one. */
const SKEW_CRITICAL_MS = 30_000;

/** The best of so many round trips is taken; the first one pays for connecting. */
const CLOCK_SAMPLES = 5;

const SEVERITIES = ["critical", "warning", "ok"] as const;

/** A row of `legwork.doctor()`: something that was looked at, and what to do about it unless it is well. */
export interface Finding {
  check: string;
  severity: (typeof SEVERITIES)[number];
  finding: string;
  /** Null when there is nothing to do. */
  fix: string | null;
  detail: unknown;
}

interface DiagnoseOptions {
  /** Two more connections to where it leads tell whether a connection pooler is in the way. Without a pool that is not looked at. */
  pool?: Pool;
  /** For tests. */
  now?: () => number;
  /** For tests. */
  files?: SchemaFiles;
}

/**
 * What is wrong with the job system, the worst first: what the database finds, and what only a client can know (versions, clocks, poolers).
 * A right that is missing is a finding and no error.
 *
 * @example
 * import { diagnose } from "legwork/operations";
 *
 * const wrong = (await diagnose(client)).filter(({ severity }) => severity !== "ok");
 */
export async function diagnose(
  client: Queryable,
  { pool, now = Date.now, files = schemaFiles() }: DiagnoseOptions = {},
): Promise<Finding[]> {
  const dropped = await schemaObjects(client, files);
  // What the database finds, it finds by these.
  if (dropped.severity !== "ok") return [dropped];
  const seen = await attempt(
    "database",
    "legwork.doctor()",
    async () => (await client.query("select * from legwork.doctor()")).rows,
  );
  const findings = [
    ...seen.filter(({ check }) => check !== "versions").map((finding) => withStatements(finding, files)),
    ...(await attempt("versions", "legwork_private.installed_schema()", async () =>
      versions(await installedSchema(client, seen), files),
    )),
    await server(client),
    await clock(client, now),
    ...(pool === undefined ? [] : [await connection(pool, seen)]),
  ];
  return findings.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
}

async function schemaObjects(client: Queryable, files: SchemaFiles): Promise<Finding> {
  const missing = await lackingNow(client, files);
  if (missing.length === 0) return ok("schema", "The database has all that Legwork's migrations made.");
  return { check: "schema", severity: "critical", finding: describeLack(missing), fix: "legwork migrate", detail: missing };
}

/** The schema as `legwork_private.installed_schema()` describes it. */
interface InstalledSchema {
  version: string;
  minimum_version: string;
  graphile_worker: number;
  migrations: readonly Pick<Migration, "id" | "name" | "checksum">[];
}

/** From what `legwork.doctor()` says, or by itself for a login that may not call that. */
async function installedSchema(client: Queryable, seen: readonly Finding[]): Promise<InstalledSchema> {
  const found = seen.find(({ check, severity }) => check === "versions" && severity === "ok");
  if (found !== undefined) return found.detail as InstalledSchema;
  const { rows } = await client.query("select * from legwork_private.installed_schema()");
  return rows[0];
}

/** What this user may not see, or what an older schema has not got, is told in place of the check's findings. */
async function attempt(check: string, what: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (thrown) {
    const error = toError(thrown) as Error & { code?: string };
    const finding = (text: string, fix: string): Finding[] => [
      { check, severity: "warning", finding: text, fix, detail: { sqlstate: error.code, message: error.message } },
    ];
    switch (error.code) {
      case "42501":
        return finding(`This login may not call ${what}: ${error.message}.`, roleHint(error.message));
      case "42883":
        return finding(`The database has no function ${what} yet.`, "legwork migrate");
      case "57014":
        return finding(
          `Looking at ${what} was cut off: ${error.message}.`,
          "Raise statement_timeout for this user and try again.",
        );
      default:
        throw fromDatabaseError(error);
    }
  }
}

function versions(found: InstalledSchema, files: SchemaFiles): Finding[] {
  const newer = compareVersions(found.version, files.version) > 0;
  return [
    graphileWorker(found.graphile_worker),
    ...(newer ? [newerSchema(found, files)] : legworkMigrations(found.migrations, files.migrations)),
  ];
}

function newerSchema({ version, minimum_version: minimum }: InstalledSchema, files: SchemaFiles): Finding {
  const check = "migrations";
  const detail = { version, minimumVersion: minimum, thisVersion: files.version };
  if (compareVersions(files.version, minimum) >= 0) {
    return ok(check, `The schema is that of Legwork ${version}, which this version (${files.version}) may use.`, detail);
  }
  return {
    check,
    severity: "critical",
    finding: `The schema is that of Legwork ${version}, which needs version ${minimum} or newer; this is ${files.version}.`,
    fix: `npm install legwork@${version}`,
    detail,
  };
}

/** What was changed by hand gets the statements that put it back, for those who work in psql. */
function withStatements(finding: Finding, files: SchemaFiles): Finding {
  if (finding.check !== "definitions" || finding.severity === "ok") return finding;
  const objects = finding.detail as string[];
  return { ...finding, detail: objects.map((object) => ({ object, statement: statementOf(object, files) })) };
}

/** What makes this object, as a statement for psql. */
function statementOf(object: string, files: SchemaFiles): string | null {
  const definition = files.definitions.find((candidate) => candidate.object === object);
  if (definition !== undefined) return `${definition.statements.join(";\n")};`;
  const [, name = ""] = /^index \w+\.(\w+)$/.exec(object) ?? [];
  const statements = files.migrations.flatMap(({ sql }) => splitSql(sql));
  const made = statements.find((statement) => new RegExp(`^create (?:unique )?index ${name} `, "i").test(statement));
  return made === undefined ? null : `${made};`;
}

function graphileWorker(schema: number): Finding {
  const installed = installedGraphileWorker();
  const detail = { installed, expected: GRAPHILE_WORKER_VERSION, schema, expectedSchema: GRAPHILE_WORKER_SCHEMA };
  const check = "graphile_worker";
  if (schema !== GRAPHILE_WORKER_SCHEMA) {
    return {
      check,
      severity: "critical",
      finding: `The schema graphile_worker is at migration ${schema}; Legwork is made for ${GRAPHILE_WORKER_SCHEMA}, and no worker of it starts.`,
      fix:
        schema < GRAPHILE_WORKER_SCHEMA
          ? `Bring every worker to graphile-worker ${GRAPHILE_WORKER_VERSION} and run legwork migrate --upgrade-graphile-worker.`
          : "Install a version of Legwork that is made for your graphile-worker.",
      detail,
    };
  }
  if (installed !== GRAPHILE_WORKER_VERSION) {
    return {
      check,
      severity: "critical",
      finding: `graphile-worker ${installed} is installed; Legwork is made for ${GRAPHILE_WORKER_VERSION}.`,
      fix: `npm install graphile-worker@${GRAPHILE_WORKER_VERSION} --save-exact, or remove what overrides it in package.json.`,
      detail,
    };
  }
  return ok(check, `graphile-worker ${installed} is installed and its schema is of that version.`, detail);
}

/** Its package exports nothing but its code, so its version is read from the file beside it. */
export function installedGraphileWorker(): string {
  let directory = dirname(fileURLToPath(import.meta.resolve("graphile-worker")));
  while (!existsSync(join(directory, "package.json"))) directory = dirname(directory);
  return JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).version;
}

function legworkMigrations(applied: InstalledSchema["migrations"], known: readonly Migration[]): Finding[] {
  const names = (migrations: readonly { name: string }[]): string => migrations.map(({ name }) => name).join(", ");
  const missing = known.filter(({ id }) => !applied.some((row) => row.id === id));
  const unknown = applied.filter(({ id }) => !known.some((migration) => migration.id === id));
  const changed = applied.filter(({ id, checksum }) =>
    known.some((migration) => migration.id === id && migration.checksum !== checksum),
  );
  const critical = (finding: string, fix: string): Finding => ({
    check: "migrations",
    severity: "critical",
    finding,
    fix,
    detail: null,
  });
  const findings: Finding[] = [];
  if (missing.length > 0) findings.push(critical(`The database lacks ${names(missing)}.`, "legwork migrate"));
  if (unknown.length > 0) {
    findings.push(
      critical(
        `The database has ${names(unknown)}, which this version of Legwork does not know.`,
        "Install the version that migrated it, or a newer one.",
      ),
    );
  }
  if (changed.length > 0) {
    findings.push(
      critical(
        `Not what was applied to the database: ${names(changed)}.`,
        "Restore the files in sql/; a change belongs in a new migration.",
      ),
    );
  }
  return findings.length > 0 ? findings : [ok("migrations", `The database has all ${known.length} migrations of this version.`)];
}

/** One that is too old is refused before anything is asked of it. */
async function server(client: Queryable): Promise<Finding> {
  const { rows } = await client.query(
    "select current_setting('server_version_num')::integer / 10000 as major, current_setting('server_version') as version",
  );
  const { major, version } = rows[0] as { major: number; version: string };
  if (major <= MAX_SERVER_MAJOR) return ok("postgres", `Postgres ${version} is supported.`, { version });
  return {
    check: "postgres",
    severity: "warning",
    finding: `Postgres ${version} is newer than any that this version of Legwork was tested with.`,
    fix: "See whether there is a newer version of Legwork.",
    detail: { version },
  };
}

/** How this very process reaches Postgres. That a pooler is in the way matters to workers, and is a warning while none is alive. */
async function connection(pool: Pool, seen: readonly Finding[]): Promise<Finding> {
  const check = "connection";
  let pooling: Pooling | undefined;
  try {
    pooling = await findPoolingBefore(pool);
  } catch (thrown) {
    return {
      check,
      severity: "warning",
      finding: `Two more connections to Postgres could not be compared: ${toError(thrown).message}.`,
      fix: "See how many connections Postgres and a pooler before it allow.",
      detail: null,
    };
  }
  if (pooling === undefined) return ok(check, "The doctor has its connections to Postgres for itself.");
  const finding = `The doctor reaches Postgres ${describePooling(pooling)}.`;
  const workers = seen.find((row) => row.check === "workers" && row.severity === "ok");
  if (workers !== undefined) return ok(check, `${finding} Workers are alive, so they reach it in another way.`, { pooling });
  return {
    check,
    severity: "warning",
    finding: `${finding} A worker would not start here.`,
    fix: "Give workers a DATABASE_URL that leads to Postgres itself, or to a pool in session mode with enough connections (docs/guides/poolers.md).",
    detail: { pooling },
  };
}

/** How far this machine's clock is from the database's. What a round trip leaves open counts as no difference. */
async function clock(client: Queryable, now: () => number): Promise<Finding> {
  let best = { skew: 0, doubt: Infinity };
  for (let sample = 0; sample < CLOCK_SAMPLES; sample += 1) {
    const sent = now();
    const { rows } = await client.query("select extract(epoch from clock_timestamp())::float8 * 1000 as now");
    const answered = now();
    const doubt = (answered - sent) / 2;
    if (doubt < best.doubt) best = { skew: (sent + answered) / 2 - rows[0].now, doubt };
  }
  const certain = Math.abs(best.skew) - best.doubt;
  const detail = { skewMs: Math.round(best.skew), plusMinusMs: Math.ceil(best.doubt) };
  const seconds = `${(Math.abs(best.skew) / 1_000).toFixed(1)} s`;
  if (certain < SKEW_WARNING_MS) {
    return ok(
      "clock",
      `This machine's clock and the database's differ by ${Math.round(Math.abs(best.skew))} ms, ± ${Math.ceil(best.doubt)}.`,
      detail,
    );
  }
  return {
    check: "clock",
    severity: certain < SKEW_CRITICAL_MS ? "warning" : "critical",
    finding: `This machine's clock is ${seconds} ${best.skew > 0 ? "ahead of" : "behind"} the database's.`,
    fix: "Let both keep time by NTP (chronyc tracking, timedatectl). A worker here runs its crontab by the wrong clock, and times given from here are off.",
    detail,
  };
}

function ok(check: string, finding: string, detail: unknown = null): Finding {
  return { check, severity: "ok", finding, fix: null, detail };
}
