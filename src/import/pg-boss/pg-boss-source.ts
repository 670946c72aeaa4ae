import { MAX_LOOKED_AT } from "../../bounds.ts";
import type { PoolClient, Queryable } from "../../db/pool.ts";
import type { ImportSource, SourceJob, SourceQueue, SourceSchedule, Unit, Whereabouts } from "../source.ts";
import { type JobRow, mapPgBossJob, queueNotes } from "./map-job.ts";
import { mapPgBossSchedule } from "./map-schedule.ts";
import { readPgBossSchema, type PgBossSchema } from "./pg-boss-schema.ts";

/** The number of jobs in a batch: large enough that round trips do not matter, small enough that rows are locked only briefly. */
const BATCH = 1_000;

/** pg-boss's own queues. */
const INTERNAL = "\\_\\_pgboss\\_\\_%";

/** How long pg-boss's maintenance keeps a job that was taken and may not have been enqueued yet (seconds): ten years. */
const KEPT_SECONDS = 315_360_000;

/** pg-boss's default. */
const RETRY_LIMIT = 2;

const NOTE = "Imported by legwork import.";

const UTC = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`;

interface BlockedRow {
  readonly name: string;
  readonly id: string;
  readonly parents: readonly { readonly name: string; readonly id: string; readonly state: string | null }[];
}

/** The jobs and schedules of pg-boss 10, 11 and 12 in a Postgres database. */
export class PgBossSource implements ImportSource {
  readonly label = "pg-boss";
  readonly source: string;
  readonly server: string;
  readonly isSameDatabase: boolean;
  readonly #client: PoolClient;
  readonly #schema: PgBossSchema;

  private constructor(client: PoolClient, schema: PgBossSchema, server: string, isSameDatabase: boolean) {
    this.#client = client;
    this.#schema = schema;
    this.source = `pg-boss:${schema.name}`;
    this.server = server;
    this.isSameDatabase = isSameDatabase;
  }

  /**
   * Inspects pg-boss's schema. `client` is used for reading and, unless pg-boss is in Legwork's database (`isSameDatabase`), for taking jobs. Throws
   * LW404 and LW510 like `readPgBossSchema`.
   */
  static async open(client: PoolClient, schema: string, isSameDatabase: boolean): Promise<PgBossSource> {
    const found = await readPgBossSchema(client, schema);
    // Identifies the database in which staged jobs are looked for. The database keeps its oid when it is renamed, and a copy of the server has the
    // same identifier.
    const { rows } = await client.query(
      "select d.oid || '@' || (select system_identifier from pg_control_system()) as server from pg_database d where d.datname = current_database()",
    );
    return new PgBossSource(client, found, String(rows[0]?.server), isSameDatabase);
  }

  async queues(): Promise<SourceQueue[]> {
    const { name } = this.#schema;
    const { rows } = await this.#client.query(
      `select q.name, q.policy,
         (select count(*)::integer from (select from ${name}.job j where j.name = q.name and j.state = 'active' limit $2) a) as active,
         (select count(*)::integer from (select from ${name}.job j where j.name = q.name and j.state > 'active' and j.output -> 'legwork' is null limit $2) e) as ended
       from ${name}.queue q where q.name not like $1 order by q.name`,
      [INTERNAL, MAX_LOOKED_AT + 1],
    );
    return rows.map((row) => ({
      name: row.name,
      active: row.active,
      ended: row.ended,
      isPaused: false,
      notes: queueNotes(row.policy),
    }));
  }

  async schedules(queues: readonly string[]): Promise<SourceSchedule[]> {
    const { name, hasScheduleKeys, hasScheduleKinds } = this.#schema;
    const { rows } = await this.#client.query(
      `select s.name, ${hasScheduleKeys ? "s.key" : "''"} as key, ${hasScheduleKinds ? "s.kind" : "'cron'"} as kind, s.cron, s.timezone,
         s.data::text as data, s.options::text as options, coalesce(q.retry_limit, ${RETRY_LIMIT}) as "retryLimit"
       from ${name}.schedule s left join ${name}.queue q on q.name = s.name where s.name = any ($1) order by 1, 2`,
      [queues],
    );
    return rows.map((row) =>
      mapPgBossSchedule({ ...row, options: row.options === null ? null : (JSON.parse(row.options) as Record<string, unknown>) }),
    );
  }

  async *batches(queues: readonly string[]): AsyncIterable<readonly Unit[]> {
    const { name, hasFlows } = this.#schema;
    for (const queue of queues) {
      // With hold: the cursor keeps the order of this moment without a transaction, which would keep rows from being vacuumed until the import has
      // ended.
      await this.#client.query(
        `declare legwork_import cursor with hold for select j.id from ${name}.job j
         where j.name = ${quoted(queue)} and j.state < 'active' ${hasFlows ? "and not j.blocked" : ""} order by j.priority desc, j.created_on, j.id`,
      );
      try {
        for (;;) {
          const { rows } = await this.#client.query(`fetch ${BATCH} from legwork_import`);
          if (rows.length === 0) break;
          const ids = rows.map((row) => String(row.id));
          yield (await this.#read(queue, ids, queues)).map((job) => [job]);
        }
      } finally {
        await this.#client.query("close legwork_import");
      }
    }
    if (hasFlows) yield* this.#blocked(queues);
  }

  async lock(units: readonly Unit[], shared: Queryable): Promise<readonly Unit[]> {
    const client = this.#writer(shared);
    if (!this.isSameDatabase) await client.query("begin");
    const locked = new Set<string>();
    for (const [queue, ids] of byQueue(units.flat())) {
      const { rows } = await client.query(
        `select j.id from ${this.#schema.name}.job j where j.name = $1 and j.id = any ($2::uuid[]) and j.state < 'active' for update skip locked`,
        [queue, ids],
      );
      for (const row of rows) locked.add(`pg-boss:${queue}:${row.id}`);
    }
    return units.filter((unit) => unit.every(({ id }) => locked.has(id)));
  }

  async take(units: readonly Unit[], shared: Queryable): Promise<ReadonlySet<string>> {
    const client = this.#writer(shared);
    const { name, hasDeletion } = this.#schema;
    const jobs = units.flat();
    for (const [queue, ids] of byQueue(jobs)) {
      // Like pg-boss's own cancel, with a note. Until the job has been enqueued, pg-boss's maintenance must not delete the note.
      const note = `case when jsonb_typeof(j.output) = 'object' then j.output else '{}' end || jsonb_build_object('legwork', jsonb_build_object('note', $3::text${hasDeletion ? ", 'deletion_seconds', j.deletion_seconds" : ""}))`;
      await client.query(
        `update ${name}.job j set state = 'cancelled', completed_on = now(), output = ${note}
           ${hasDeletion && !this.isSameDatabase ? `, deletion_seconds = ${KEPT_SECONDS}` : ""}
         where j.name = $1 and j.id = any ($2::uuid[])`,
        [queue, ids, NOTE],
      );
    }
    if (!this.isSameDatabase) await client.query("commit");
    return new Set(jobs.map(({ id }) => id));
  }

  async takeSchedule({ id }: Pick<SourceSchedule, "id">, shared: Queryable): Promise<boolean> {
    const { name, hasScheduleKeys } = this.#schema;
    const { rows } = await this.#writer(shared).query(
      `delete from ${name}.schedule s where 'schedule:' || s.name ${hasScheduleKeys ? "|| case s.key when '' then '' else ':' || s.key end" : ""} = $1 returning 1 as one`,
      [id],
    );
    return rows.length === 1;
  }

  async settle(ids: readonly string[]): Promise<void> {
    const { name, hasDeletion } = this.#schema;
    if (this.isSameDatabase || !hasDeletion) return;
    for (const [queue, own] of byQueue(ids.filter(isJob).map((id) => ({ id })))) {
      await this.#client.query(
        `update ${name}.job j set deletion_seconds = coalesce((j.output -> 'legwork' ->> 'deletion_seconds')::integer, j.deletion_seconds)
         where j.name = $1 and j.id = any ($2::uuid[])`,
        [queue, own],
      );
    }
  }

  async settleAll(): Promise<void> {
    const { name, hasDeletion } = this.#schema;
    if (!hasDeletion) return;
    await this.#client.query(
      `update ${name}.job j set deletion_seconds = (j.output -> 'legwork' ->> 'deletion_seconds')::integer
       where j.state = 'cancelled' and j.deletion_seconds = ${KEPT_SECONDS} and j.output -> 'legwork' ->> 'deletion_seconds' is not null`,
    );
  }

  async find(ids: readonly string[]): Promise<ReadonlyMap<string, Whereabouts>> {
    const { name, hasArchive } = this.#schema;
    const found = new Map<string, Whereabouts>();
    for (const [queue, own] of byQueue(ids.filter(isJob).map((id) => ({ id })))) {
      // Version 10 moves ended jobs to an archive.
      for (const table of hasArchive ? ["job", "archive"] : ["job"]) {
        const { rows } = await this.#client.query(
          `select j.id, j.output -> 'legwork' ->> 'note' is not null and j.state::text = 'cancelled' as is_taken from ${name}.${table} j
           where j.name = $1 and j.id = any ($2::uuid[])`,
          [queue, own],
        );
        for (const row of rows) found.set(`pg-boss:${queue}:${row.id}`, row.is_taken === true ? "taken" : "there");
      }
    }
    const schedules = ids.filter((id) => !isJob(id));
    if (schedules.length > 0) {
      const { rows } = await this.#client.query(
        `select 'schedule:' || s.name ${this.#schema.hasScheduleKeys ? "|| case s.key when '' then '' else ':' || s.key end" : ""} as id from ${name}.schedule s`,
      );
      const there = new Set(rows.map((row) => String(row.id)));
      for (const id of schedules) found.set(id, there.has(id) ? "there" : "taken");
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#client.query("rollback").catch(() => {});
  }

  #writer(shared: Queryable): Queryable {
    return this.isSameDatabase ? shared : this.#client;
  }

  async #read(
    queue: string,
    ids: readonly string[],
    queues: readonly string[],
    dependencies?: ReadonlyMap<string, readonly string[]>,
  ): Promise<SourceJob[]> {
    const { name, hasDeletion, hasFlows } = this.#schema;
    const { rows } = await this.#client.query(
      `select (to_jsonb(j) - 'data' - 'output')::text as row, j.data::text as data,
         case when j.start_after > now() then case when isfinite(j.start_after) then to_char(j.start_after at time zone 'UTC', ${UTC}) else j.start_after::text end end as run_at,
         case when isfinite(j.keep_until) then to_char(j.keep_until at time zone 'UTC', ${UTC}) end as keep_until, j.keep_until <= now() as is_past,
         ${hasDeletion ? "j.expire_seconds" : "extract(epoch from j.expire_in)::float8"} as expire_seconds,
         ${hasFlows ? `(select d.child_name from ${name}.job_dependency d where d.parent_name = j.name and d.parent_id = j.id and d.child_name <> all ($3) limit 1)` : "null"} as outside
       from unnest($2::uuid[]) with ordinality u (id, n) join ${name}.job j on j.name = $1 and j.id = u.id and j.state < 'active'
       ${hasFlows ? "" : "where $3::text[] is not null"} order by u.n`,
      [queue, ids, queues],
    );
    return rows.map((row) => {
      const job = JSON.parse(row.row) as JobRow;
      const times = { runAt: row.run_at, keepUntil: row.keep_until, isPast: row.is_past, expireSeconds: row.expire_seconds };
      const mapped = mapPgBossJob(job, row.data, times, dependencies?.get(job.id));
      if (row.outside === null) return mapped;
      return Object.assign(mapped, { obstacle: `A job in the queue '${row.outside}' depends on it. Import that queue, too.` });
    });
  }

  /** Jobs with dependencies, each after the jobs that it depends on. */
  async *#blocked(queues: readonly string[]): AsyncIterable<readonly Unit[]> {
    const { name } = this.#schema;
    const { rows } = await this.#client.query<BlockedRow>(
      `select j.name, j.id, coalesce(json_agg(json_build_object('name', d.parent_name, 'id', d.parent_id, 'state', p.state)) filter (where d.parent_id is not null), '[]') as parents
       from ${name}.job j
       left join ${name}.job_dependency d on d.child_name = j.name and d.child_id = j.id
       left join ${name}.job p on p.name = d.parent_name and p.id = d.parent_id
       where j.name = any ($1) and j.state < 'active' and j.blocked
       group by j.name, j.id, j.created_on order by j.created_on, j.id`,
      [queues],
    );
    const byId = new Map(rows.map((row) => [row.id, row]));
    const sorted = new Set<BlockedRow>();
    const visit = (row: BlockedRow, above: ReadonlySet<string>): void => {
      if (sorted.has(row) || above.has(row.id)) return;
      for (const { id } of row.parents) {
        const parent = byId.get(id);
        if (parent !== undefined) visit(parent, new Set([...above, row.id]));
      }
      sorted.add(row);
    };
    for (const row of rows) visit(row, new Set());
    // A parent that has completed in pg-boss is no longer a dependency.
    const open = new Map(
      rows.map(({ id, parents }) => [
        id,
        parents.filter(({ state }) => state !== "completed").map((parent) => `pg-boss:${parent.name}:${parent.id}`),
      ]),
    );
    const order = [...sorted];
    for (let start = 0; start < order.length; start += BATCH) {
      const part = order.slice(start, start + BATCH);
      const jobs = new Map<string, SourceJob>();
      for (const [queue, ids] of byQueue(part.map((row) => ({ id: `pg-boss:${row.name}:${row.id}` })))) {
        for (const job of await this.#read(queue, ids, queues, open)) jobs.set(job.id, job);
      }
      yield part.flatMap((row) => {
        const job = jobs.get(`pg-boss:${row.name}:${row.id}`);
        return job === undefined ? [] : [[job]];
      });
    }
  }
}

const isJob = (id: string): boolean => id.startsWith("pg-boss:");

/** The ids of jobs by queue. The queue's name may contain colons. */
function byQueue(jobs: readonly { id: string }[]): Map<string, string[]> {
  const queues = new Map<string, string[]>();
  for (const { id } of jobs) {
    const end = id.lastIndexOf(":");
    const queue = id.slice("pg-boss:".length, end);
    const ids = queues.get(queue) ?? [];
    queues.set(queue, ids);
    ids.push(id.slice(end + 1));
  }
  return queues;
}

/** Quotes a string for a statement that accepts no parameters. */
function quoted(text: string): string {
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
