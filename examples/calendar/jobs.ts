import { enqueue, LegworkError, type Queryable } from "legwork";
import { listWorkers, readHealth, schedule, unschedule } from "legwork/operations";
import { z } from "zod";
import { tenantOf } from "./users.ts";

const TASK = "calendar/archive";
const DAYS = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"] as const;

/** The input of `POST /jobs/schedule` and `jobs schedule`. */
const scheduleSchema = z
  .strictObject({
    schedule_type: z.enum(["daily", "weekly"]).default("daily"),
    hour: z.int().min(0).max(23).default(23),
    minute: z.int().min(0).max(59).default(59),
    day_of_week: z.int().min(0).max(6).optional().describe("0 is Monday, 6 is Sunday."),
    archive_config_id: z.int().positive().optional(),
  })
  .refine(({ schedule_type, day_of_week }) => schedule_type === "weekly" || day_of_week === undefined, {
    error: "only a weekly schedule has a day",
    path: ["day_of_week"],
  });
export type ScheduleRequest = z.input<typeof scheduleSchema>;

/** The input of `POST /jobs/trigger` and `jobs trigger`. Without dates: yesterday in the user's time zone. */
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

/** The input of `POST /jobs/remove` and `jobs remove`: one schedule, or all of the user's. */
const removeSchema = z.strictObject({ job_id: z.string().min(1).optional() });

/** Parses the input. Throws LW400, naming every invalid field. */
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
  if (rows[0] === undefined) throw new LegworkError("LW404", `User ${userId} does not exist.`);
  return rows[0];
}

/**
 * Returns the named archive configuration, or the user's only active one. Throws LW403 for a configuration that does not belong to the user, whether
 * it exists or not.
 */
async function configurationOf(client: Queryable, userId: number, named: number | undefined): Promise<number> {
  const { rows } = await client.query(
    "select id, is_active from calendar.archive_configurations where user_id = $1 and ($2::int is null or id = $2) order by id",
    [userId, named],
  );
  if (named !== undefined && rows.length === 0)
    throw new LegworkError("LW403", `Archive configuration ${named} does not belong to user ${userId}.`);
  const active = (rows as { id: number; is_active: boolean }[]).filter(({ is_active }) => is_active);
  if (active.length === 1) return active[0]?.id as number;
  throw new LegworkError(
    "LW400",
    `archive_config_id: user ${userId} has ${active.length || "no"} active archive configurations, expected exactly 1.`,
    {
      hint:
        active.length > 1
          ? `Choose one: ${active.map(({ id }) => id).join(", ")}.`
          : "Create one in calendar.archive_configurations.",
    },
  );
}

/** Returns the name of a user's schedule. A user has one schedule per type, so scheduling again replaces it. */
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

/** Schedules archiving of a user's calendar every day or week at hour:minute in the user's time zone. Replaces an earlier schedule of that type. */
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
    // One run replaces all missed runs, and no run starts while another is active. No day is skipped: each run continues where the previous one
    // ended.
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

/** Schedules archiving for every active user who has an archive. Returns the schedules, and the skipped users with the reasons. */
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

/** Archives a range of days now. Returns the job. */
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

/** Returns a user's schedules with their next run, the number of running jobs, and the last twenty runs. The client can read only the user's own jobs. */
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

/** Removes one or all of the user's schedules. Running jobs continue. Throws LW404 if there is no such schedule. */
export async function removeArchives(client: Queryable, userId: number, request: unknown): Promise<{ removed: string[] }> {
  const { job_id: name } = parsed(removeSchema, request);
  const { rows } = await client.query(
    "select name from legwork.schedules where tenant = $1 and task = $2 and ($3::text is null or name = $3) order by name",
    [tenantOf(userId), TASK, name],
  );
  if (rows.length === 0) {
    throw new LegworkError(
      "LW404",
      name === undefined ? `User ${userId} has no schedules.` : `User ${userId} has no schedule '${name}'.`,
    );
  }
  for (const row of rows) await unschedule(client, row.name);
  return { removed: rows.map((row) => row.name) };
}

/** Returns the health of archiving for all users: schedules, workers and failures. Contains no user's data. */
export async function archiveHealth(client: Queryable): Promise<Record<string, unknown> & { status: string }> {
  const { rows } = await client.query(
    `select (select count(*) from calendar.users where is_active)::int as active_users,
       (select count(*) from legwork.schedules where task = $1 and is_enabled)::int as scheduled_jobs,
       (select count(*) from legwork.schedules where task = $1 and last_outcome = 'failed')::int as failing_jobs`,
    [TASK],
  );
  const workers = (await listWorkers(client)).length;
  // Includes only this app's task, queue and schedules. Legwork's GET /health/details also covers the machine and the other apps.
  const ours = (await readHealth(client)).filter(
    ({ scope, name }) =>
      (scope === "task" && name === TASK) || (scope === "queue" && name === "calendar") || name.startsWith("calendar-user-"),
  );
  const is = (status: string): boolean => ours.some((row) => row.status === status);
  const status =
    workers === 0 || is("unhealthy") ? "unhealthy" : is("degraded") || rows[0].failing_jobs > 0 ? "degraded" : "healthy";
  return { status, scheduler_running: workers > 0, workers, ...rows[0] };
}
