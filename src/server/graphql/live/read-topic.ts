import { viewsFor } from "../../../db/confinement.ts";
import type { Queryable } from "../../../db/pool.ts";
import { impliedByStates, impliedByTask } from "../../../jobs/read-jobs.ts";
import type { LiveJob, Reading, Topic } from "./topic.ts";

/** The longest error in a list (characters). */
const ERROR_LENGTH = 1_000;

/** The period over which a rate is measured (ms). Postgres updates its counters about once a second, at a different time for each connection. */
const RATE_WINDOW_MS = 10_000;

const JOB_FIELDS = `
  j.id::text as "id", j.task as "task", j.queue as "queue", j.state as "state", j.priority as "priority",
  j.attempts as "attemptCount", j.max_attempts as "maxAttempts", left(j.error, ${ERROR_LENGTH}) as "error", j.run_at as "runAt", j.created_at as "createdAt",
  j.started_at as "startedAt", j.finished_at as "finishedAt", j.worker as "worker", j.job_key as "jobKey", j.serial_key as "serialKey", j.tenant as "tenant",
  j.correlation_id as "correlationId", j.parent_id::text as "parentId", j.progress as "progress", j.progress_message as "progressMessage"`;

/**
 * Reads a topic's current state with a client that acts for the topic's tenant: a page from an index, one row, or the numbers of unfinished jobs. It
 * involves no worker and writes nothing.
 */
export async function readTopic(client: Queryable, topic: Topic, rates: Rates): Promise<Reading> {
  if (topic.kind === "jobs") return await readJobs(client, topic);
  if (topic.kind === "overview") return await readOverview(client, rates);
  if (topic.kind === "job") {
    return await readRows(client, `select ${JOB_FIELDS} from ${viewsFor(client)}.jobs j where j.id = $1 limit 1`, [topic.id]);
  }
  return await readRows(
    client,
    `select q.name as "id", q.name as "name", q.paused_at as "pausedAt", q.paused_by as "pausedBy", q.pause_reason as "pauseReason",
      q.running as "running", q.pending as "pending", q.blocked as "blocked", q.paused as "paused", q.later as "later", q.oldest as "oldest"
    from legwork.queues q order by q.name limit 500`,
    [],
  );
}

async function readJobs(client: Queryable, topic: Topic & { kind: "jobs" }): Promise<Reading> {
  const { task, queue, states, first } = topic;
  const where: string[] = [];
  const values: unknown[] = [];
  const is = (condition: (parameter: string) => string, value: unknown): void => {
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  if (task !== undefined) {
    is((parameter) => `j.task = ${parameter}`, task);
    for (const condition of impliedByTask(states ?? [])) is((parameter) => `j.${condition.replace("?", () => parameter)}`, task);
  }
  if (queue !== undefined) is((parameter) => `j.queue = ${parameter}`, queue);
  if (states !== undefined) {
    is((parameter) => `j.state = any (${parameter}::legwork.job_state[])`, states);
    where.push(...impliedByStates(states).map((condition) => `j.${condition}`));
  }
  values.push(first);
  return await readRows(
    client,
    `select ${JOB_FIELDS} from ${viewsFor(client)}.jobs j ${where.length === 0 ? "" : `where ${where.join(" and ")}`}
    order by j.id desc limit $${values.length}`,
    values,
  );
}

async function readOverview(client: Queryable, rates: Rates): Promise<Reading> {
  const { rows } = await client.query(`
    select c.*, (select count(*) from legwork.workers) as workers, a.*
    from (
      select sum(q.running) as running, sum(q.pending) as pending, sum(q.blocked) as blocked, sum(q.paused) as paused, sum(q.later) as later,
        min(q.oldest) as oldest, count(*) filter (where q.paused_at is not null) as paused_queues
      from legwork.queues q
    ) c
    cross join legwork_private.activity() a`);
  const row = rows[0];
  const counters = row.enqueued === null && row.ended === null ? undefined : row;
  const overview = {
    id: "overview",
    running: Number(row.running ?? 0),
    pending: Number(row.pending ?? 0),
    blocked: Number(row.blocked ?? 0),
    paused: Number(row.paused ?? 0),
    later: Number(row.later ?? 0),
    oldest: row.oldest instanceof Date ? row.oldest.toISOString() : null,
    pausedQueues: Number(row.paused_queues),
    workers: Number(row.workers),
    ...rates.next(counters),
  };
  return { text: JSON.stringify(overview), rows: [overview] };
}

async function readRows(client: Queryable, text: string, values: unknown[]): Promise<Reading> {
  // The database writes the JSON, so that unchanged results need not be parsed.
  const { rows } = await client.query(`select coalesce(json_agg(x), '[]')::text as rows from (${text}) x`, values);
  const json: string = rows[0].rows;
  let parsed: LiveJob[] | undefined;
  return {
    text: json,
    get rows() {
      return (parsed ??= JSON.parse(json) as LiveJob[]);
    },
  };
}

interface Counters {
  enqueued: string | null;
  ended: string | null;
  failed_attempts: string | null;
}

/** Converts growing counters into rates per second over the last ten seconds. */
export class Rates {
  readonly #samples: { at: number; enqueued: number; ended: number; failedAttempts: number }[] = [];

  /** Returns the current rates; null while there are no counters or too few samples. */
  next(
    counters: Counters | undefined,
  ): Record<"enqueuedPerSecond" | "endedPerSecond" | "failedAttemptsPerSecond", number | null> {
    const none = { enqueuedPerSecond: null, endedPerSecond: null, failedAttemptsPerSecond: null };
    if (counters === undefined) return none;
    const now = {
      at: performance.now(),
      enqueued: Number(counters.enqueued ?? 0),
      ended: Number(counters.ended ?? 0),
      failedAttempts: Number(counters.failed_attempts ?? 0),
    };
    this.#samples.push(now);
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? now.at) < now.at - RATE_WINDOW_MS) this.#samples.shift();
    const [first] = this.#samples;
    if (first === undefined || first === now) return none;
    const seconds = (now.at - first.at) / 1_000;
    // Dropping a partition removes its counts.
    const rate = (from: number, to: number): number => Math.max(0, Math.round((to - from) / seconds));
    return {
      enqueuedPerSecond: rate(first.enqueued, now.enqueued),
      endedPerSecond: rate(first.ended, now.ended),
      failedAttemptsPerSecond: rate(first.failedAttempts, now.failedAttempts),
    };
  }
}
