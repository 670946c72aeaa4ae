import { z } from "zod";
import { ATTEMPTS, assertInteger, COUNTS, durationToInterval, PRIORITIES, toTimestamp } from "../bounds.ts";
import type { Duration } from "../duration.ts";
import { namedArguments } from "../db/call-function.ts";
import type { Queryable } from "../db/pool.ts";
import { fromDatabaseError } from "../db/translate-error.ts";
import { selectRows } from "../db/select-rows.ts";
import { LegworkError } from "../errors.ts";
import { parsePayload } from "./payload.ts";
import { traceSend } from "./tracing.ts";
import { isStorable, toJson, withPlainNumbers } from "../json.ts";
import { toSnakeCase } from "../snake-case.ts";

export interface EnqueueOptions {
  /** When the job may start; now by default. */
  runAt?: Date;
  /** Smaller numbers run first; 0 by default. */
  priority?: number;
  /** A waiting job with the same key is replaced. */
  jobKey?: string;
  /** `replace` by default; `preserve_run_at` keeps the waiting job's time, `unsafe_dedupe` keeps the waiting job. */
  jobKeyMode?: "replace" | "preserve_run_at" | "unsafe_dedupe";
  /** Jobs with the same serial key run one at a time. */
  serialKey?: string;
  /** The maximum number of attempts; 25 by default. */
  maxAttempts?: number;
  tenant?: string;
  correlationId?: string;
  /** A job that has not started by this time expires. */
  expiresAt?: Date;
  /**
   * Within this period, an identical request does not enqueue another job and returns the id of this one. Requests are identical if their tenant,
   * task and payload (or `uniqueKey` instead of the payload) are equal.
   */
  uniqueFor?: Duration;
  uniqueKey?: string;
  /** Needs a `jobKey`: each request replaces the waiting job and postpones its start to this long from now. */
  debounce?: Duration;
  /** The longest time after the first request that `debounce` may delay the start; unlimited by default. */
  debounceMax?: Duration;
  /**
   * Needs a `jobKey`: the job starts at most once within this period. Requests in between are merged into one job with the last payload,
   * which starts when the period has ended.
   */
  throttle?: Duration;
  /** How many requests are accepted within any period of length `ratePer`; further requests fail with LW429 and `retryAt`. */
  rateLimit?: number;
  ratePer?: Duration;
  /** The key under which `rateLimit` counts; the task by default. Always use the same limit with a key. */
  rateKey?: string;
  /** `serial`, with a `jobKey`: a job enqueued while a job with its key is running waits for that job to end. `allow` by default. */
  overlap?: "allow" | "serial";
  /** The ids of jobs that must end before this one may start. */
  dependsOn?: readonly string[];
  /** What happens when a dependency does not complete: `cancel`, the default, cancels this job too; `run` runs it anyway. */
  onDependencyFailure?: "cancel" | "run";
}

export interface JobSpec extends EnqueueOptions {
  task: string;
  payload?: unknown;
}

/** The outcome of a request to enqueue a job. */
export interface Enqueued {
  id: string;
  /** Whether the request created the job. */
  created: boolean;
  /** If the job already existed: the option because of which the request was merged with it; null for a new job. */
  mergedBy: "uniqueFor" | "jobKey" | "debounce" | "throttle" | null;
}

/**
 * Enqueues a job on the caller's connection, within its open transaction if there is one, and returns the job's id.
 *
 * The payload is checked first: against the definition or, for a name, against the schema that a worker registered. Throws LW422, naming the field,
 * for a payload that does not match; LW404 for an unknown task; LW409 when a job with the same key cannot be replaced; LW400 for options that cannot
 * be combined; LW429 over the rate limit.
 */
export async function enqueue(
  client: Queryable,
  task: string,
  payload: unknown = {},
  options: EnqueueOptions = {},
): Promise<string> {
  return (await enqueueWithOutcome(client, task, payload, options)).id;
}

/** Like `enqueue`, and also returns whether the request created a job or was merged with an earlier one. */
export async function enqueueWithOutcome(
  client: Queryable,
  task: string,
  payload: unknown = {},
  options: EnqueueOptions = {},
): Promise<Enqueued> {
  const json = toJson("payload", payload);
  await assertPayloads(client, [{ task, payload }]);
  const parameters = Object.entries({
    task,
    payload: json,
    ...optionsToRow(options),
  }).filter(([, value]) => value !== undefined);
  const values = parameters.map(([, value]) => value);
  // Only a request with a key can be merged. The setting lasts until the end of the transaction, so a request without a key would read the value of
  // an earlier request.
  const isKeyed = options.jobKey !== undefined || options.uniqueFor !== undefined;
  let mergedBy: Enqueued["mergedBy"] = null;
  const [id] = await traceSend(task, 1, async (traceparent) => {
    try {
      const rows = await callTraced(client, `legwork.enqueue(${namedArguments(parameters)})`, values, traceparent, isKeyed);
      if (isKeyed && rows[0]?.merged !== "") mergedBy = rows[0]?.merged ?? null;
      return [String(rows[0]?.it)];
    } catch (error) {
      throw fromDatabaseError(error);
    }
  });
  return { id: String(id), created: mergedBy === null, mergedBy };
}

