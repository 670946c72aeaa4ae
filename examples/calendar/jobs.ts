import { enqueue, LegworkError, type Queryable } from "legwork";
import { listWorkers, readHealth, schedule, unschedule } from "legwork/operations";
import { z } from "zod";
import { tenantOf } from "./users.ts";

const TASK = "calendar/archive";
const DAYS = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"] as const;

/** What `POST /jobs/schedule` and `jobs schedule` take. */
const scheduleSchema = z
  .strictObject({
    schedule_type: z.enum(["daily", "weekly"]).default("daily"),
    hour: z.int().min(0).max(23).default(23),
    minute: z.int().min(0).max(59).default(59),
    day_of_week: z.int().min(0).max(6).optional().describe("0 is Monday, 6 Sunday."),
    archive_config_id: z.int().positive().optional(),
  })
  .refine(({ schedule_type, day_of_week }) => schedule_type === "weekly" || day_of_week === undefined, {
    error: "a daily schedule has none",
    path: ["day_of_week"],
  });
export type ScheduleRequest = z.input<typeof scheduleSchema>;

/** What `POST /jobs/trigger` and `jobs trigger` take; yesterday, in the user's time zone, without dates. */
const triggerSchema = z
  .strictObject({
    start_date: z.iso.date().optional(),
    end_date: z.iso.date().optional(),
    archive_config_id: z.int().positive().optional(),
  })
  .refine(({ start_date: start, end_date: end }) => (start === undefined) === (end === undefined), {
    error: "expected both start_date and end_date, or neither",
    path: ["start_date"],
  })
  .refine(({ start_date: start = "", end_date: end = "" }) => start <= end, { error: "is before start_date", path: ["end_date"] })
  .refine(
    ({ start_date: start = "", end_date: end = "" }) => start === "" || Date.parse(end) - Date.parse(start) < 366 * 86_400_000,
    {
      error: "is more than a year after start_date",
      path: ["end_date"],
    },
  );

/** What `POST /jobs/remove` and `jobs remove` take: one job, or all of the user's. */
const removeSchema = z.strictObject({ job_id: z.string().min(1).optional() });

/** The input as the schema has it. Throws LW400 that names each field that is wrong. */
function parsed<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  const result = schema.safeParse(input ?? {});
  if (result.success) return result.data;
  const said = result.error.issues.map(({ path, message }) => (path.length > 0 ? `${path.join(".")}: ${message}` : message));
  throw new LegworkError("LW400", `${said.join("; ")}.`);
}

interface User {
  timezone: string;
  is_active: boolean;
}

async function userOf(client: Queryable, userId: number): Promise<User> {
  const { rows } = await client.query("select timezone, is_active from calendar.users where id = $1", [userId]);
  if (rows[0] === undefined) throw new LegworkError("LW404", `There is no user ${userId}.`);
  return rows[0];
}

/** The archive that is meant: the named one, else the user's only active one. Throws LW403 for one that is not the user's, there or not. */
async function configurationOf(client: Queryable, userId: number, named: number | undefined): Promise<number> {
  const { rows } = await client.query(
    "select id, is_active from calendar.archive_configurations where user_id = $1 and ($2::int is null or id = $2) order by id",
    [userId, named],
  );
  if (named !== undefined && rows.length === 0)
    throw new LegworkError("LW403", `Archive configuration ${named} is not user ${userId}'s.`);
  const active = (rows as { id: number; is_active: boolean }[]).filter(({ is_active }) => is_active);
  if (active.length === 1) return active[0]?.id as number;
  throw new LegworkError(
    "LW400",
    `archive_config_id: user ${userId} has ${active.length || "no"} active archive configurations.`,
    {
      hint:
        active.length > 1
          ? `Name one: ${active.map(({ id }) => id).join(", ")}.`
          : "Make one in calendar.archive_configurations.",
    },
  );
}

/** The name of a user's schedule: one of each type, so that scheduling again replaces it. */
function scheduleName(userId: number, type: "daily" | "weekly"): string {
  return `${tenantOf(userId)}-${type}`;
}

export interface ScheduledJob {
  job_id: string;
  schedule_type: "daily" | "weekly";
  archive_config_id: number;
  timezone: string;
  next_run_time: Date | null;
  replaced: boolean;
}

/** Archives a user's calendar every day or every week at hour:minute of the user's time zone, in place of an earlier schedule of that type. */
export async function scheduleArchive(client: Queryable, userId: number, request: ScheduleRequest): Promise<ScheduledJob> {
  const { schedule_type: type, hour, minute, day_of_week: day = 6, archive_config_id: named } = parsed(scheduleSchema, request);
  const user = await userOf(client, userId);
  if (!user.is_active) throw new LegworkError("LW409", `User ${userId} is not active.`);
  const configurationId = await configurationOf(client, userId, named);
  const name = scheduleName(userId, type);
  const { rows: before } = await client.query("select from legwork.schedules where name = $1", [name]);
  const next = await schedule(client, name, TASK, {
    cron: `${minute} ${hour} * * ${type === "daily" ? "*" : DAYS[day]}`,
    timezone: user.timezone,
    payload: { userId, configurationId, days: type === "daily" ? 1 : 7 },
    tenant: tenantOf(userId),
    // One run stands for all that were missed, and none begins while another one lives. Neither leaves a day out: a run goes on from the last one.
    missed: "one",
    overlap: "skip",
    enabled: true,
  });
  return {
    job_id: name,
    schedule_type: type,
    archive_config_id: configurationId,
    timezone: user.timezone,
    next_run_time: next,
    replaced: before.length > 0,
  };
}

