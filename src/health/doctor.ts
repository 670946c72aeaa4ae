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

/** The newest tested version of Postgres. */
const MAX_SERVER_MAJOR = 18;

/** From this difference on, comparing the logs of two hosts is misleading; smaller differences are common with NTP. */
const SKEW_WARNING_MS = 1_000;

/** graphile-worker's crontab uses the worker's clock, in minutes: from this difference on, its schedules fire in the wrong minute. */
const SKEW_CRITICAL_MS = 30_000;

/** The number of round trips that are measured. The fastest counts; the first includes the time for connecting. */
const CLOCK_SAMPLES = 5;

const SEVERITIES = ["critical", "warning", "ok"] as const;

/** A row of `legwork.doctor()`: the result of a check and, unless it is ok, the fix. */
export interface Finding {
  check: string;
  severity: (typeof SEVERITIES)[number];
  finding: string;
  /** What to do about it; null if there is nothing to do. */
  fix: string | null;
  detail: unknown;
}

interface DiagnoseOptions {
  /** Opens two more connections to detect a connection pooler. Without a pool, this is not checked. */
  pool?: Pool;
  /** For tests. */
  now?: () => number;
  /** For tests. */
  files?: SchemaFiles;
}

/**
 * Checks the job system and returns findings, most severe first: those of the database, and those that only a client can determine (versions, clocks,
 * poolers). A missing privilege is a finding, not an error.
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
  // The database's own checks depend on these objects.
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
  if (missing.length === 0) return ok("schema", "The database has all objects of Legwork's schema.");
  return { check: "schema", severity: "critical", finding: describeLack(missing), fix: "legwork migrate", detail: missing };
}

/** The schema as `legwork_private.installed_schema()` describes it. */
interface InstalledSchema {
  version: string;
  minimum_version: string;
  graphile_worker: number;
  migrations: readonly Pick<Migration, "id" | "name" | "checksum">[];
}

/** Returns the schema from the findings of `legwork.doctor()`, or by a query if the login may not call that. */
async function installedSchema(client: Queryable, seen: readonly Finding[]): Promise<InstalledSchema> {
  const found = seen.find(({ check, severity }) => check === "versions" && severity === "ok");
  if (found !== undefined) return found.detail as InstalledSchema;
  const { rows } = await client.query("select * from legwork_private.installed_schema()");
  return rows[0];
}

/** Runs a check. If the login lacks a privilege, or an older schema lacks a function, the finding says so. */
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
        return finding(`${what} was interrupted: ${error.message}.`, "Raise statement_timeout for this login and try again.");
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
    return ok(check, `The schema is from Legwork ${version}, and this version (${files.version}) is compatible with it.`, detail);
  }
  return {
    check,
    severity: "critical",
    finding: `The schema is from Legwork ${version} and requires version ${minimum} or newer; this is ${files.version}.`,
    fix: `npm install legwork@${version}`,
    detail,
  };
}

/** Adds the statements that restore manually changed objects, for psql. */
function withStatements(finding: Finding, files: SchemaFiles): Finding {
  if (finding.check !== "definitions" || finding.severity === "ok") return finding;
  const objects = finding.detail as string[];
  return { ...finding, detail: objects.map((object) => ({ object, statement: statementOf(object, files) })) };
}

/** Returns the statement that creates an object, for psql. */
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
      finding: `The schema graphile_worker is at migration ${schema}; Legwork supports ${GRAPHILE_WORKER_SCHEMA}, and its workers do not start.`,
      fix:
        schema < GRAPHILE_WORKER_SCHEMA
          ? `Upgrade every worker to graphile-worker ${GRAPHILE_WORKER_VERSION} and run legwork migrate --upgrade-graphile-worker.`
          : "Install a version of Legwork that supports your graphile-worker.",
      detail,
    };
  }
  if (installed !== GRAPHILE_WORKER_VERSION) {
    return {
      check,
      severity: "critical",
      finding: `graphile-worker ${installed} is installed; Legwork supports ${GRAPHILE_WORKER_VERSION}.`,
      fix: `npm install graphile-worker@${GRAPHILE_WORKER_VERSION} --save-exact, or remove the override in package.json.`,
      detail,
    };
  }
  return ok(check, `graphile-worker ${installed} is installed, and its schema has the same version.`, detail);
}

/** Returns the installed version of graphile-worker. It is read from the package.json, because the package exports only its code. */
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
        `The database was migrated by a newer version of Legwork: this version does not include ${names(unknown)}.`,
        "Install the version that migrated it, or a newer one.",
      ),
    );
  }
  if (changed.length > 0) {
    findings.push(
      critical(
        `These files differ from what was applied to the database: ${names(changed)}.`,
        "Restore the files in sql/; put changes into a new migration.",
      ),
    );
  }
  return findings.length > 0
    ? findings
    : [ok("migrations", `The database has all migrations of this version (${known.length}).`)];
}

/** Checks the version of Postgres. Versions that are too old were rejected earlier. */
async function server(client: Queryable): Promise<Finding> {
  const { rows } = await client.query(
    "select current_setting('server_version_num')::integer / 10000 as major, current_setting('server_version') as version",
  );
  const { major, version } = rows[0] as { major: number; version: string };
  if (major <= MAX_SERVER_MAJOR) return ok("postgres", `Postgres ${version} is supported.`, { version });
  return {
    check: "postgres",
    severity: "warning",
    finding: `This version of Legwork has not been tested with Postgres ${version}, which is newer.`,
    fix: "Check whether there is a newer version of Legwork.",
    detail: { version },
  };
}

/** Checks how this process reaches Postgres. A pooler in between affects workers; while no worker is running, the finding is a warning. */
async function connection(pool: Pool, seen: readonly Finding[]): Promise<Finding> {
  const check = "connection";
  let pooling: Pooling | undefined;
  try {
    pooling = await findPoolingBefore(pool);
  } catch (thrown) {
    return {
      check,
      severity: "warning",
      finding: `Cannot check for a connection pooler: ${toError(thrown).message}.`,
      fix: "Check how many connections Postgres, and a pooler in front of it, allow.",
      detail: null,
    };
  }
  if (pooling === undefined) return ok(check, "The doctor does not share its connections to Postgres.");
  const finding = `The doctor reaches Postgres ${describePooling(pooling)}.`;
  const workers = seen.find((row) => row.check === "workers" && row.severity === "ok");
  if (workers !== undefined)
    return ok(check, `${finding} Workers are running, so they reach it in a different way.`, { pooling });
  return {
    check,
    severity: "warning",
    finding: `${finding} A worker would not start here.`,
    fix: "Give workers a DATABASE_URL that points directly to Postgres, or to a pooler in session mode with enough connections (docs/guides/poolers.md).",
    detail: { pooling },
  };
}

/** Compares this host's clock with the database's. A difference within the uncertainty of the round trip is ignored. */
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
      `This host's clock and the database's differ by ${Math.round(Math.abs(best.skew))} ms, ± ${Math.ceil(best.doubt)}.`,
      detail,
    );
  }
  return {
    check: "clock",
    severity: certain < SKEW_CRITICAL_MS ? "warning" : "critical",
    finding: `This host's clock is ${seconds} ${best.skew > 0 ? "ahead of" : "behind"} the database's.`,
    fix: "Synchronize both clocks with NTP (check with chronyc tracking or timedatectl). A worker on this host runs its crontab at the wrong times, and times sent from this host are wrong.",
    detail,
  };
}

function ok(check: string, finding: string, detail: unknown = null): Finding {
  return { check, severity: "ok", finding, fix: null, detail };
}
