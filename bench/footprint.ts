import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runMigrations } from "graphile-worker";
import { migrate } from "../src/db/migrate.ts";
import { createPool, type Pool } from "../src/db/pool.ts";
import { measureConnections } from "./footprint-connections.ts";
import { measureLocks } from "./footprint-locks.ts";
import { idle, type Side, measureJobs } from "./footprint-jobs.ts";
import { benchLog, freshDatabase, withServer } from "./server.ts";

/** All sides use the same settings, Legwork's defaults. By default, graphile-worker fetches and completes each job separately. */
const SIDES: readonly Side[] = [
  { name: "graphile-worker alone", legwork: false, runner: "graphile" },
  { name: "graphile-worker, Legwork's schema", legwork: true, runner: "graphile" },
  { name: "Legwork's worker", legwork: true, runner: "legwork" },
  { name: "Legwork's worker, with a limit on the task", legwork: true, runner: "legwork", limited: true },
];

const TASKS = {
  "noop.mjs": "export default async () => {};",
  // Each task holds a connection from one of the worker's pools: graphile-worker's own, and the one for tasks.
  "hold.mjs": `export default async (payload, { withPgClient }) => { await withPgClient((client) => client.query("select pg_sleep(1)")); };`,
  "hold-sql.mjs": `import { defineTask } from "legwork";
    export default defineTask({ async run(_payload, { sql }) { await sql\`select pg_sleep(1)\`; } });`,
};

/**
 * Measures what Legwork uses in a database: bytes and transaction ids per job, connections, locks. These are counts, which do not depend on other
 * load on the machine. They are shown next to those of graphile-worker alone in the same run. The tables are those of
 * docs/reference/database-footprint.md.
 */
export async function run(options: { short: boolean }): Promise<void> {
  const jobs = options.short ? 2_000 : 5_000;
  const directory = await mkdtemp(join(tmpdir(), "legwork-footprint-"));
  for (const [name, source] of Object.entries(TASKS)) await writeFile(join(directory, name), source);
  try {
    await withServer(async (serverUrl) => {
      const fresh = async (legwork: boolean): Promise<{ url: string; pool: Pool }> => {
        const url = await freshDatabase(serverUrl, "legwork_bench");
        const pool = createPool(url, { log: benchLog, name: "footprint" });
        await (legwork ? migrate(pool, benchLog) : runMigrations({ pgPool: pool }));
        return { url, pool };
      };
      await printObjects(await fresh(true));
      const measured = [];
      for (const side of SIDES) {
        const { url, pool } = await fresh(side.legwork);
        measured.push({ name: side.name, ...(await measureJobs({ url, pool, side, jobs, tasks: directory })) });
        await pool.end();
      }
      print(`Per job, measured over ${jobs} jobs`, withRatios(measured));
      const seconds = options.short ? 5 : 20;
      const idling = [];
      for (const side of SIDES.slice(0, 3)) {
        const { url, pool } = await fresh(side.legwork);
        idling.push({ name: side.name, ...(await idle({ url, pool, side, seconds, tasks: directory })) });
        await pool.end();
      }
      print("An idle worker, per minute", idling);
      const connections = [];
      for (const concurrency of [1, 10, 50]) {
        const { url, pool } = await fresh(true);
        connections.push({ concurrency, ...(await measureConnections({ url, pool, concurrency, tasks: directory })) });
        await pool.end();
      }
      print("Highest number of connections", connections);
      const { url, pool } = await fresh(false);
      for (const [title, rows] of await measureLocks({ url, pool, jobs })) print(title, rows);
      await pool.end();
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Prints the objects that Legwork adds to graphile-worker's tables, and the number of its own objects. */
async function printObjects({ pool }: { pool: Pool }): Promise<void> {
  const { rows: objects } = await pool.query(
    `select c.relname as "table", 'trigger' as kind, t.tgname as name, split_part(pg_get_triggerdef(t.oid), ' ON ', 1) as definition
     from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = 'graphile_worker'::regnamespace and not tgisinternal
     union all
     select tablename, 'index', indexname, substring(indexdef from 'USING.*') from pg_indexes where schemaname = 'graphile_worker' and indexname like '\\_legwork%'
     order by 1, 2 desc, 3`,
  );
  print("On graphile-worker's tables", objects);
  const { rows: counts } = await pool.query(
    `select (select count(*) from pg_class where relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and relkind in ('r', 'p') and not relispartition)::int as tables,
       (select count(*) from pg_class where relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace, 'legwork_tenant'::regnamespace, 'legwork_confined'::regnamespace) and relkind = 'v')::int as views,
       (select count(*) from pg_proc where pronamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace))::int as functions,
       pg_size_pretty(sum(pg_total_relation_size(oid))) as size
     from pg_class where relnamespace in ('legwork'::regnamespace, 'legwork_private'::regnamespace) and relkind in ('r', 'm')`,
  );
  print("In Legwork's own schemas", counts);
  await pool.end();
}

type Row = Record<string, unknown>;

/** Appends to each number its ratio to the number in the first row. */
function withRatios(rows: readonly Row[]): Row[] {
  const [first = {}] = rows;
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([column, value]) => {
        const base = first[column];
        if (typeof value !== "number" || typeof base !== "number" || base === 0) return [column, value];
        return [column, `${round(value)} (${(value / base).toFixed(2)})`];
      }),
    ),
  );
}

function round(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(value >= 10 ? 1 : 2);
}

/** Prints the rows as Markdown, for the documentation. */
function print(title: string, rows: readonly Row[]): void {
  const columns = Object.keys(rows[0] ?? {});
  const line = (cells: unknown[]): string =>
    `| ${cells.map((cell) => (typeof cell === "number" ? round(cell) : String(cell))).join(" | ")} |`;
  console.log(
    [
      `\n## ${title}\n`,
      line(columns),
      line(columns.map(() => "---")),
      ...rows.map((row) => line(columns.map((column) => row[column]))),
    ].join("\n"),
  );
}
