import { JOB_STATES } from "../../../contract/states.ts";

/** What jobs can be looked for by, under the names that they have in the address of the page. */
export const FILTERS = {
  state: "State",
  task: "Task",
  queue: "Queue",
  tenant: "Tenant",
  correlation: "Correlation id",
  key: "Job key",
  parent: "Enqueued by",
  priority: "Priority",
  payload: "Payload",
  error: "Error",
  since: "Created in the last",
  after: "Created after",
  before: "Created before",
} as const;
export type FilterName = keyof typeof FILTERS;
export type JobFilter = Readonly<Partial<Record<FilterName, string>>>;

/** Spans of time to choose from, in words of the server. */
export const SPANS = { "15m": "15 minutes", "1h": "hour", "6h": "6 hours", "24h": "day", "7d": "7 days" } as const;

const NAMES = Object.keys(FILTERS) as FilterName[];

export function readFilter(search: URLSearchParams): JobFilter {
  return Object.fromEntries(NAMES.flatMap((name) => (search.get(name) ? [[name, search.get(name)]] : [])));
}

/** As it stands in the address, in one order, so that the same filter is the same link. */
export function writeFilter(filter: JobFilter): URLSearchParams {
  return new URLSearchParams(NAMES.flatMap((name) => (filter[name] ? [[name, filter[name]]] : [])));
}

/** The start of a span that ends now; undefined for what is none. */
function spanStart(span: string, now: number): string | undefined {
  const [, count, unit] = /^(\d{1,4})([smhd])$/.exec(span) ?? [];
  if (count === undefined) return undefined;
  const seconds = { s: 1, m: 60, h: 3_600, d: 86_400 }[unit as "s"];
  return new Date(now - Number(count) * seconds * 1_000).toISOString();
}

/** What GET /jobs is asked for. */
export function toQuery(filter: JobFilter, now = Date.now()): Record<string, string | undefined> {
  return {
    state: filter.state,
    task: filter.task,
    queue: filter.queue,
    tenant: filter.tenant,
    correlationId: filter.correlation,
    jobKey: filter.key,
    parentId: filter.parent,
    priority: filter.priority,
    payload: filter.payload,
    error: filter.error,
    createdAfter: filter.after ?? (filter.since === undefined ? undefined : spanStart(filter.since, now)),
    createdBefore: filter.before,
  };
}

/** The arguments of the live list, which knows states, tasks and queues only; undefined where the filter needs more. */
export function toLive(filter: JobFilter): { state?: string[]; task?: string; queue?: string } | undefined {
  const { state, task, queue, ...more } = filter;
  if (Object.keys(more).length > 0 || (task !== undefined && queue !== undefined)) return undefined;
  if (state !== undefined && !(JOB_STATES as readonly string[]).includes(state)) return undefined;
  return {
    ...(state === undefined ? {} : { state: [state] }),
    ...(task === undefined ? {} : { task }),
    ...(queue === undefined ? {} : { queue }),
  };
}

/** Names under which people write filters, beside their own. */
const ALIASES: Readonly<Record<string, FilterName>> = {
  status: "state",
  correlation_id: "correlation",
  job_key: "key",
  parent_id: "parent",
  q: "error",
};

/**
 * What somebody typed as filters: `task:mail`, `queue:`, `tenant:`, `correlation:`, `key:`, `state:`, `priority:`, `error:`, `payload.a.b:value`, several of
 * them with spaces between, values with spaces in quotes. A bare state, task or queue is one; what is left is a part of an error, for
 * which only failed jobs are looked at unless it says otherwise.
 */
export function parseText(text: string, known: { tasks: readonly string[]; queues: readonly string[] }): JobFilter {
  const found: Partial<Record<FilterName, string>> = {};
  const rest: string[] = [];
  for (const [word, prefix, quoted, plain] of text.matchAll(/([a-z_]+(?:\.[^\s:"]+)?):(?:"([^"]*)"|(\S+))|\S+/gi)) {
    const value = quoted ?? plain;
    const name = prefix?.toLowerCase() ?? "";
    const filter = (NAMES as string[]).includes(name) ? (name as FilterName) : ALIASES[name];
    if (value !== undefined && name.startsWith("payload.")) found.payload = `${prefix?.slice("payload.".length)}:${value}`;
    else if (value !== undefined && filter !== undefined) found[filter] = value;
    else if ((JOB_STATES as readonly string[]).includes(word)) found.state = word;
    else if (known.tasks.includes(word)) found.task = word;
    else if (known.queues.includes(word)) found.queue = word;
    else rest.push(word);
  }
  if (rest.length > 0) {
    found.error = rest.join(" ");
    if ((found.correlation ?? found.key ?? found.parent) === undefined) found.state ??= "failed";
  }
  return found;
}

/** A filter in the words in which it is typed. */
export function formatFilter(filter: JobFilter): string {
  return NAMES.flatMap((name) => {
    const value = filter[name];
    if (value === undefined) return [];
    if (name === "payload") return [`payload.${value}`];
    return [`${name}:${/\s/.test(value) ? `"${value}"` : value}`];
  }).join(" ");
}
