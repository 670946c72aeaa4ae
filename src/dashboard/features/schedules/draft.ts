import { parseExactly } from "../../api/exact-json.ts";
import { toDurationText } from "../../components/time/format-intervals.ts";
import { instantOf, ownZone, wallAt } from "../../components/time/zones.ts";
import type { Schedule, Timing } from "../../api/schedules.ts";

/** The contents of the schedule form. All values are text, as in its controls. */
export interface Draft {
  name: string;
  task: string;
  payload: string;
  kind: "cron" | "every" | "at";
  cron: string;
  every: string;
  /** A local time in the time zone, in the format of <input type="datetime-local">. The same applies to startsAt and endsAt. */
  at: string;
  timezone: string;
  startsAt: string;
  endsAt: string;
  maxRuns: string;
  jitter: string;
  overlap: Schedule["overlap"];
  maxInstances: string;
  missed: Schedule["missed"];
  missedWindow: string;
  requires: string;
  requiresWait: string;
  priority: string;
  maxAttempts: string;
  tenant: string;
  enabled: boolean;
  /**
   * The original instants, by their text in the form. A time that occurs twice or has fractions of a second is sent unchanged unless the user edits
   * it.
   */
  kept: Readonly<Record<string, string>>;
}

/** The server's placeholder for redacted values. */
const REDACTED = "[redacted]";

export function isRedacted(schedule: Schedule | undefined): boolean {
  return schedule !== undefined && JSON.stringify(schedule.payload ?? null).includes(REDACTED);
}

export function toDraft(schedule: Schedule | undefined): Draft {
  const timezone = schedule?.timezone ?? ownZone();
  return {
    name: schedule?.name ?? "",
    task: schedule?.task ?? "",
    payload:
      schedule?.payload === null || schedule === undefined || isRedacted(schedule)
        ? ""
        : JSON.stringify(schedule.payload, null, 2),
    kind: schedule === undefined || schedule.cron !== null ? "cron" : schedule.every === null ? "at" : "every",
    cron: schedule?.cron ?? (schedule === undefined ? "0 7 * * MON-FRI" : ""),
    every: toDurationText(schedule?.every) || "5m",
    at: toWall(schedule?.at, timezone),
    timezone,
    startsAt: toWall(schedule?.startsAt, timezone),
    endsAt: toWall(schedule?.endsAt, timezone),
    maxRuns: textOf(schedule?.maxRuns),
    jitter: toDurationText(schedule?.jitter),
    overlap: schedule?.overlap ?? "allow",
    maxInstances: textOf(schedule?.maxInstances),
    missed: schedule?.missed ?? "one",
    missedWindow: toDurationText(schedule?.missedWindow),
    requires: Object.entries(schedule?.requires ?? {})
      .map(([name, window]) => `${name}: ${toDurationText(window)}`)
      .join("\n"),
    requiresWait: toDurationText(schedule?.requiresWait),
    priority: textOf(schedule?.priority),
    maxAttempts: textOf(schedule?.maxAttempts),
    tenant: schedule?.tenant ?? "",
    enabled: schedule?.isEnabled ?? true,
    kept: Object.fromEntries(
      [schedule?.at, schedule?.startsAt, schedule?.endsAt]
        .filter((at) => at !== null && at !== undefined)
        .map((at) => [`${timezone} ${toWall(at, timezone)}`, at]),
    ),
  };
}

function textOf(value: number | null | undefined): string {
  return value === null || value === undefined ? "" : String(value);
}

function toWall(at: string | null | undefined, timezone: string): string {
  if (at === null || at === undefined) return "";
  return new Date(wallAt(Date.parse(at), timezone)).toISOString().slice(0, 19);
}

/** The instant of a local time in a time zone; undefined for an invalid one. */
function fromWall(reading: string, timezone: string, kept: Draft["kept"]): string | undefined {
  const asItWas = kept[`${timezone} ${reading}`];
  if (asItWas !== undefined) return asItWas;
  const wall = Date.parse(`${reading}Z`);
  return Number.isNaN(wall) ? undefined : new Date(instantOf(wall, timezone)).toISOString();
}

export function isZone(name: string): boolean {
  try {
    return name !== "" && new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** The timing in the form; undefined while it is incomplete. */
export function toTiming(draft: Draft): Timing | undefined {
  const { kind, timezone, kept } = draft;
  if (!isZone(timezone)) return undefined;
  const given = kind === "at" ? fromWall(draft.at, timezone, kept) : draft[kind].trim();
  if (given === undefined || given === "") return undefined;
  const [starts, ends] = [fromWall(draft.startsAt, timezone, kept), fromWall(draft.endsAt, timezone, kept)];
  return {
    [kind]: given,
    timezone,
    ...(starts === undefined ? {} : { startsAt: starts }),
    ...(ends === undefined ? {} : { endsAt: ends }),
  };
}

/** The body of PUT. Throws a SyntaxError for a payload that is not valid JSON. */
export function toBody(draft: Draft, schedule: Schedule | undefined): Record<string, unknown> {
  const text = (name: string, value: string): Record<string, string> => (value.trim() === "" ? {} : { [name]: value.trim() });
  const number = (name: string, value: string): Record<string, number> => (value === "" ? {} : { [name]: Number(value) });
  const requires = Object.fromEntries(
    draft.requires
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line) => {
        const colon = line.lastIndexOf(":");
        return colon === -1 ? [line.trim(), "24h"] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
      }),
  );
  return {
    ...toTiming(draft),
    task: draft.task.trim(),
    ...(draft.payload.trim() === "" ? {} : { payload: parseExactly(draft.payload) }),
    ...number("maxRuns", draft.maxRuns),
    ...text("jitter", draft.jitter),
    overlap: draft.overlap,
    ...(draft.overlap === "allow" ? {} : number("maxInstances", draft.maxInstances)),
    missed: draft.missed,
    ...(draft.missed === "all" ? text("missedWindow", draft.missedWindow) : {}),
    ...(Object.keys(requires).length === 0 ? {} : { requires, ...text("requiresWait", draft.requiresWait) }),
    ...number("priority", draft.priority),
    ...number("maxAttempts", draft.maxAttempts),
    ...text("tenant", draft.tenant),
    ...(draft.enabled === (schedule?.isEnabled ?? true) ? {} : { enabled: draft.enabled }),
  };
}
