import { callFunction } from "../db/call-function.ts";
import { type Pool, type Queryable, transaction } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { LegworkError } from "../errors.ts";
import { schedule, type ScheduleOptions } from "../schedules/schedule.ts";
import { counted, formatNumber, pluralOf } from "../wording.ts";
import { type ImportReport, Tally } from "./import-report.ts";
import { type Mapping, type Target, targetOf } from "./mapping.ts";
import { payloadCheck, type PayloadCheck } from "./payload-check.ts";
import type { ImportSource, SourceJob, SourceQueue, SourceSchedule, Unit } from "./source.ts";

export interface ImportOptions {
  readonly mapping: Mapping;
  /** Only these queues; all by default. */
  readonly only?: readonly string[] | undefined;
  /** Whether to import the jobs. If false, the import only reads and writes nothing. */
  readonly apply: boolean;
  /** Called after each batch with the number of jobs that have been imported. */
  readonly onProgress?: (jobs: number) => void;
}

/** A job and the target that it is mapped to. */
interface Planned {
  readonly job: SourceJob;
  readonly target: Target;
}

/**
 * Imports the waiting jobs and schedules of another job system, or lists what would be imported. Both systems may keep running meanwhile.
 *
 * A batch is staged in Legwork's database, then taken out of the source system, then enqueued: see `sql/definitions/import/import_jobs.sql`. If both
 * systems are in one database, a batch is one transaction. An import that was killed is resumed by the next one, which must use the same database or
 * Redis.
 *
 * Throws LW404, before anything is written, for an unknown queue and for names without a task; LW409 while another import of this source is running.
 */
export async function runImport(pool: Pool, source: ImportSource, options: ImportOptions): Promise<ImportReport> {
  const all = await source.queues();
  const queues = (await selected(pool, all, options.only)).filter(({ name }) => options.mapping[name] !== null);
  const names = queues.map(({ name }) => name);
  const tasks = await taskNames(pool);
  await assertTasks(pool, options.mapping, tasks);
  const run = new Run(pool, source, options.mapping, tasks, await payloadCheck(pool));
  const preview = await run.preview(queues);
  if (!options.apply) return preview.report(source.label, false, queues);
  const error = await unmappedError(pool, preview.report(source.label, true, queues));
  if (error !== undefined) throw error;
  const tally = await alone(pool, source, () => run.move(queues, names, preview.pausedTasks, options.onProgress));
  return tally.report(source.label, true, queues);
}

class Run {
  readonly #pool: Pool;
  readonly #source: ImportSource;
  readonly #mapping: Mapping;
  readonly #tasks: ReadonlySet<string>;
  readonly #check: PayloadCheck;
  /** The ids of jobs that other jobs depend on and that are, or will be, imported. */
  readonly #known = new Set<string>();

  constructor(pool: Pool, source: ImportSource, mapping: Mapping, tasks: ReadonlySet<string>, check: PayloadCheck) {
    this.#pool = pool;
    this.#source = source;
    this.#mapping = mapping;
    this.#tasks = tasks;
    this.#check = check;
  }

