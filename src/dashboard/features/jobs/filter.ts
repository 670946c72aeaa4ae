import { JOB_STATES, type JobState } from "../../../contract/states.ts";

import { words } from "./words.ts";

/** A filter's name, as in the URL of the page. */
export type FilterName = keyof typeof words.list.filters;
export type JobFilter = Readonly<Partial<Record<FilterName, string>>>;

const NAMES = Object.keys(words.list.filters) as FilterName[];

export function readFilter(search: URLSearchParams): JobFilter {
  return Object.fromEntries(NAMES.flatMap((name) => (search.get(name) ? [[name, search.get(name)]] : [])));
}

/** The filter as a query string, always in the same order, so that equal filters have equal links. */
export function writeFilter(filter: JobFilter): URLSearchParams {
  return new URLSearchParams(NAMES.flatMap((name) => (filter[name] ? [[name, filter[name]]] : [])));
}

/** The states in a filter, which are separated by commas. States that do not exist are ignored. Empty if the filter has no states. */
export function statesOf({ state }: JobFilter): readonly JobState[] {
  const given = state?.split(",") ?? [];
  return JOB_STATES.filter((each) => given.includes(each));
}

/** A copy of the filter with other states. */
export function withStates(filter: JobFilter, states: readonly JobState[]): JobFilter {
  const { state: _state, ...rest } = filter;
  return states.length === 0 ? rest : { ...rest, state: JOB_STATES.filter((each) => states.includes(each)).join(",") };
}

/** Which jobs come first. The order is not a filter, but is in the URL too. */
export const ORDERS = ["newest", "oldest", "longest"] as const;
export type JobOrder = (typeof ORDERS)[number];

export function readOrder(search: URLSearchParams): JobOrder {
  return ORDERS.find((order) => order === search.get("order")) ?? "newest";
}

/** The start of a span that ends now; undefined for an invalid span. */
function spanStart(span: string, now: number): string | undefined {
  const [, count, unit] = /^(\d{1,4})([smhd])$/.exec(span) ?? [];
  if (count === undefined) return undefined;
  const seconds = { s: 1, m: 60, h: 3_600, d: 86_400 }[unit as "s"];
  return new Date(now - Number(count) * seconds * 1_000).toISOString();
}

function isSpan(span: string | undefined): boolean {
  return span !== undefined && /^\d{1,4}[smhd]$/.test(span);
}

/** The filter as the query of GET /jobs. */
export function toQuery(filter: JobFilter, now = Date.now()): Record<string, string | undefined> {
  return {
    state: filter.state,
    task: filter.task,
    queue: filter.queue,
    tenant: filter.tenant,
    correlationId: filter.correlation,
    jobKey: filter.key,
    worker: filter.worker,
    parentId: filter.parent,
    priority: filter.priority,
    payload: filter.payload,
    error: filter.error,
    createdAfter: filter.after ?? (filter.since === undefined ? undefined : spanStart(filter.since, now)),
    createdBefore: filter.before,
    finishedAfter: filter.finished_after,
    finishedBefore: filter.finished_before,
    finishedSince: isSpan(filter.finished) ? filter.finished : undefined,
  };
}

/** The arguments of the live list, which can only filter by state, task or queue; undefined if the filter contains anything else. */
export function toLive(filter: JobFilter): { state?: string[]; task?: string; queue?: string } | undefined {
  const { state, task, queue, ...more } = filter;
  if (Object.keys(more).length > 0 || (task !== undefined && queue !== undefined)) return undefined;
  const states = statesOf(filter);
  if (state !== undefined && states.length !== state.split(",").length) return undefined;
  return {
    ...(state === undefined ? {} : { state: [...states] }),
    ...(task === undefined ? {} : { task }),
    ...(queue === undefined ? {} : { queue }),
  };
}

/** Alternative names of filters that users may type. */
const ALIASES: Readonly<Record<string, FilterName>> = {
  status: "state",
  correlation_id: "correlation",
  job_key: "key",
  parent_id: "parent",
  q: "error",
};

/**
 * Parses typed text into a filter: `task:mail`, `queue:`, `tenant:`, `correlation:`, `key:`, `state:`, `priority:`, `error:`, `finished:10m`,
 * `payload.a.b:value`, separated by spaces; values with spaces are quoted. A state, task or queue name is recognized without its field. All other
 * text is searched for in the errors of failed jobs, unless another state is given.
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

/** A filter as a user would type it. */
export function formatFilter(filter: JobFilter): string {
  return NAMES.flatMap((name) => {
    const value = filter[name];
    if (value === undefined) return [];
    if (name === "payload") return [`payload.${value}`];
    return [`${name}:${/\s/.test(value) ? `"${value}"` : value}`];
  }).join(" ");
}
