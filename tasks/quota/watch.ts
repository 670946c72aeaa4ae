import { defineTask, PayloadError } from "legwork";
import { z } from "zod";
import { type Column, columnName, columnOf, momentColumn, namedTable, tableName, type NamedTable } from "../@lib/named-table.ts";
import { judge, type Judged, type Quota } from "../@lib/judge-quotas.ts";

const share = z.number().min(1).max(1_000);

export default defineTask({
  description: "Compares providers' usage with their quotas: warns, fails over to the next provider, blocks, and switches back.",
  payload: z
    .strictObject({
      usage: z
        .strictObject({
          table: tableName.describe("The table with one row per use."),
          provider: columnName.default("provider").describe("The column with the provider's name."),
          at: columnName.default("used_at").describe("The column with the time of use."),
          amount: columnName.optional().describe("The column with the amount used. Default: each row counts as 1."),
        })
        .describe("Where usage is recorded."),
      providers: tableName.describe(
        "The table with the quotas, in which the state is also stored. docs/guides/tasks.md lists its columns.",
      ),
      failovers: tableName
        .optional()
        .describe(
          "A table that records failovers: which provider replaced which, and when. docs/guides/tasks.md lists its columns.",
        ),
      warnAt: share.default(80).describe("The share of its quota at which a provider's state becomes warning (%)."),
      switchAt: share.default(95).describe("The share at which the next provider by priority takes over (%)."),
      blockAt: share.default(100).describe("The share at which a provider is blocked until its period resets (%)."),
    })
    .refine(({ warnAt, switchAt, blockAt }) => warnAt < switchAt && switchAt <= blockAt, "expected warnAt < switchAt <= blockAt"),
  result: z.strictObject({
    providers: z.array(
      z.strictObject({
        service: z.string(),
        provider: z.string(),
        used: z.number(),
        quota: z.number(),
        percent: z.number(),
        state: z.enum(["ok", "warning", "switched", "blocked"]),
        active: z.boolean().describe("Whether this is the active provider."),
        resetsAt: z.iso.datetime(),
      }),
    ),
    changes: z.array(z.string()).describe("Changes since the last run, one sentence each."),
    blocked: z.array(z.string()).describe("The services whose providers are all blocked."),
  }),
  /** The state depends only on usage and quotas, so a second run changes nothing. Concurrent runs wait for each other. */
  async run(payload, { sql, job, log }) {
    const asker = { sql, job };
    const usage = await namedTable(asker, "usage.table", payload.usage.table);
    const providers = await namedTable(asker, "providers", payload.providers);
    assertColumns(providers, "providers", PROVIDER_COLUMNS);
    const failovers = payload.failovers === undefined ? undefined : await namedTable(asker, "failovers", payload.failovers);
    if (failovers !== undefined) assertColumns(failovers, "failovers", FAILOVER_COLUMNS);
    const columns = {
      provider: columnOf(usage, "usage.provider", payload.usage.provider),
      at: momentColumn(usage, "usage.at", payload.usage.at),
      amount: payload.usage.amount === undefined ? undefined : columnOf(usage, "usage.amount", payload.usage.amount),
    };
    const { judged, changes } = await sql.transaction(async (_sql, client) => {
      // A concurrent run waits here, and then sees the first run's changes.
      await client.query(`lock table ${providers.quoted} in share row exclusive mode`);
      const { rows } = await client.query<Quota>(quotasStatement(providers, usage, columns));
      const judged = judge(rows, payload);
      const changes = judged.filter((entry) => entry.state !== entry.stateBefore || entry.active !== entry.activeBefore);
      for (const entry of judged) await store(client.query.bind(client), providers, entry);
      if (failovers !== undefined) await storeFailovers(client.query.bind(client), failovers, judged);
      return { judged, changes: changes.map(describe) };
    });
    for (const change of changes) log.warn({ event: "quota_changed" }, change);
    const services = [...new Set(judged.map(({ service }) => service))];
    return {
      providers: judged.map(({ service, provider, used, quota, percent, state, active, resetsAt }) => ({
        service,
        provider,
        used,
        quota,
        percent,
        state,
        active,
        resetsAt: resetsAt.toISOString(),
      })),
      changes,
      blocked: services.filter((service) => !judged.some((entry) => entry.service === service && entry.active)),
    };
  },
});

