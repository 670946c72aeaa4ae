import { z } from "zod";
import { ATTEMPTS, assertInteger, COUNTS, durationToInterval, PRIORITIES, toTimestamp } from "../bounds.ts";
import type { Duration } from "../duration.ts";
import { fromDatabaseError, type Queryable } from "../db/pool.ts";
import { selectRows } from "../db/select-rows.ts";
import { LegworkError } from "../errors.ts";
import { parsePayload } from "./payload.ts";
import { traceSend } from "./tracing.ts";
import { isStorable, toJson, withPlainNumbers } from "../json.ts";
import { toSnakeCase } from "../snake-case.ts";

export interface EnqueueOptions {
  /** When it may start; now by default. */
  runAt?: Date;
  /** Smaller runs first; 0 by default. */
  priority?: number;
  /** While a job with this key waits, it is replaced. */
  jobKey?: string;
  /** `replace` by default; `preserve_run_at` keeps the waiting job's time, `unsafe_dedupe` keeps the waiting job. */
  jobKeyMode?: "replace" | "preserve_run_at" | "unsafe_dedupe";
  /** Jobs that share it run one at a time. */
  serialKey?: string;
  /** 25 by default. */
  maxAttempts?: number;
  tenant?: string;
  correlationId?: string;
  /** A job that has not started by then ends as expired. */
  expiresAt?: Date;
  /**
   * For that long the same request makes no other job and gets the id of this one. The same means tenant, task and payload, or
   * `uniqueKey` in place of the payload.
   */
  uniqueFor?: Duration;
  uniqueKey?: string;
  /** Needs a `jobKey`: each request replaces the waiting job and moves its start that far ahead. */
  debounce?: Duration;
  /** How far ahead of the first request `debounce` may move the start; for ever by default. */
  debounceMax?: Duration;
  /**
   * Needs a `jobKey`: the job starts once in that time at most. Requests between are merged into one job, with the last payload,
   * that starts when the time is over.
   */
  throttle?: Duration;
  /** How many requests are let in within `ratePer`, whichever moment it begins; one more is refused with LW429 and `retryAt`. */
  rateLimit?: number;
  ratePer?: Duration;
  /** What `rateLimit` counts by; the task by default. Use one limit with a key. */
  rateKey?: string;
  /** `serial`, with a `jobKey`: a job enqueued while one with its key runs waits for that one. `allow` by default. */
  overlap?: "allow" | "serial";
  /** Jobs that have to end before it may start, by id; older ones only, which every job is whose id is known. */
  dependsOn?: readonly string[];
  /** What happens when one of them ends otherwise than completed: `cancel`, the default, cancels this job too, `run` lets it run. */
  onDependencyFailure?: "cancel" | "run";
}

export interface JobSpec extends EnqueueOptions {
  task: string;
  payload?: unknown;
}

/**
 * Enqueues a job on the caller's connection, so within its transaction if it has one open, and resolves to the job's id.
 *
 * The payload is checked first, against the task itself or, for a name, against the schema that its worker registered.
 * Throws LW422 naming the field that does not fit, LW404 for an unknown task, LW409 when a keyed job cannot be replaced, LW400 for
 * options that do not go together, LW429 over the rate limit.
 */
export async function enqueue(
  client: Queryable,
  task: string,
  payload: unknown = {},
  options: EnqueueOptions = {},
): Promise<string> {
  const json = toJson("payload", payload);
  await assertPayloads(client, [{ task, payload }]);
  const parameters = Object.entries({
    task,
    payload: json,
    ...optionsToRow(options),
  }).filter(([, value]) => value !== undefined);
  const named = parameters.map(([name], index) => `${name} => $${index + 1}`).join(", ");
  const values = parameters.map(([, value]) => value);
  const [id] = await traceSend(task, 1, async (traceparent) => {
    try {
      const rows = await callTraced(client, `legwork.enqueue(${named})`, values, traceparent);
      return [String(rows[0]?.it)];
    } catch (error) {
      throw fromDatabaseError(error);
    }
  });
  return String(id);
}

/**
 * Calls a function that enqueues, with the traceparent in the setting from which its jobs take it, for as long as the call takes: what the
 * caller's transaction enqueues afterwards is not of this span. A select list is evaluated from left to right.
 */
async function callTraced(client: Queryable, call: string, values: unknown[], traceparent: string | undefined) {
  if (traceparent === undefined) return (await client.query(`select ${call} as it`, values)).rows;
  const { rows } = await client.query(
    `select set_config('legwork.traceparent', $${values.length + 1}, true), ${call} as it,
       set_config('legwork.traceparent', coalesce(c.before, ''), true)
     from (select current_setting('legwork.traceparent', true) as before offset 0) c`,
    [...values, traceparent],
  );
  return rows;
}

/**
 * Enqueues any number of jobs in one statement, all or none, and resolves to their ids in the same order.
 * Throws as `enqueue` does.
 */
export async function enqueueMany(client: Queryable, jobs: readonly JobSpec[]): Promise<string[]> {
  const rows = toJson("jobs", jobs.map(jobToRow));
  await assertPayloads(client, jobs);
  const names = [...new Set(jobs.map(({ task }) => task))];
  return await traceSend(names.length === 1 ? (names[0] ?? "") : "several tasks", jobs.length, async (traceparent) => {
    try {
      const call = "array(select m.id::text from legwork.enqueue_many($1::jsonb) with ordinality as m (id, n) order by m.n)";
      const [row] = await callTraced(client, call, [rows], traceparent);
      return row?.it ?? [];
    } catch (error) {
      throw fromDatabaseError(error);
    }
  });
}