  /** Reads everything that would be imported, in the same way as `move`. */
  async preview(queues: readonly SourceQueue[]): Promise<Tally> {
    const tally = new Tally();
    for (const queue of queues) {
      for (const { option, text } of queue.notes) tally.note(queue.name, option, text, 0);
    }
    const names = queues.map(({ name }) => name);
    for (const one of await this.#source.schedules(names)) await this.#planSchedule(one, tally);
    for await (const batch of this.#source.batches(names)) {
      const imported = await this.#imported(this.#pool, batch.flat());
      for (const unit of batch) {
        const planned = this.#plan(unit, tally, imported);
        for (const { job, target } of planned) {
          this.#known.add(job.id);
          tally.imported(job, target.task);
          if (queues.some(({ name, isPaused }) => isPaused && name === job.queue)) tally.pausedTasks.add(target.task);
        }
      }
    }
    this.#known.clear();
    return tally;
  }

  async move(
    queues: readonly SourceQueue[],
    names: readonly string[],
    pausedTasks: ReadonlySet<string>,
    onProgress?: (jobs: number) => void,
  ): Promise<Tally> {
    const tally = new Tally();
    tally.resumed = await this.#resume();
    for (const queue of queues) {
      for (const { option, text } of queue.notes) tally.note(queue.name, option, text, 0);
    }
    for (const task of pausedTasks) {
      await callFunction(this.#pool, "legwork.pause_task", { task, reason: `Its queue is paused in ${this.#source.label}.` });
      tally.pausedTasks.add(task);
    }
    for (const one of await this.#source.schedules(names)) {
      const task = await this.#planSchedule(one, tally);
      if (task !== undefined) await this.#moveSchedule(one, task);
    }
    for await (const batch of this.#source.batches(names)) {
      await this.#inTransaction((client) => this.#moveBatch(client, batch, tally));
      onProgress?.(tally.jobs);
    }
    return tally;
  }

  /** Returns the jobs of a unit with their targets; empty if one of the jobs has to stay. */
  #plan(unit: Unit, tally: Tally, imported: ReadonlySet<string>): Planned[] {
    const planned: Planned[] = [];
    const obstacles = new Map<SourceJob, string>();
    for (const job of unit) {
      const target = targetOf(job.names, this.#mapping, this.#tasks);
      if (target === undefined) tally.unmapped(job.names[0] ?? "");
      const obstacle =
        job.obstacle ??
        (imported.has(job.id) ? "It was imported before, and has since been enqueued again in the source system." : undefined) ??
        (target === undefined ? "No task has this name." : target === null ? "The mapping excludes it." : undefined) ??
        (job.dependsOn ?? []).map((id) => this.#obstacleOf(id, unit, imported)).find((text) => text !== undefined) ??
        this.#check(target?.task ?? "", job.payload);
      if (obstacle !== undefined) obstacles.set(job, obstacle);
      else if (target !== null && target !== undefined) planned.push({ job, target });
    }
    if (obstacles.size === 0) return planned;
    for (const job of unit) {
      const task = targetOf(job.names, this.#mapping, this.#tasks)?.task ?? null;
      tally.left(job, obstacles.get(job) ?? "Another job of its flow cannot be imported.", task);
    }
    return [];
  }

  #obstacleOf(dependency: string, unit: Unit, imported: ReadonlySet<string>): string | undefined {
    if (unit.some(({ id }) => id === dependency) || imported.has(dependency) || this.#known.has(dependency)) return undefined;
    return `It depends on a job that stays in ${this.#source.label}. Run the import again when that job has ended.`;
  }

  async #planSchedule(one: SourceSchedule, tally: Tally): Promise<string | undefined> {
    const target = targetOf(one.names, this.#mapping, this.#tasks);
    const { names, label, name, options } = one;
    if (target === undefined) tally.unmapped(names[0] ?? "");
    const [taken] = await selectRows(this.#pool, "select source from legwork.schedules where name = $1", [name]);
    const imported = await this.#imported(this.#pool, [one]);
    const obstacle =
      one.obstacle ??
      (target === undefined ? "No task has this name." : target === null ? "The mapping excludes it." : undefined) ??
      (taken !== undefined && !imported.has(one.id) ? `Legwork already has a schedule '${name}'.` : undefined) ??
      (taken === undefined && imported.has(one.id)
        ? "It was imported before, and has since been removed in Legwork."
        : undefined);
    const when = options.cron ?? (options.every === undefined ? "" : `every ${String(options.every)}`);
    tally.schedules.push({ from: label, name, task: target?.task ?? null, when, obstacle: obstacle ?? null });
    if (obstacle !== undefined) return undefined;
    for (const note of one.notes) tally.note(label, note.option, note.text);
    return target?.task;
  }

  /** Returns the ids of those jobs, and of their dependencies, that an earlier import has imported. */
  async #imported(client: Queryable, jobs: readonly Pick<SourceJob, "id" | "dependsOn">[]): Promise<Set<string>> {
    const { source, server } = this.#source;
    const ids = jobs.flatMap(({ id, dependsOn = [] }) => [id, ...dependsOn]);
    const rows = await callFunction(client, "legwork_private.known_imports", { source, server, ids });
    return new Set(rows.filter((row) => row.is_staged !== true).map((row) => String(row.source_id)));
  }

  async #inTransaction<T>(work: (client: Queryable) => Promise<T>): Promise<T> {
    return await (this.#source.isSameDatabase ? transaction(this.#pool, work) : work(this.#pool));
  }

  async #stage(client: Queryable, jobs: readonly { id: string; spec: object }[]): Promise<Map<string, string>> {
    const { source, server } = this.#source;
    const rows = await callFunction(client, "legwork_private.stage_imports", { source, server, jobs: JSON.stringify(jobs) });
    return new Map(rows.map((row) => [String(row.source_id), String(row.outcome)]));
  }

  async #moveBatch(client: Queryable, batch: readonly Unit[], tally: Tally): Promise<void> {
    const source = this.#source;
    const targets = new Map<string, Target>();
    const imported = await this.#imported(client, batch.flat());
    const wanted: Unit[] = [];
    for (const unit of batch) {
      const planned = this.#plan(unit, tally, imported);
      for (const { job, target } of planned) {
        targets.set(job.id, target);
        this.#known.add(job.id);
      }
      if (planned.length > 0) wanted.push(unit);
    }
    if (wanted.length === 0) return;
    const locked = await source.lock(wanted, client);
    const specs = locked.flat().map((job) => ({ id: job.id, spec: specOf(job, targets.get(job.id)) }));
    const outcomes = specs.length === 0 ? new Map<string, string>() : await this.#stage(client, specs);
    // A job stays if one of its dependencies stays. Dependencies come before the jobs that depend on them.
    const isMoving = (id: string): boolean => this.#known.has(id) && (!targets.has(id) || outcomes.get(id) === "staged");
    const moving: Unit[] = [];
    for (const unit of wanted) {
      const goes = unit.every(
        ({ id, dependsOn = [] }) =>
          outcomes.get(id) === "staged" && dependsOn.every((other) => imported.has(other) || isMoving(other)),
      );
      if (goes) moving.push(unit);
      else for (const { id } of unit) this.#known.delete(id);
    }
    const taken = await source.take(moving, client);
    const [moved, kept] = [specs.filter(({ id }) => taken.has(id)), specs.filter(({ id }) => !taken.has(id))].map((some) =>
      some.map(({ id }) => id),
    );
    await callFunction(client, "legwork_private.enqueue_imports", { source: source.source, ids: moved });
    await callFunction(client, "legwork_private.settle_imports", { source: source.source, ids: kept, imported: false });
    await source.settle(moved ?? [], client);
    for (const job of wanted.flat()) {
      const task = targets.get(job.id)?.task ?? "";
      const outcome = outcomes.get(job.id) ?? "staged";
      if (taken.has(job.id)) tally.imported(job, task);
      else {
        this.#known.delete(job.id);
        tally.left(
          job,
          outcome === "staged"
            ? `It has been started or changed in ${source.label} meanwhile.`
            : `It cannot be stored: ${outcome}`,
          task,
        );
      }
    }
  }

  async #moveSchedule(one: SourceSchedule, task: string): Promise<void> {
    const { source } = this.#source;
    await this.#inTransaction(async (client) => {
      const spec = { schedule: { ...one.options, name: one.name, task } };
      const outcome = (await this.#stage(client, [{ id: one.id, spec }])).get(one.id);
      const isTaken = await this.#source.takeSchedule(one, client);
      // Otherwise Legwork already has it: the application has created it in the source system again, as many do at every start.
      if (outcome === "staged") {
        if (isTaken) await schedule(client, one.name, task, one.options);
        await callFunction(client, "legwork_private.settle_imports", { source, ids: [one.id], imported: isTaken });
      }
      await this.#source.settle([one.id], client);
    });
  }

