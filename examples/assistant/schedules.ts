import type { Duration } from "legwork";
import type { ScheduleOptions } from "legwork/operations";
import type { AssistantConfig } from "./config.ts";

/**
 * Attempts and priorities by importance. Critical jobs are retried with exponential backoff (start.ts).
 */
export const PRIORITIES = {
  critical: { priority: -20, maxAttempts: 4 },
  high: { priority: -10, maxAttempts: 3 },
  medium: { priority: 0, maxAttempts: 3 },
  low: { priority: 10, maxAttempts: 2 },
} as const;

export interface Job {
  name: string;
  task: string;
  level: keyof typeof PRIORITIES;
  when: { cron: string } | { every: Duration };
  payload?: Record<string, unknown>;
  requires?: ScheduleOptions["requires"];
}

const BACKED_UP = [
  "profiles",
  "subjects",
  "topics",
  "chat_conversations",
  "archived_conversations",
  "study_chat_memory",
  "weekly_summaries",
];
const MAINTAINED = ["chat_conversations", "study_chat_memory", "response_cache", "ai_usage", "profiles"];
const named = (tables: readonly string[]): string[] => tables.map((table) => `assistant.${table}`);

/** Returns all jobs and their times, in UTC. Most use a task of the standard library and only need a payload. */
export function jobsOf({ health, rateLimits, backups, keepBackups }: AssistantConfig): Job[] {
  return [
    { name: "health-check", task: "assistant/health-check", level: "critical", when: { every: health as Duration } },
    {
      name: "rate-limit-monitor",
      task: "quota/watch",
      level: "critical",
      when: { every: rateLimits as Duration },
      payload: {
        usage: { table: "assistant.ai_usage", amount: "tokens" },
        providers: "assistant.providers",
        failovers: "assistant.failovers",
        warnAt: 80,
        switchAt: 95,
        blockAt: 100,
      },
    },
    {
      name: "cache-cleanup",
      task: "retention/expire",
      level: "low",
      when: { cron: "0 */6 * * *" },
      payload: { table: "assistant.response_cache", expiryColumn: "expires_at" },
    },
    {
      name: "memory-cleanup",
      task: "retention/expire",
      level: "high",
      when: { cron: "0 0 * * *" },
      payload: { table: "assistant.study_chat_memory", olderThan: "8 months" },
    },
    {
      name: "usage-analysis",
      task: "report/query",
      level: "medium",
      when: { cron: "0 1 * * *" },
      payload: { query: "assistant-usage", format: "json" },
    },
    {
      name: "backup",
      task: "backup/tables",
      level: "critical",
      when: { cron: "0 3 * * *" },
      payload: { tables: named(BACKED_UP), folder: backups, name: "assistant", keepFor: keepBackups },
      requires: { "usage-analysis": "24h" },
    },
    {
      name: "profile-refresh",
      task: "assistant/profile-refresh",
      level: "medium",
      when: { cron: "0 4 * * *" },
      requires: { backup: "24h" },
    },
    {
      name: "weekly-summaries",
      task: "assistant/weekly-summaries",
      level: "medium",
      when: { cron: "0 0 * * SUN" },
      requires: { "memory-cleanup": "24h" },
    },
    // These run one after another: each waits for the previous one.
    {
      name: "maintenance",
      task: "maintenance/vacuum",
      level: "medium",
      when: { cron: "0 2 * * SAT" },
      payload: { tables: named(MAINTAINED) },
    },
    {
      name: "maintenance-reindex",
      task: "maintenance/reindex",
      level: "medium",
      when: { cron: "0 2 * * SAT" },
      payload: { tables: named(MAINTAINED) },
      requires: { maintenance: "1h" },
    },
    {
      name: "maintenance-analyze",
      task: "maintenance/analyze",
      level: "medium",
      when: { cron: "0 2 * * SAT" },
      payload: { tables: named(MAINTAINED) },
      requires: { "maintenance-reindex": "1h" },
    },
    {
      name: "archive-conversations",
      task: "retention/archive",
      level: "low",
      when: { cron: "0 2 15 * *" },
      payload: {
        table: "assistant.chat_conversations",
        into: "assistant.archived_conversations",
        column: "last_message_at",
        olderThan: "6 months",
      },
    },
    {
      name: "quota-reset",
      task: "quota/reset",
      level: "high",
      when: { cron: "0 0 1 * *" },
      payload: { table: "assistant.profiles", counters: ["used_tokens"], resetColumn: "quota_reset_at", period: "month" },
    },
  ];
}