/** A job as the JSON of `legwork.enqueue_many`. */
export function jobToRow({ task, payload, ...options }: JobSpec): Record<string, unknown> {
  return { task, payload: payload ?? {}, ...optionsToRow(options) };
}

export interface EnqueueOnOptions extends Pick<EnqueueOptions, "priority" | "maxAttempts"> {
  /** Which column fills which field of the payload; without it the payload is `{event, table, row}`. */
  payload?: Record<string, string>;
  /** An update counts only if it names one of these columns. */
  columns?: string[];
  /** A prefix, to which the row's key column is added. */
  jobKey?: string;
  serialKey?: string;
  /** `id` by default. */
  keyColumn?: string;
  tenantColumn?: string;
}

/**
 * Makes a trigger on `table` that enqueues `task` in the transaction of each change. Calling it again replaces the trigger.
 * Throws LW404 for an unknown task, LW400 for an unknown event or column.
 */
export async function enqueueOn(
  client: Queryable,
  table: string,
  events: readonly ("insert" | "update" | "delete")[],
  task: string,
  options: EnqueueOnOptions = {},
): Promise<void> {
  assertInteger("priority", options.priority, PRIORITIES);
  assertInteger("maxAttempts", options.maxAttempts, ATTEMPTS);
  try {
    await client.query(
      `select legwork.enqueue_on($1::regclass, $2::text[], $3, payload => $4::jsonb, columns => $5, job_key => $6,
         serial_key => $7, key_column => $8, tenant_column => $9, priority => $10, max_attempts => $11)`,
      [
        table,
        events,
        task,
        options.payload === undefined ? null : JSON.stringify(options.payload),
        options.columns,
        options.jobKey,
        options.serialKey,
        options.keyColumn ?? "id",
        options.tenantColumn,
        options.priority,
        options.maxAttempts,
      ],
    );
  } catch (error) {
    throw fromDatabaseError(error);
  }
}

type Reader = (name: string, value: never) => unknown;

const asGiven: Reader = (_name, value) => value;
const duration: Reader = (name, value) => durationToInterval(name, value, 1);
const integer =
  (range: readonly [number, number]): Reader =>
  (name, value) => {
    assertInteger(name, value, range);
    return value;
  };

/** How each option is read; what is not named here is none. */
const OPTIONS: Record<keyof EnqueueOptions, Reader> = {
  priority: integer(PRIORITIES),
  maxAttempts: integer(ATTEMPTS),
  rateLimit: integer(COUNTS),
  runAt: toTimestamp,
  jobKey: asGiven,
  jobKeyMode: asGiven,
  serialKey: asGiven,
  tenant: asGiven,
  correlationId: asGiven,
  expiresAt: toTimestamp,
  uniqueFor: duration,
  uniqueKey: asGiven,
  debounce: duration,
  debounceMax: duration,
  throttle: duration,
  ratePer: duration,
  rateKey: asGiven,
  overlap: asGiven,
  dependsOn: asGiven,
  onDependencyFailure: asGiven,
};

/** Options as SQL takes them, checked. `of` stands before their names in errors. Throws LW400. */
export function optionsToRow(options: EnqueueOptions, of = ""): Record<string, unknown> {
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== "string" || isStorable(value)) continue;
    const message = "has a NUL character or half a surrogate pair, which the database cannot keep";
    throw new LegworkError("LW400", `${of}${name} ${message}.`, { hint: "Take it out.", fields: [{ path: [name], message }] });
  }
  const given: Readonly<Record<string, unknown>> = { ...options };
  return toSnakeCase(
    Object.fromEntries(
      Object.entries(OPTIONS)
        .filter(([name]) => given[name] !== undefined)
        .map(([name, read]) => [name, read(`${of}${name}`, given[name] as never)]),
    ),
  );
}

/** Schemas are compiled once per task and process; the registered text is the key, so that a new schema is seen. */
const compiledSchemas = new Map<string, z.ZodType>();

/**
 * Does nothing when all payloads fit their tasks, by the schemas that workers registered. Throws LW422 naming the field, and of several jobs the
 * job, as `nameOf` says it.
 */
export async function assertPayloads<J extends { task: string; payload?: unknown }>(
  client: Queryable,
  jobs: readonly J[],
  nameOf?: (job: J) => string,
): Promise<void> {
  const names = [...new Set(jobs.map((job) => job.task))];
  const rows = await selectRows(
    client,
    "select name, payload_schema::text as schema from legwork.tasks where name = any ($1) and payload_schema is not null",
    [names],
  );
  const schemas = new Map<string, z.ZodType>(rows.map((row) => [row.name, compile(row.schema)]));
  for (const [index, job] of jobs.entries()) {
    try {
      const schema = schemas.get(job.task);
      if (schema !== undefined) parsePayload(schema, withPlainNumbers(job.payload ?? {}), job.task);
    } catch (error) {
      if ((jobs.length === 1 && nameOf === undefined) || !(error instanceof LegworkError)) throw error;
      throw new LegworkError(error.code, `${nameOf?.(job) ?? `Job ${index + 1} of ${jobs.length}`}: ${error.message}`, {
        hint: error.hint,
        cause: error,
        fields: error.fields?.map(({ path, message }) => ({ path: [index, ...path], message })),
      });
    }
  }
}

function compile(schema: string): z.ZodType {
  let compiled = compiledSchemas.get(schema);
  if (compiled === undefined) {
    compiled = z.fromJSONSchema(JSON.parse(schema));
    compiledSchemas.set(schema, compiled);
  }
  return compiled;
}