/** Schedules every active user who has an archive; resolves to the jobs, and to the users who were left out and why. */
export async function scheduleAllActiveUsers(
  client: Queryable,
  request: Omit<ScheduleRequest, "archive_config_id">,
): Promise<{ scheduled: ScheduledJob[]; skipped: { user_id: number; reason: string }[] }> {
  const { rows } = await client.query("select id from calendar.users where is_active order by id");
  const scheduled: ScheduledJob[] = [];
  const skipped: { user_id: number; reason: string }[] = [];
  for (const { id } of rows) {
    try {
      scheduled.push(await scheduleArchive(client, id, request));
    } catch (error) {
      if (!(error instanceof LegworkError) || !error.message.startsWith("archive_config_id:")) throw error;
      skipped.push({ user_id: id, reason: error.message });
    }
  }
  return { scheduled, skipped };
}

/** Archives some days now; resolves to the job. */
export async function triggerArchive(client: Queryable, userId: number, request: unknown): Promise<Record<string, unknown>> {
  const { start_date: start, end_date: end, archive_config_id: named } = parsed(triggerSchema, request);
  await userOf(client, userId);
  const configurationId = await configurationOf(client, userId, named);
  const { rows } = await client.query(
    `select coalesce($2::date, yesterday)::text as start, coalesce($3::date, yesterday)::text as end
     from calendar.users, lateral (select (now() at time zone timezone)::date - 1 as yesterday) y where id = $1`,
    [userId, start, end],
  );
  const days = rows[0] as { start: string; end: string };
  const jobId = await enqueue(client, TASK, { userId, configurationId, ...days }, { tenant: tenantOf(userId) });
  return { job_id: jobId, archive_config_id: configurationId, start_date: days.start, end_date: days.end };
}

/** A user's schedules with their next run, what runs now, and the last twenty runs. Reads what the client may see: the user's own. */
export async function archiveStatus(client: Queryable, userId: number): Promise<Record<string, unknown>> {
  await userOf(client, userId);
  const jobs = await client.query(
    `select name as job_id, case when name like '%-daily' then 'daily' else 'weekly' end as schedule_type, sentence as schedule, timezone,
       (payload ->> 'configurationId')::int as archive_config_id, next_at as next_run_time, is_enabled as enabled,
       last_due_at as last_run_time, last_outcome
     from legwork.schedules where tenant = $1 and task = $2 order by name`,
    [tenantOf(userId), TASK],
  );
  const history = await client.query(
    `select id as job_id, state, attempts, created_at, started_at, finished_at, result, error
     from legwork_confined.jobs where task = $1 order by id desc limit 20`,
    [TASK],
  );
  return {
    user_id: userId,
    jobs: jobs.rows,
    running: history.rows.filter(({ state }) => state === "running").length,
    history: history.rows,
  };
}

/** Removes one of the user's schedules, or all; what runs goes on. Throws LW404 when there is none. */
export async function removeArchives(client: Queryable, userId: number, request: unknown): Promise<{ removed: string[] }> {
  const { job_id: name } = parsed(removeSchema, request);
  const { rows } = await client.query(
    "select name from legwork.schedules where tenant = $1 and task = $2 and ($3::text is null or name = $3) order by name",
    [tenantOf(userId), TASK, name],
  );
  if (rows.length === 0) {
    throw new LegworkError(
      "LW404",
      name === undefined ? `User ${userId} has no scheduled job.` : `User ${userId} has no job '${name}'.`,
    );
  }
  for (const row of rows) await unschedule(client, row.name);
  return { removed: rows.map((row) => row.name) };
}

/** How the archiving of all users is: what is scheduled, who works, and what went wrong. Tells of nobody by name. */
export async function archiveHealth(client: Queryable): Promise<Record<string, unknown> & { status: string }> {
  const { rows } = await client.query(
    `select (select count(*) from calendar.users where is_active)::int as active_users,
       (select count(*) from legwork.schedules where task = $1 and is_enabled)::int as scheduled_jobs,
       (select count(*) from legwork.schedules where task = $1 and last_outcome = 'failed')::int as failing_jobs`,
    [TASK],
  );
  const workers = (await listWorkers(client)).length;
  // Its own task, queue and schedules: how the machine and the other apps are is what GET /health/details of Legwork says.
  const ours = (await readHealth(client)).filter(
    ({ scope, name }) =>
      (scope === "task" && name === TASK) || (scope === "queue" && name === "calendar") || name.startsWith("calendar-user-"),
  );
  const is = (status: string): boolean => ours.some((row) => row.status === status);
  const status =
    workers === 0 || is("unhealthy") ? "unhealthy" : is("degraded") || rows[0].failing_jobs > 0 ? "degraded" : "healthy";
  return { status, scheduler_running: workers > 0, workers, ...rows[0] };
}