  /**
   * Finishes an interrupted import: enqueues the jobs that it had taken, and deletes the entries of the others. Returns the number of jobs and
   * schedules enqueued.
   */
  async #resume(): Promise<number> {
    const { source, server } = this.#source;
    const rows = await callFunction(this.#pool, "legwork_private.known_imports", { source, server });
    const found = await this.#source.find(rows.map((row) => String(row.source_id)));
    const isTaken = (row: { source_id: string }): boolean => found.get(row.source_id) === "taken";
    const kept = rows.filter((row) => !isTaken(row)).map((row) => String(row.source_id));
    await callFunction(this.#pool, "legwork_private.settle_imports", { source, ids: kept, imported: false });
    const taken = rows.filter(isTaken);
    const jobs = taken.filter((row) => row.schedule === null).map((row) => String(row.source_id));
    await callFunction(this.#pool, "legwork_private.enqueue_imports", { source, ids: jobs });
    for (const row of taken) {
      if (row.schedule === null) continue;
      const { name, task, ...options } = row.schedule as { name: string; task: string } & ScheduleOptions;
      await schedule(this.#pool, name, task, revived(options));
      await callFunction(this.#pool, "legwork_private.settle_imports", { source, ids: [row.source_id], imported: true });
    }
    await this.#source.settleAll();
    return taken.length;
  }
}

async function taskNames(client: Queryable): Promise<Set<string>> {
  return new Set((await selectRows(client, "select name from legwork.tasks")).map((row) => String(row.name)));
}

function specOf(job: SourceJob, target: Target | undefined): object {
  return {
    ...job.spec,
    ...target?.overrides,
    task: target?.task,
    payload_text: job.payload,
    correlation_id: job.id,
    ...(job.dependsOn === undefined ? {} : { depends_on_imports: job.dependsOn }),
  };
}

/** Restores the dates in a schedule's options, which were stored as JSON. */
function revived(options: ScheduleOptions): ScheduleOptions {
  const asDate = (value: unknown): Date | undefined => (typeof value === "string" ? new Date(value) : undefined);
  const { startsAt, endsAt, ...others } = options;
  const [from, to] = [asDate(startsAt), asDate(endsAt)];
  return { ...others, ...(from === undefined ? {} : { startsAt: from }), ...(to === undefined ? {} : { endsAt: to }) };
}

async function selected(
  client: Queryable,
  all: readonly SourceQueue[],
  only: readonly string[] | undefined,
): Promise<SourceQueue[]> {
  const names = all.map(({ name }) => name);
  for (const name of only ?? []) {
    if (names.includes(name)) continue;
    throw new LegworkError("LW404", `--only: the queue '${name}' does not exist.`, {
      hint: `${await suggestion(client, name, names)}The queues are ${names.slice(0, 20).join(", ") || "none"}${names.length > 20 ? ", …" : ""}.`,
    });
  }
  return all.filter(({ name }) => only === undefined || only.includes(name));
}

/** Throws LW404, with the most similar task, for a mapping to a task that does not exist. */
async function assertTasks(client: Queryable, mapping: Mapping, tasks: ReadonlySet<string>): Promise<void> {
  for (const [name, entry] of Object.entries(mapping)) {
    const task = typeof entry === "string" ? entry : entry?.task;
    if (task === undefined || tasks.has(task)) continue;
    throw new LegworkError("LW404", `'${name}' is mapped to the task '${task}', which does not exist.`, {
      hint: `${await suggestion(client, task, tasks)}Start a worker that has it, or correct the mapping. \`legwork tasks\` lists the tasks.`,
    });
  }
}

/** The error for names without a task; undefined if all have one. A preview shows them first. */
export async function unmappedError(client: Queryable, { from, unmapped }: ImportReport): Promise<LegworkError | undefined> {
  const [first] = unmapped;
  if (first === undefined) return undefined;
  const tasks = await taskNames(client);
  const listed = unmapped.slice(0, 5).map(({ name, count }) => `'${name}' (${formatNumber(count)})`);
  const names = `${listed.join(", ")}${unmapped.length > 5 ? ", …" : ""}`;
  const hint = `Nothing was imported. Name the task with --task ${first.name}=TASK, exclude it with --skip ${first.name}, or import other queues with --only.`;
  return new LegworkError(
    "LW404",
    `${counted(unmapped.length, "name")} of ${from} ${pluralOf(unmapped.length, "has", "have")} no task: ${names}.`,
    { hint: `${await suggestion(client, first.name, tasks)}${hint}` },
  );
}

async function suggestion(client: Queryable, name: string, candidates: Iterable<string>): Promise<string> {
  const [row] = await selectRows(client, "select legwork_private.nearest_name($1, $2) as nearest", [name, [...candidates]]);
  return typeof row?.nearest === "string" ? `Did you mean '${row.nearest}'? ` : "";
}

/** Runs work under a lock that prevents other imports from this source, in any process. */
async function alone<T>(pool: Pool, { source, label }: ImportSource, work: () => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    // The lock belongs to a transaction, because a pooler could hand a session, and with it the session's locks, to another client. The transaction
    // holds no snapshot.
    await client.query("begin");
    await client.query("set local idle_in_transaction_session_timeout = 0");
    const { rows } = await client.query("select pg_try_advisory_xact_lock(hashtextextended($1, 74)) as is_free", [source]);
    if (rows[0]?.is_free !== true) {
      throw new LegworkError("LW409", `Another import from ${label} (${source}) is running.`, {
        hint: "Wait until it has ended. If it was killed, the database notices within a minute.",
      });
    }
    return await work();
  } finally {
    await client.query("rollback").catch(() => {});
    client.release();
  }
}
