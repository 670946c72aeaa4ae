import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { assistantConfig } from "../../examples/assistant/config.ts";
import { startAssistant } from "../../examples/assistant/start.ts";
import { startStubProvider } from "../../examples/assistant/stub-provider.ts";
import { emergencyStop, resumeAll, retryJob, runSchedule } from "../../src/operations.ts";
import type { Server } from "../../src/server/server.ts";
import { ASSISTANT, type AssistantWorld, assistantWorld } from "../support/assistant.ts";
import { legwork } from "../support/cli.ts";
import { testDatabase } from "../support/database.ts";
import { empty } from "../support/empty.ts";
import { endedJob, type EndedJob, TASKS } from "../support/job.ts";
import { rest, startRest } from "../support/rest.ts";
import { until } from "../support/until.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const database = testDatabase();

let world: AssistantWorld;
let worker: ChildProcess;
let server: Server;

/** One worker in a separate process for all tests. The schedules are disabled: jobs run when a test runs them. */
beforeAll(async () => {
  world = await assistantWorld();
  server = await startRest(database);
  await startAssistant(database.url, { ...world.environment, ASSISTANT_JOBS_ENABLED: "false" });
  worker = spawn(
    process.execPath,
    [join(ROOT, "bin/legwork.js"), "worker", "--tasks", TASKS, "--tasks", join(ASSISTANT, "tasks"), "--crontab", "/dev/null"],
    {
      env: { PATH: process.env.PATH, DATABASE_URL: database.url, LEGWORK_LOG_LEVEL: "fatal", ...world.environment },
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  await until("the worker is alive", async () => (await select("select from legwork.workers")).length > 0, 20_000);
});

afterAll(async () => {
  worker.kill("SIGTERM");
  await once(worker, "exit");
  await server.stop();
  await world.stop();
});

beforeEach(async () => {
  await database.pool.query(`
    truncate assistant.ai_usage, assistant.failovers, assistant.provider_checks, assistant.weekly_summaries;
    update assistant.providers set state = null, active = null, used = null, percent = null, is_up = null, since = null, error = null`);
  for (const stub of [world.one, world.two]) {
    stub.status = 200;
    stub.asked.length = 0;
  }
});

// oxlint-disable-next-line typescript/no-explicit-any -- rows of every query
async function select(text: string, ...values: unknown[]): Promise<any[]> {
  return (await database.pool.query(text, values)).rows;
}

const ended = (id: string): Promise<EndedJob> => until(`job ${id} has ended`, () => endedJob(database, id));

/** Runs one of the example's schedules manually. Resolves to its job once it has ended. */
async function run(name: string): Promise<EndedJob> {
  return await ended(await runSchedule(database.pool, name));
}

/** Records that a provider was used this long ago. */
async function used(provider: string, tokens: number, ago = "0"): Promise<void> {
  await database.pool.query(
    `insert into assistant.ai_usage (provider, purpose, used_at, tokens, milliseconds, ok) values ($1, 'test', now() - $3::interval, $2, 100, true)`,
    [provider, tokens, ago],
  );
}

const providers = (): Promise<Record<string, unknown>[]> =>
  select("select provider, percent::float8, state, active from assistant.providers order by priority");

describe("assistant", () => {
  it("B1 the cleanups, the archive and the quota reset change their rows and report how many", async () => {
    const cleanup = await run("memory-cleanup");
    expect(cleanup).toMatchObject({ state: "completed", result: { deleted: 2, batches: 1 } });
    expect(cleanup.result.bytes).toBeGreaterThan(50);
    expect(await select("select count(*)::int as left from assistant.study_chat_memory")).toEqual([{ left: 2 }]);
    expect((await run("cache-cleanup")).result).toMatchObject({ deleted: 1 });
    await run("archive-conversations");
    expect(await select("select count(*)::int as archived from assistant.archived_conversations")).toEqual([{ archived: 2 }]);
    await database.pool.query("update assistant.profiles set used_tokens = 500");
    expect((await run("quota-reset")).result).toMatchObject({ reset: 2 });
    await database.pool.query("update assistant.profiles set used_tokens = 7");
    // A second run in the same month changes nothing.
    expect((await run("quota-reset")).result).toMatchObject({ reset: 0 });
    expect((await run("profile-refresh")).result).toEqual({ refreshed: 2 });
    expect(
      await select(
        "select used_tokens::int, conversations, memories, favorite_subject from assistant.profiles where name = 'Ann'",
      ),
    ).toEqual([{ used_tokens: 7, conversations: 1, memories: 1, favorite_subject: "Mathematics" }]);
  });

  it("B3 a provider raises a warning at 80 %, is replaced at 95 %, is blocked at 100 %, and is used again when its window resets", async () => {
    await used("one", 800_000);
    expect((await run("rate-limit-monitor")).result.changes).toContainEqual(
      expect.stringContaining("one is at 80%. Its state changed from unknown to warning."),
    );
    expect(await providers()).toMatchObject([
      { state: "warning", active: true },
      { state: "ok", active: false },
    ]);
    await used("one", 150_000);
    await run("rate-limit-monitor");
    expect(await providers()).toEqual([
      { provider: "one", percent: 95, state: "switched", active: false },
      { provider: "two", percent: 0, state: "ok", active: true },
    ]);
    expect(
      await select(
        "select provider, replaced_by, percent::float8, state, resets_at > now() as ahead from assistant.active_failovers",
      ),
    ).toEqual([{ provider: "one", replaced_by: "two", percent: 95, state: "switched", ahead: true }]);
    // Callers are directed to the other provider.
    expect((await run("weekly-summaries")).result).toMatchObject({ written: 2, providers: ["two"] });
    expect(world.one.asked).toEqual([]);
    expect(world.two.asked).toMatchObject([{ model: "small" }, { model: "small" }]);
    expect(await select("select distinct provider, left(summary, 14) as summary from assistant.weekly_summaries")).toEqual([
      { provider: "two", summary: "A stub answers" },
    ]);

    await used("one", 50_000);
    await used("two", 1_000_000);
    expect((await run("rate-limit-monitor")).result).toMatchObject({ blocked: ["chat"] });
    expect(await providers()).toMatchObject([
      { state: "blocked", active: false },
      { state: "blocked", active: false },
    ]);
    // No provider is left: the summaries wait for the window to reset and use no attempt.
    await empty(database.pool, "assistant.weekly_summaries");
    const waiting = await runSchedule(database.pool, "weekly-summaries");
    const [put] = await until("the job is postponed", async () => {
      const rows = await select("select attempts, run_at from legwork.jobs where id = $1 and state = 'scheduled'", waiting);
      return rows[0] !== undefined && rows;
    });
    expect(put).toEqual({ attempts: 0, run_at: (await select("select min(resets_at) as at from assistant.providers"))[0].at });
    expect(world.two.asked).toHaveLength(2);

    // Simulates that a day has passed.
    await database.pool.query("update assistant.ai_usage set used_at = used_at - interval '1 day'");
    await run("rate-limit-monitor");
    expect(await providers()).toMatchObject([
      { state: "ok", active: true },
      { state: "ok", active: false },
    ]);
    expect(await select("select from assistant.active_failovers")).toEqual([]);
    expect(await select("select provider, replaced_by, ended_at is not null as over from assistant.failovers")).toEqual([
      { provider: "one", replaced_by: "two", over: true },
    ]);
    await retryJob(database.pool, waiting);
    expect((await ended(waiting)).result).toMatchObject({ providers: ["one"] });
    expect(world.one.asked[0]?.authorization).toBe("Bearer sk-secret-one");
  });

  it("B4 probes measure each provider's response time and uptime, and an unavailable one degrades the system without breaking it", async () => {
    expect(await run("health-check")).toMatchObject({ result: { status: "healthy", problems: [] } });
    expect(world.one.asked).toMatchObject([{ model: "large", messages: [{ content: "ping" }] }]);
    const uptime =
      "select provider, is_up, response_ms > 0 as measured, error, probes::int, uptime, down_for > '0' as was_down from assistant.provider_uptime order by 1";
    expect(await select(uptime)).toEqual([
      { provider: "one", is_up: true, measured: true, error: null, probes: 1, uptime: 1, was_down: false },
      { provider: "two", is_up: true, measured: true, error: null, probes: 1, uptime: 1, was_down: false },
    ]);
    const since = (): Promise<unknown[]> => select("select since from assistant.providers order by priority");
    const up = await since();

    world.one.status = 503;
    const degraded = await run("health-check");
    expect(degraded).toMatchObject({
      state: "completed",
      result: { status: "degraded", problems: ["one: the provider returned status 503."] },
    });
    expect(await select(uptime)).toMatchObject([
      { is_up: false, measured: null, error: "one: the provider returned status 503.", probes: 2, uptime: 0.5, was_down: true },
      { is_up: true, probes: 2, uptime: 1 },
    ]);
    const [one, two] = await since();
    expect(one).not.toEqual(up[0]);
    expect(two).toEqual(up[1]);
    // Callers use the available provider first.
    expect((await run("weekly-summaries")).result).toMatchObject({ written: 2, providers: ["two"] });
    expect(await select("select distinct provider, ok from assistant.ai_usage where purpose = 'weekly-summary'")).toEqual([
      { provider: "two", ok: true },
    ]);

    // The provider's server is stopped.
    const port = Number(new URL(world.two.url).port);
    await world.two.stop();
    const dead = await run("health-check");
    expect(dead).toMatchObject({ state: "completed", result: { status: "unhealthy" } });
    expect(dead.result.problems).toContainEqual(expect.stringMatching(/^two: .*ECONNREFUSED/));
    world.two = await startStubProvider(port);
    world.one.status = 200;
    expect(await run("health-check")).toMatchObject({ result: { status: "healthy" } });
    // No key appears in data that users can read.
    expect(
      await select(
        "select from legwork.jobs j where j::text like '%sk-secret%' union all select from assistant.ai_usage u where u::text like '%sk-secret%'",
      ),
    ).toEqual([]);
  });

  it("B5 a backup is verified, restored by a command, and kept for thirty days", async () => {
    const job = await run("backup");
    expect(job).toMatchObject({ state: "completed", result: { verified: true, removed: [] } });
    const folder = join(world.backups, job.result.backup);
    const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
    expect(manifest.tables.map(({ table }: { table: string }) => table)).toEqual([
      "profiles",
      "subjects",
      "topics",
      "chat_conversations",
      "archived_conversations",
      "study_chat_memory",
      "weekly_summaries",
    ]);
    const profiles = gunzipSync(await readFile(join(folder, manifest.tables[0].file))).toString();
    expect(profiles.split("\n").map((line) => line.split("\t")[1])).toEqual(["Ann", "Bob", undefined]);

    const everything = "select md5(string_agg(m::text, '' order by id)) as hash from assistant.study_chat_memory m";
    const before = await select(everything);
    await database.pool.query("delete from assistant.profiles");
    expect(await select("select from assistant.study_chat_memory")).toEqual([]);
    const restored = await legwork(["restore", "--folder", world.backups, "--name", "assistant", "--replace", "--json"], {
      DATABASE_URL: database.url,
    });
    expect(restored).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(restored.stdout)).toMatchObject({
      state: "completed",
      result: { backup: job.result.backup, verified: true },
    });
    expect(await select(everything)).toEqual(before);

    // Makes a second backup, and then backdates both: one of them so far that it must be deleted.
    const second = (await run("backup")).result.backup;
    for (const [backup, days] of [
      [job.result.backup, 31],
      [second, 29],
    ] as const) {
      const path = join(world.backups, backup, "manifest.json");
      const read = JSON.parse(await readFile(path, "utf8"));
      await writeFile(path, JSON.stringify({ ...read, createdAt: new Date(Date.now() - days * 86_400_000).toISOString() }));
    }
    const third = await run("backup");
    expect(third.result.removed).toEqual([job.result.backup]);
    expect(new Set(await readdir(world.backups))).toEqual(new Set([second, third.result.backup]));
  });

  it("B6 maintenance vacuums, reindexes and analyzes, with sizes before and after", async () => {
    // Without this, autovacuum might shrink the table first.
    await database.pool.query("alter table assistant.response_cache set (autovacuum_enabled = off)");
    await database.pool.query(
      "insert into assistant.response_cache select 'k' || n, to_jsonb(repeat('x', 200)), now() + interval '1 day' from generate_series(1, 2000) n",
    );
    await database.pool.query("delete from assistant.response_cache where key <> 'k1'");
    await database.pool.query("select pg_stat_force_next_flush()");
    const cache = (job: EndedJob): Record<string, Record<string, number>> =>
      job.result.tables.find(({ table }: { table: string }) => table === "assistant.response_cache");
    const vacuumed = cache(await run("maintenance"));
    expect(vacuumed.after?.tableBytes).toBeLessThan(vacuumed.before?.tableBytes ?? 0);
    const reindexed = await run("maintenance-reindex");
    expect(reindexed.state).toBe("completed");
    const index = reindexed.result.indexes.find(
      (entry: { index: string }) => entry.index === "assistant.response_cache_expires_at",
    );
    expect(index.afterBytes).toBeLessThan(index.beforeBytes);
    const analyzed = cache(await run("maintenance-analyze"));
    expect(analyzed).toMatchObject({ before: { tableBytes: expect.any(Number) }, after: { liveRows: 1 } });
  });

  it("B7 a day's usage is reported by provider, compared with normal usage, with anomalies", async () => {
    await database.pool.query(`
      insert into assistant.ai_usage (provider, purpose, used_at, tokens, milliseconds, ok)
      select 'one', 'chat', now() - make_interval(days => d, hours => 1), 10, 100, true from generate_series(1, 7) d, generate_series(1, 10) n
      union all select 'one', 'chat', now() - interval '1 hour', 5, 500, n > 20 from generate_series(1, 100) n
      union all select 'two', 'chat', now() - make_interval(days => d, hours => 1), 10, 100, true from generate_series(1, 7) d, generate_series(1, 10) n`);
    const job = await run("usage-analysis");
    expect(job).toMatchObject({ state: "completed", result: { rows: 2 } });
    expect(JSON.parse(job.result.content)).toMatchObject([
      {
        provider: "one",
        requests: "100",
        tokens: "500",
        failed: "20",
        mean_ms: "500.0",
        p95_ms: "500.0",
        usual_requests: "10.0",
        usual_ms: "100.0",
        anomalies:
          "more than three times as many requests as usual; more than one in ten requests failed; three times as slow as usual",
        recommendations: "investigate the failures, or lower the provider's priority",
      },
      { provider: "two", requests: "0", anomalies: "less than a third of the usual requests", recommendations: "" },
    ]);
  });

  const interfaces: [string, () => Promise<unknown>, () => Promise<unknown>][] = [
    ["SQL", () => select("select legwork.emergency_stop('fire drill')"), () => select("select legwork.resume_all()")],
    ["TypeScript", () => emergencyStop(database.pool, "fire drill"), () => resumeAll(database.pool)],
    ["the command line", () => command("stop", "--all", "--reason", "fire drill"), () => command("resume", "--all")],
    ["REST", () => rest(server, "POST", "/emergency-stop", { reason: "fire drill" }), () => rest(server, "POST", "/resume-all")],
  ];
  const command = async (...parameters: string[]): Promise<void> =>
    expect(await legwork(parameters, { DATABASE_URL: database.url })).toMatchObject({ code: 0, stderr: "" });

  it.each(interfaces)("B9 %s stops everything and resumes it", async (_name, stop, resume) => {
    await stop();
    const id = await runSchedule(database.pool, "profile-refresh");
    expect(await select("select state from legwork.jobs where id = $1", id)).toEqual([{ state: "paused" }]);
    expect((await select("select reason, detail from legwork.explain_job($1)", id))[0]).toEqual({
      reason: "everything_stopped",
      detail: expect.stringContaining("fire drill"),
    });
    await resume();
    expect(await ended(id)).toMatchObject({ state: "completed" });
  });

  it("B9 any job can be run manually, also from the command line, and is in the history and the statistics", async () => {
    const byHand = await legwork(["schedule", "run", "cache-cleanup"], { DATABASE_URL: database.url });
    expect(byHand.code).toBe(0);
    await ended(byHand.stdout.trim());
    const jobs = await select("select name from legwork.schedules where source = 'database'");
    expect(jobs).toHaveLength(13);
    expect(await select("select state, outcome from legwork.schedule_runs where job_id = $1", byHand.stdout.trim())).toEqual([
      { state: "manual", outcome: "completed" },
    ]);
    const history = await rest(server, "GET", "/schedules/cache-cleanup/runs");
    expect(history.body.items[0]).toMatchObject({ jobId: byHand.stdout.trim(), state: "manual" });
    const [statistics] = await select(
      "select runs::int, failed::int, success_rate::float8, mean_seconds > 0 as measured from assistant.job_statistics where schedule = 'cache-cleanup'",
    );
    expect(statistics).toEqual({ runs: expect.any(Number), failed: 0, success_rate: 1, measured: true });
  });

  it("B9 the alert thresholds are as listed, and three consecutive failures raise an alert", async () => {
    const rules = await select(
      "select kind, warning, critical from legwork_private.alert_rules where kind in ('consecutive_failures', 'slow_runs', 'worker_memory', 'host_disk') order by 1",
    );
    expect(rules).toMatchObject([
      { kind: "consecutive_failures", warning: 3 },
      { kind: "host_disk", warning: 0.9, critical: 0.95 },
      { kind: "slow_runs", warning: 60, critical: 300 },
      { kind: "worker_memory", warning: 100 * 1024 * 1024, critical: 500 * 1024 * 1024 },
    ]);
    await database.pool.query("update legwork_private.duties set every = '200 ms', due_at = now()");
    await database.pool.query("alter table assistant.ai_usage rename to elsewhere");
    for (let n = 0; n < 3; n++) expect((await run("usage-analysis")).state).toBe("failed");
    await database.pool.query("alter table assistant.elsewhere rename to ai_usage");
    const open =
      "select severity, value from legwork.alerts where kind = 'consecutive_failures' and target = 'report/query' and state <> 'resolved'";
    expect(await until("an alert is raised", async () => (await select(open))[0])).toEqual({ severity: "warning", value: 3 });
    await run("usage-analysis");
    await until("the alert is resolved", async () => (await select(open)).length === 0);
  });

  it("B9 settings are read from the environment, and an error names the variable without showing a key", async () => {
    expect(assistantConfig({})).toMatchObject({ health: "5m", rateLimits: "1m", keepBackups: "30 days", enabled: undefined });
    expect(
      assistantConfig({ ASSISTANT_ENV: "development", ASSISTANT_HEALTH_INTERVAL: "30s", ASSISTANT_JOBS_ENABLED: "false" }),
    ).toMatchObject({
      health: "30s",
      rateLimits: "5m",
      keepBackups: "7 days",
      enabled: false,
    });
    for (const wrong of [
      { ASSISTANT_ENV: "staging" },
      { ASSISTANT_HEALTH_INTERVAL: "often" },
      { ASSISTANT_PROVIDERS: '[{"key": "sk-secret"' },
    ]) {
      const [name = ""] = Object.keys(wrong);
      const start = startAssistant(database.url, wrong);
      await expect(start).rejects.toThrow(name);
      await expect(start).rejects.not.toThrow("sk-secret");
    }
  });
});