const PROVIDER_COLUMNS = [
  "service",
  "provider",
  "priority",
  "quota",
  "period",
  "used",
  "percent",
  "state",
  "active",
  "resets_at",
  "checked_at",
];
const FAILOVER_COLUMNS = ["service", "provider", "replaced_by", "started_at", "ended_at"];

function assertColumns(table: NamedTable, field: string, names: readonly string[]): void {
  const missing = names.filter((name) => !table.columns.has(name));
  if (missing.length === 0) return;
  throw new PayloadError(`${field}: table '${table.full}' lacks columns: ${missing.join(", ")}.`, {
    hint: "See quota/watch in docs/guides/tasks.md for its create table statement.",
  });
}

/** Selects each provider's usage since its period began, in UTC, or since reset_at if that column exists and is later. */
function quotasStatement(
  providers: NamedTable,
  usage: NamedTable,
  { provider, at, amount }: { provider: Column; at: Column; amount: Column | undefined },
): string {
  const since = providers.columns.has("reset_at") ? "greatest(w.start, coalesce(p.reset_at, w.start))" : "w.start";
  const sum = amount === undefined ? "count(*)" : `coalesce(sum(u.${amount.quoted}), 0)`;
  return `
    select p.service::text as service, p.provider::text as provider, p.priority::float8 as priority, p.quota::float8 as quota,
      p.state::text as "stateBefore", p.active as "activeBefore", w.start + ('1 ' || p.period)::interval as "resetsAt",
      (select ${sum}::float8 from ${usage.quoted} u
       where u.${provider.quoted}::text = p.provider::text and u.${at.quoted} >= (${since})::${at.type}) as used
    from ${providers.quoted} p, lateral (select date_trunc(p.period, now(), 'UTC') as start) w
    order by p.service, p.priority, p.provider`;
}

type Query = (text: string, values: unknown[]) => Promise<unknown>;

async function store(query: Query, providers: NamedTable, entry: Judged): Promise<void> {
  await query(
    `update ${providers.quoted} set used = $3, percent = $4, state = $5, active = $6, resets_at = $7, checked_at = now()
     where service::text = $1 and provider::text = $2`,
    [entry.service, entry.provider, entry.used, entry.percent, entry.state, entry.active, entry.resetsAt],
  );
}

/** Keeps one open row for each provider that another provider replaces. */
async function storeFailovers(query: Query, failovers: NamedTable, judged: readonly Judged[]): Promise<void> {
  const services = new Set(judged.map(({ service }) => service));
  for (const service of services) {
    const first = judged.find((entry) => entry.service === service);
    const active = judged.find((entry) => entry.service === service && entry.active);
    const standsIn = first !== undefined && active !== undefined && active !== first ? active.provider : null;
    await query(
      `update ${failovers.quoted} set ended_at = now()
       where service::text = $1 and ended_at is null and (replaced_by::text is distinct from $2 or provider::text <> $3)`,
      [service, standsIn, first?.provider],
    );
    if (standsIn === null) continue;
    await query(
      `insert into ${failovers.quoted} (service, provider, replaced_by, started_at)
       select $1, $2, $3, now() where not exists (select from ${failovers.quoted} where service::text = $1 and ended_at is null)`,
      [service, first?.provider, standsIn],
    );
  }
}

function describe({ service, provider, state, stateBefore, active, activeBefore, percent }: Judged): string {
  const parts = [`${service}: ${provider} is at ${percent}%.`];
  if (state !== stateBefore) parts.push(`Its state changed from ${stateBefore ?? "unknown"} to ${state}.`);
  if (active !== activeBefore) parts.push(active ? "It is now active." : "It is no longer active.");
  return parts.join(" ");
}
