import { statfs } from "node:fs/promises";
import { defineTask } from "legwork";
import { z } from "zod";
import { assistantConfig, type Provider } from "../../config.ts";
import { ask } from "../../lib/providers.ts";

/** The free disk space below which the check warns, and below which it is unhealthy (%). */
const DISK_WARNING = 10;
const DISK_CRITICAL = 5;

const statusSchema = z.enum(["healthy", "degraded", "unhealthy"]);

const checked = z.strictObject({
  provider: z.string(),
  isUp: z.boolean(),
  milliseconds: z.number().describe("The time until the response or the failure."),
  error: z.string().optional(),
});

export default defineTask({
  description:
    "Probes every AI provider, the database and the disk. A failed probe is reported in the result; the job still completes.",
  queue: "assistant",
  timeout: "2m",
  result: z.strictObject({
    status: statusSchema.describe("unhealthy if no provider responds or the disk is nearly full."),
    providers: z.array(checked),
    databaseMilliseconds: z.number(),
    diskFreePercent: z.number(),
    problems: z.array(z.string()),
  }),
  async run(_payload, { sql, log, signal }) {
    const { providers, probeTimeout } = assistantConfig();
    const startedAt = performance.now();
    await sql`delete from assistant.provider_checks where checked_at < now() - interval '30 days'`;
    const databaseMilliseconds = performance.now() - startedAt;

    const probe = async (provider: Provider): Promise<z.output<typeof checked>> => {
      const startedAt = performance.now();
      try {
        const request = { prompt: "ping", purpose: "probe", maxTokens: 1, timeout: probeTimeout };
        const { milliseconds } = await ask(sql, provider, request, signal);
        return { provider: provider.name, isUp: true, milliseconds };
      } catch (error) {
        signal.throwIfAborted();
        return {
          provider: provider.name,
          isUp: false,
          milliseconds: performance.now() - startedAt,
          error: (error as Error).message,
        };
      }
    };
    const checks = await Promise.all(providers.map(probe));
    await sql`
      with checks as (
        insert into assistant.provider_checks (provider, is_up, milliseconds, error)
        select c.provider, c."isUp", c.milliseconds, c.error
        from jsonb_to_recordset(${JSON.stringify(checks)}::jsonb) as c (provider text, "isUp" boolean, milliseconds float8, error text)
        returning *
      )
      update assistant.providers p
      set since = case when p.is_up is not distinct from c.is_up then p.since else c.checked_at end, is_up = c.is_up,
        response_ms = case when c.is_up then c.milliseconds end, error = c.error
      from checks c where c.provider = p.provider`;

    const disk = await statfs(".");
    const diskFreePercent = Math.round((1_000 * disk.bavail) / disk.blocks) / 10;
    const problems = checks.flatMap(({ error }) => error ?? []);
    if (checks.length === 0)
      problems.push("No AI provider configured: ASSISTANT_PROVIDERS is not set in the worker's environment.");
    if (diskFreePercent < DISK_WARNING) problems.push(`Only ${diskFreePercent} % of the disk is free.`);
    for (const problem of problems) log.warn({ event: "health_problem" }, problem);
    const isDead = checks.length > 0 && checks.every(({ isUp }) => !isUp);
    const status: z.output<typeof statusSchema> =
      isDead || diskFreePercent < DISK_CRITICAL ? "unhealthy" : problems.length > 0 ? "degraded" : "healthy";
    return { status, providers: checks, databaseMilliseconds, diskFreePercent, problems };
  },
});