/**
 * Calls a function that enqueues jobs. Meanwhile, the traceparent is in the setting from which new jobs copy it. The setting is restored after the
 * call, because jobs that the caller's transaction enqueues later do not belong to this span. A select list is evaluated from left to right.
 */
async function callTraced(
  client: Queryable,
  call: string,
  values: unknown[],
  traceparent: string | undefined,
  asksForMerge = false,
) {
  const it = `${call} as it${asksForMerge ? ", current_setting('legwork.merged', true) as merged" : ""}`;
  if (traceparent === undefined) return (await client.query(`select ${it}`, values)).rows;
  const { rows } = await client.query(
    `select set_config('legwork.traceparent', $${values.length + 1}, true), ${it},
       set_config('legwork.traceparent', coalesce(c.before, ''), true)
     from (select current_setting('legwork.traceparent', true) as before offset 0) c`,
    [...values, traceparent],
  );
  return rows;
}

/**
 * Enqueues any number of jobs in one statement, either all or none, and returns their ids in the same order.
 * Throws like `enqueue`.
 */
export async function enqueueMany(client: Queryable, jobs: readonly JobSpec[]): Promise<string[]> {
  const rows = toJson("jobs", jobs.map(jobToRow));
  await assertPayloads(client, jobs);
  const names = [...new Set(jobs.map(({ task }) => task))];
  return await traceSend(names.length === 1 ? (names[0] ?? "") : "several tasks", jobs.length, async (traceparent) => {
    try {
      const call =
        "array(select m.id::text from legwork.enqueue_many($1::text::jsonb) with ordinality as m (id, n) order by m.n)";
      const [row] = await callTraced(client, call, [rows], traceparent);
      return row?.it ?? [];
    } catch (error) {
      throw fromDatabaseError(error);
    }
  });
}

/** Converts a job to the JSON of `legwork.enqueue_many`. */
export function jobToRow({ task, payload, ...options }: JobSpec): Record<string, unknown> {
  return { task, payload: payload === undefined ? {} : payload, ...optionsToRow(options) };
}

export interface EnqueueOnOptions extends Pick<EnqueueOptions, "priority" | "maxAttempts"> {
  /** The column for each field of the payload. By default, the payload is `{event, table, row}`. */
  payload?: Record<string, string>;
  /** Ignore updates that set none of these columns. */
  columns?: string[];
  /** A prefix for the job key, to which the row's key column is appended. */
  jobKey?: string;
  serialKey?: string;
  /** The column that identifies a row; `id` by default. */
  keyColumn?: string;
  tenantColumn?: string;
}

/**
 * Creates a trigger on `table` that enqueues `task` in the transaction of each change. Calling it again replaces the trigger.
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
      `select legwork.enqueue_on($1::regclass, $2::text[], $3, payload => $4::text::jsonb, columns => $5, job_key => $6,
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

/** How each option is read. Other names are ignored. */
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

/** The names of all options. */
export const ENQUEUE_OPTIONS: readonly string[] = Object.keys(OPTIONS);

/** Checks options and converts them for SQL. `of` precedes their names in errors. Throws LW400. */
export function optionsToRow(options: EnqueueOptions, of = ""): Record<string, unknown> {
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== "string" || isStorable(value)) continue;
    const message = "contains a NUL character or a lone surrogate, which the database cannot store";
    throw new LegworkError("LW400", `${of}${name} ${message}.`, {
      hint: "Remove that character.",
      fields: [{ path: [name], message }],
    });
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

/** Schemas are compiled once per process. The key is their text, so that a new schema takes effect. */
const compiledSchemas = new Map<string, z.ZodType>();

/**
 * Checks all payloads against the schemas that workers registered for their tasks. Throws LW422 naming the field and, if there are several jobs, the
 * job (by the name that `nameOf` returns).
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
      if (schema !== undefined) parsePayload(schema, withPlainNumbers(job.payload === undefined ? {} : job.payload), job.task);
    } catch (error) {
      if ((jobs.length === 1 && nameOf === undefined) || !(error instanceof LegworkError)) throw error;
      throw new LegworkError(error.code, `${nameOf?.(job) ?? `Job ${index + 1} of ${jobs.length}`}: ${error.message}`, {
        hint: error.hint,
        action: error.action,
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
