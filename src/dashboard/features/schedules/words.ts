import { counted, formatNumber, pluralOf } from "../../../wording.ts";

/** "08:00, 08:20 and 08:40". */
function listOf(parts: readonly string[]): string {
  return parts.length < 2 ? (parts[0] ?? "") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

export const words = {
  title: "Schedules",
  lead: "Recurring and one-time jobs",
  newSchedule: "New schedule",
  find: "Find schedule",
  findExample: "Name or task",
  show: "Show",
  shows: { all: "All", enabled: "Enabled", disabled: "Disabled" },
  noneYet: "No schedules yet",
  noneYetHint: "A schedule enqueues jobs at the times that you choose.",
  noMatches: "No matching schedules",
  schedule: "Schedule",
  when: "When",
  next: "Next",
  last: "Last",
  buttons: "Run, enable or disable",
  inCrontab: " · in the crontab",
  disabled: "disabled",

  // Load
  nextDay: "Next 24 hours",
  load: (total: bigint, peak: number) =>
    `Schedules will enqueue ${counted(total, "job")} in the next 24 hours${total === 0n ? "." : `; peak ${formatNumber(peak)}/h.`}`,
  hour: "Hour",
  jobs: "Jobs",
  topSchedules: "Top schedules",
  ofSchedule: (name: string, jobs: string) => `${name}: ${jobs}`,
  notCounted: (schedules: readonly { name: string; reason: string }[]) =>
    `Not counted: ${schedules.map(({ name, reason }) => `${name} (${reason})`).join(", ")}`,

  // Actions
  runNow: "Run now",
  runNowOf: (name: string) => `Run ${name} now`,
  ranNow: (name: string, id: string | undefined) => `Schedule ${name} enqueued job ${id}.`,
  enable: "Enable",
  disable: "Disable",
  enableOf: (name: string) => `Enable ${name}`,
  disableOf: (name: string) => `Disable ${name}`,
  enabledNow: (name: string) => `Schedule ${name} enabled.`,
  disabledNow: (name: string) => `Schedule ${name} disabled.`,
  removeQuestion: (name: string) => `Remove ${name}?`,
  removed: (name: string) => `Schedule ${name} removed.`,
  removeExplained:
    "The schedule will enqueue no more jobs. Its jobs and past runs stay in the history. To stop it temporarily, disable it instead.",

  // One schedule
  timesUnknown: (problem: string) => `The next runs cannot be computed: ${problem}`,
  nextRuns: "Next runs",
  nextRunsDisabled: "The schedule is disabled. These are the times at which it would run.",
  facts: "Schedule",
  timeZone: "Time zone",
  isDisabled: "Disabled",
  start: "Start",
  end: "End",
  runs: "Runs",
  jitter: "Jitter",
  jitterUpTo: (most: string) => `up to ${most}`,
  overlap: "Overlap",
  overlaps: { allow: "Allow", skip: "Skip", queue: "Queue", cancel: "Cancel oldest" },
  overlapMeanings: {
    allow: "Jobs may overlap.",
    skip: "A run is skipped while a previous job is unfinished.",
    queue: "A run is queued behind unfinished jobs.",
    cancel: "The oldest unfinished job is cancelled.",
  },
  overlapMax: (most: number) => ` Max concurrent: ${formatNumber(most)}.`,
  missed: "Missed runs",
  missedChoices: { one: "Run once", none: "Skip", all: "Run all" },
  missedMeanings: {
    none: "Missed runs are skipped.",
    one: "One job replaces all missed runs.",
    all: "Each missed run gets its own job.",
  },
  catchUp: (window: string) => ` Catch-up window: ${window}.`,
  dependsOn: "Depends on",
  requirement: "{schedule} within {window} ",
  requirementWait: (wait: string) => `(waits up to ${wait})`,
  changed: "Last changed",
  registered: "Registered",
  createdBy: (by: string) => `, created by ${by}`,
  fromCrontab: ", from a worker's crontab; edit it there",

  // Past runs
  outcomes: "Past runs",
  lastRuns: (count: number) => (count === 1 ? "Last run" : `Last ${formatNumber(count)} runs`),
  lastRun: "Latest:",
  runTitle: (at: string, state: string) => `${at}: ${state}`,
  noRuns: "No runs yet",
  due: "Due",
  occurrence: "Occurrence",
  outcome: "Outcome",
  /** What happened to an occurrence, by its state. */
  occurrences: {
    enqueued: "on time",
    manual: "manual",
    waiting: "waiting for dependencies",
    skipped: "skipped",
    missed: "missed",
    coalesced: "missed runs combined",
    held_back: "dependencies not met",
  } as Readonly<Record<string, string>>,
  occurrenceCount: (count: string) => ` (${counted(count, "occurrence")})`,

  // The form
  editOf: (name: string) => `Edit ${name}`,
  scheduled: (name: string) => `Schedule ${name} created.`,
  saved: (name: string) => `Schedule ${name} saved.`,
  kinds: { cron: "Cron", every: "Interval", at: "One time" },
  cron: "Cron expression",
  cronHint:
    "Minute, hour, day, month, weekday; with six fields, the first is the second. Shortcuts such as @daily and phrases such as “weekdays 9:00 New York” also work.",
  applyTimes: (cron: string, zone: string | undefined) => (zone === undefined ? `Use ${cron}` : `Use ${cron} in ${zone}`),
  every: "Interval",
  everyHint: "For example 30s, 5m, 2h, 1d or 1 month. Days and months follow the calendar.",
  at: "Time",
  localTimeOf: (zone: string) => `Local time in ${zone}.`,
  unknownZone: "Unknown time zone.",
  payloadHint: "JSON payload of the jobs. Default: {}.",
  payloadRedacted:
    "Parts of the payload are redacted and cannot be shown. Enter the whole payload again: it replaces the old one.",
  more: "Start and end, overlap, missed runs and more",
  maxRuns: "Max runs",
  jitterField: "Jitter (up to)",
  maxConcurrent: "Max concurrent",
  maxConcurrentDefault: { queue: "100", other: "1" },
  catchUpWindow: "Catch-up window",
  catchUpWindowHint: "Older missed runs are skipped. Default: 1 day.",
  requires: "Depends on",
  requiresHint: "Schedules that must have completed first, one per line with a maximum age, such as cleanup: 24h",
  requiresWait: "Max wait",
  requiresWaitHint: "How long to wait for them before the run is skipped. Default: 1 hour.",
  attemptsHint: "Default: the task's number of attempts.",
  tenantHint: "The tenant of its jobs. Default: none.",
  enabled: "Enabled",

  // Preview
  preview: "Preview",
  previewEmpty: "Enter a timing to see the next runs.",
  previewLoading: "Loading the next runs…",
  inZone: (zone: string) => `in ${zone}`,
  neverRuns: "Never runs",

  // Calendar
  previousWeeks: "Previous two weeks",
  nextWeeks: "Next two weeks",
  weeks: (from: string, to: string) => `${from} – ${to}`,
  timesIn: (zone: string) => `Times in ${zone}`,
  weekdays: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
  clocks: (from: string, to: string) => `Clocks ${from} → ${to}`,
  runsOnDay: (count: number, isPartial: boolean) => (isPartial ? `${formatNumber(count)} or more` : counted(count, "run")),

  // Daylight saving time
  clockChanges: "Clock changes",
  clockChangesUnknown: "The effect of clock changes could not be loaded.",
  clockChange: (isForward: boolean, from: string, to: string) =>
    `: clocks go ${isForward ? "forward" : "back"} from ${from} to ${to}. `,
  noneInGap: "No run falls in the skipped hour.",
  noneRepeated: "No run falls in the repeated hour.",
  /** The times of the schedule: a list, or only their number if there are many. */
  times: (times: readonly string[], mostListed: number) =>
    times.length <= mostListed ? listOf(times) : `${formatNumber(times.length)} times`,
  gapRhythm: (times: string, count: number, resumes: string) =>
    `${times} ${pluralOf(count, "does", "do")} not exist that day; the next run is at ${resumes} as usual.`,
  gapSkipped: (times: string, count: number) =>
    `${times} ${pluralOf(count, "does", "do")} not exist that day, and ${pluralOf(count, "the run is", "these runs are")} skipped.`,
  gapMoved: (times: string, count: number, to: string) =>
    `${times} ${pluralOf(count, "does", "do")} not exist that day; ${pluralOf(count, "the run is", "one run replaces them")} at ${to}.`,
  repeatedBoth: (times: string, count: number, runs: number) =>
    `${times} ${pluralOf(count, "occurs", "occur")} twice: ${counted(runs, "run")}, in both hours.`,
  repeatedFirst: (times: string, count: number, first: string) =>
    `${times} ${pluralOf(count, "occurs", "occur")} twice; the schedule runs the first time only${first}.`,
} as const;
