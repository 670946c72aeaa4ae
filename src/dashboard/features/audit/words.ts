import { formatNumber } from "../../../wording.ts";

export const words = {
  title: "Audit log",
  lead: "All changes to jobs, limits, tokens and settings. Enqueueing and reading are not logged.",
  none: "No entries yet",
  noneHint: "Actions on jobs, queues, schedules and tokens appear here.",
  noMatches: "No matching entries",
  noMatchesHint: "Remove a filter, or extend the period.",

  // Filters
  period: "Period",
  allTime: "All time",
  periods: { "1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days" } as Readonly<
    Record<string, string>
  >,
  targetType: "Target type",
  anyTarget: "Any target",
  texts: { target: "Target id or name", operation: "Action, such as pause", actor: "Actor", tenant: "Tenant" } as Readonly<
    Record<string, string>
  >,
  filter: "Filter",

  // Table
  actor: "Actor",
  via: "Via",
  action: "Action",
  target: "Target",
  change: "Change",
  login: "Database login",
  allTargets: "all",
  bulkTarget: (count: string, type: string) => `${formatNumber(count)} ${type}`,
  ofTenant: (tenant: string) => ` of ${tenant}`,
  created: "created",
  removed: "removed",
  noChange: "no change",
  changed: (fields: readonly string[], more: number) =>
    `${fields.join(", ")}${more > 0 ? ` and ${formatNumber(more)} more` : ""}`,
  showChange: (change: string, id: string) => `${change}: changes of entry ${id}`,
  changesOf: (id: string) => `Changes of entry ${id}`,
  field: "Field",
  before: "Before",
  after: "After",
  notSet: "not set",
  rawEntry: "Raw entry",
  entry: (id: string) => `entry ${id}`,
} as const;
