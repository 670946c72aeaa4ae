import { counted, formatNumber, pluralOf } from "../../../wording.ts";
import { common } from "../../components/words.ts";

const jobs = (count: number | bigint | string, isCapped = false): string =>
  `${formatNumber(count)}${isCapped ? " or more" : ""} ${pluralOf(count, "job", "jobs")}`;

/** The list of jobs, its filters and views. */
const list = {
  title: "Jobs",
  loading: "Loading jobs",

  // Filters
  filterJobs: "Filter jobs",
  filter: "Filter",
  filterExample: "task:… queue:… payload.user.id:42 error text",
  suggestions: "Suggestions",
  /** The fields of the filter box. */
  fields: {
    state: "failed, pending, …",
    task: "jobs of a task",
    queue: "jobs of a queue",
    since: "created in the last 10m, 1h, …",
    error: "text in the error",
    payload: "a value in the payload, such as payload.user.id:42",
    id: "open a job",
    key: "job key",
    correlation: "correlation id",
    tenant: "jobs of a tenant",
    worker: "jobs that a worker has",
    priority: "priority",
    parent: "jobs enqueued by a job",
  },
  openJob: (id: string) => `Open job ${id}`,
  errorContains: (text: string) => `Error contains “${text}”`,
  fieldIs: (field: string, value: string) => `${field} is “${value}”`,
  any: (label: string) => `Any ${label.toLowerCase()}`,
  created: "Created",
  anyTime: "Any time",
  last: (span: string) => `Last ${span}`,
  spans: { "15m": "15 minutes", "1h": "hour", "6h": "6 hours", "24h": "day", "7d": "7 days" },
  between: "Between…",
  filters: {
    state: "State",
    task: "Task",
    queue: "Queue",
    tenant: "Tenant",
    correlation: "Correlation id",
    key: "Job key",
    parent: "Enqueued by",
    worker: "Worker",
    priority: "Priority",
    payload: "Payload",
    error: "Error",
    since: "Created in the last",
    after: "Created after",
    before: "Created before",
  },
  chips: "Filters",
  removeFilter: (name: string) => `Remove filter ${name}`,
  clearAll: "Clear all",
  createdBetween: "Created between",
  from: "From",
  to: "To",
  show: "Show",

  // Counts beside the list
  facets: "Counts of matching jobs",
  count: (jobs: number, isCapped: boolean) => `${formatNumber(jobs)}${isCapped ? "+" : ""}`,
  showAll: (values: number) => `Show all ${formatNumber(values)}`,
  showFewer: "Show fewer",
  noCounts: "Counts are not available.",
  noCountsOfPayloads: "A search in payloads has no counts.",

  // Saved views
  views: "Saved views",
  builtIn: {
    running: "Running now",
    failedToday: "Failed today",
    retrying: "Waiting for a retry",
    blocked: "Blocked",
  },
  openView: "Open view",
  saveView: "Save view",
  viewSaved: (name: string) => `View “${name}” saved in this browser.`,
  deleteView: (name: string) => `Delete view ${name}`,
  viewName: "Name of the view",
  viewNameHint: (filter: string) => `Saves ${filter} in this browser.`,
  viewNeedsFilter: "Filter the list first, then save the filter as a view.",

  order: "Order",
  orders: { newest: "Newest first", oldest: "Oldest first", longest: "Longest running" },

  // Rows
  columns: "Columns",
  columnsExplained: "State, job and task are always shown. Where there is no room for all columns, some are left out.",
  details: "Details",
  selectAllLoaded: "Select all loaded jobs",
  selectJob: (id: string) => `Select job ${id}`,
  progressOfJob: (id: string) => `Progress of job ${id}`,
  starts: "starts {at}",
  retries: "retries {at}: ",

  // The job beside the list
  jobBeside: (id: string) => `Job ${id}`,
  openPage: "Open page",
  closePanel: "Close panel",

  // Top and bottom of the list
  newer: (count: number, isCapped: boolean) => `${formatNumber(count)}${isCapped ? " or more" : ""} newer`,
  thereAreNewer: "There are newer jobs.",
  shown: (count: number, hasMore: boolean) => (hasMore ? `Showing ${jobs(count)}` : jobs(count)),
  scanned: (payloads: number) => `${counted(payloads, "payload")} scanned`,

  // Nothing to show
  notYetFound: (scanned: number) => `No match among the ${formatNumber(scanned)} newest jobs`,
  scanExplained: (reached: string | null) =>
    `Payloads are not indexed, so each search scans 10,000 of them${reached === null ? "" : ` (so far down to job ${reached})`}. Filter by task, queue or time to find more with less.`,
  scanMore: "Scan more",
  noneYet: "No jobs yet",
  noneYetHint: "Jobs enqueued by SQL, triggers, schedules or this page appear here at once.",
  noMatches: "No matching jobs",
  noMatchesHint: "Finished jobs are kept for as long as the history is.",
  showOnly: (state: string) => `Show only ${state} jobs`,
} as const;

/** Actions on many jobs at once. */
const bulk = {
  selection: "Selection",
  allMatching: "All matching jobs",
  selected: (count: number) => `${formatNumber(count)} selected`,
  clearSelection: "Clear selection",
  selectAllMatching: "Select all matching jobs",
  readOnly: "Read-only access",

  /** What a dialog acts on, after the verb of its title. */
  targets: {
    selected: (count: number) => (count === 1 ? "the selected job" : `the ${formatNumber(count)} selected jobs`),
    matching: "all matching jobs",
    failed: "all failed jobs",
    failedMatching: "all matching failed jobs",
    group: (count: string) => `${jobs(count)} in this group`,
  },
  /** Each action: its button, what it does, what it is about to do, and what it has done. */
  actions: {
    retry: {
      label: common.retry,
      explained: "The jobs start again with all their attempts. Limits and pauses still apply.",
      will: (count: string) => `This will retry ${count}.`,
      cannot: "None of these jobs can be retried.",
      done: (count: string) => `${count} retried.`,
    },
    rerun: {
      label: common.rerun,
      explained: "Each finished job is enqueued again as a new job with the same payload. The original jobs stay as they are.",
      will: (count: string) => `This will rerun ${count}.`,
      cannot: "None of these jobs can be rerun.",
      done: (count: string) => `${count} rerun.`,
    },
    priority: {
      label: "Reprioritize",
      explained: "Unfinished jobs move forward or back in line: lower priorities run first. This can be undone.",
      will: (count: string) => `This will reprioritize ${count}.`,
      cannot: "None of these jobs can be reprioritized.",
      done: (count: string) => `${count} reprioritized.`,
    },
    cancel: {
      label: common.cancel,
      explained:
        "Waiting jobs never start; running jobs are signaled to stop. This cannot be undone, but cancelled jobs can be rerun as new jobs.",
      will: (count: string) => `This will cancel ${count}.`,
      cannot: "None of these jobs can be cancelled.",
      done: (count: string) => `${count} cancelled or signaled to stop.`,
    },
    discard: {
      label: common.discard,
      explained: "The jobs stay in the history as failed but can no longer be retried. This cannot be undone.",
      will: (count: string) => `This will discard ${count}.`,
      cannot: "None of these jobs can be discarded.",
      done: (count: string) => `${count} discarded.`,
    },
  },
  question: (action: string, target: string) => `${action} ${target}?`,
  submit: (action: string, count: string) => `${action} ${count}`,
  jobs,
  counting: "Counting…",
  partial: (newest: number) => ` More jobs match; these are the newest ${formatNumber(newest)}. Repeat for the rest.`,
  progressOf: (action: string) => `${action}: progress`,
  stop: "Stop",
  keepJobs: "Keep jobs",
  stopped: (left: number) => ` Stopped: about ${counted(left, "job")} unchanged.`,
  left: (count: number) =>
    ` ${counted(count, "job")} could not be changed, because another session is changing ${pluralOf(count, "it", "them")} or a worker is starting ${pluralOf(count, "it", "them")}. Try again.`,
  priorityHint: "-32,768 to 32,767. Lower runs first; the default is 0.",
  wholeNumber: "Enter a whole number.",
  restored: (count: number, ended: number) =>
    `Priority of ${jobs(count)} restored.${ended > 0 ? ` ${counted(ended, "job")} ${pluralOf(ended, "has", "have")} ended since.` : ""}`,
  notUndone: "The action could not be undone.",
} as const;

/** The dialog that enqueues a job, and the editor of payloads. */
const enqueue = {
  title: "Enqueue job",
  submit: "Enqueue",
  chooseTask: "Choose a task",
  enqueued: (id: string) => `Job ${id} enqueued.`,
  inQueue: (description: string, queue: string) => `${description} Its queue is ${queue}.`,
  options: "Options",
  notBefore: "Start",
  notBeforeHint: (zone: string) => `Default: now. ${zone}`,
  notAfter: "Expires",
  notAfterHint: (zone: string) => `A job that has not started by then ends as expired. ${zone}`,
  attemptsHint: "Default: those of the task.",
  tenantHint: "The tenant that the job belongs to.",
  texts: {
    jobKey: { label: "Job key", hint: "Replaces a waiting job with the same key." },
    serialKey: { label: "Serial key", hint: "Jobs with the same key run one at a time." },
    correlationId: { label: "Correlation id", hint: "Shared by related jobs." },
    uniqueFor: { label: "Unique for", hint: "For example 10m. Identical requests within this period do not create another job." },
  },

  // The editor
  payloadAs: "Payload format",
  form: "Form",
  json: "JSON",
  payloadAsJson: "Payload as JSON",
  noSchema: "The task does not declare a payload schema.",
  unknownField: "{name} is not in the task's payload schema.",
  removeField: (name: string) => `Remove ${name}`,
  addField: (name: string) => `Set ${name}`,
  addItem: (list: string) => `Add to ${list}`,
  item: (list: string, position: number) => `${list} ${position}`,
  typeOf: (name: string) => `Type of ${name}`,
  optional: (name: string) => `${name} (optional)`,
  emptyIsNull: "Leave empty for null.",
  notSet: "Not set",
  choose: "Choose",
  asJson: "As JSON.",
  timeExample: "2026-12-24T18:00:00Z",
  needsNumber: "Enter a number.",
  needsWhole: "Enter a whole number.",
  tooLarge: "Too large to be exact; enter it as text.",
  yes: "true",
  no: "false",
  /** The types that a value may have, where there are several. */
  types: {
    string: "text",
    number: "number",
    integer: "whole number",
    boolean: "true or false",
    choice: "choice",
    object: "fields",
    array: "list",
  },
} as const;

/** The page of one job. */
const detail = {
  missing: "Job not found",
  missingJob: "No job has id {id}.",
  notAnId: "{id} is not a job id: ids are whole numbers.",
  missingHint: "It never existed, it is older than the history, or it belongs to a tenant that your token cannot see.",
  newestJobs: "View newest jobs",
  enqueuedAt: "enqueued {at}",
  error: "Error",
  errorOf: (attempt: number) => `Error of attempt ${attempt}`,
  errorName: (name: string) => `${name}: `,
  discarded: "This job was discarded: it can no longer be retried, but it can be rerun as a new job.",
  code: "Code {code}",
  stackTrace: "Stack trace",
  stack: "stack trace",
  payload: "payload",
  result: "result",
  facts: "Facts",
  jobKey: "Job key",
  serialKey: "Serial key",
  finished: "Finished",
  worker: "Worker",

  // Actions
  startNow: "Start now",
  rerunWithChanges: "Rerun with changes",
  retryWithChanges: "Retry with changes",
  notPossible: {
    retry: (id: string, state: string) => `Job ${id} cannot be retried: it is ${state}.`,
    cancel: (id: string, state: string) => `Job ${id} cannot be cancelled: it is ${state}.`,
    edit: (id: string, state: string) => `Job ${id} can be rerun with changes only after it has ended: it is ${state}.`,
  },
  cancelJob: "Cancel job",
  keepJob: "Keep job",
  cancelQuestion: (id: string) => `Cancel job ${id}?`,
  cancelRunning: "The job is signaled to stop within a second and won't be retried. Completed work is not rolled back.",
  cancelWaiting: "The job will never start.",
  cancelFinal: "This cannot be undone, but a cancelled job can be rerun as a new job.",
  cancelled: (id: string) => `Job ${id} cancelled.`,
  stopping: (id: string) => `Job ${id} signaled to stop.`,
  discardQuestion: (id: string) => `Discard job ${id}?`,
  discardExplained: "The job stays in the history as failed but can no longer be retried. This cannot be undone.",
  changePriority: "Change priority",
  priorityOf: (id: string) => `Priority of job ${id}`,
  priorityHint: (isRunning: boolean) =>
    isRunning
      ? `${common.priorityHint} The job is already running: the change applies to its next attempt.`
      : common.priorityHint,
  rerunTitle: (id: string, isKept: boolean) => (isKept ? `Retry job ${id} with changes` : `Rerun job ${id} with changes`),
  rerunExplained: (task: string) =>
    `Enqueues a new job of task ${task} with the same priority, serial key, tenant and correlation id. This job becomes its parent.`,
  redactedKept: "Values shown as [redacted] keep their original value unless you change them.",
  redactedLost: "Values shown as [redacted] are no longer stored: enter them again.",
  discardOriginal: (id: string) => `Discard the original job ${id}, so that it is not retried as well`,

  // Explanation
  howItEnded: "How it ended",
  status: "Status",
  why: "Why",
  whyNotRunning: "Why it is not running",
  queueLimits: "View limits of the queue",
  taskLimits: "View limits of the task",
  sendSignal: "Send signal",
  resumeAll: "Resume all jobs",
  resumeQueue: "Resume queue",
  resumeWorker: "Resume worker",
  resumeTask: "Resume task",
  moveToFront: "Move to front",
  rerunAsTask: (task: string) => `Rerun as task ${task}`,
  retryWorkflow: "Retry workflow",
  workflowRetried: (id: string) => `Workflow ${id} retried.`,
  enableSchedule: "Enable schedule",
  scheduleEnabled: (name: string) => `Schedule ${name} is enabled.`,
  runSchedule: "Run schedule now",
  scheduleStarted: (name: string) => `Schedule ${name} has enqueued a job.`,
  signalTitle: (name: string) => `Send signal ${name}`,
  send: "Send",
  signalSent: "Signal sent.",
  signalTooLate: "The job has already received a signal with this name; this one is ignored.",
  signalExplained: "The task continues with the payload of the signal. Only the first signal of each name counts.",
  signalPayload: "Payload",
  signalPayloadHint: "JSON, or empty.",

  // Timeline
  timeline: "Timeline",
  event: "Event",
  time: "Time",
  wait: "Wait",
  run: "Run",
  attempt: (attempt: number) => `Attempt ${attempt}`,
  notBefore: "not before {at}",
  firstAttempt: "First attempt",
  nextAttempt: "Next attempt",
  due: "due {at}",
  notKnownYet: "not known yet",
  longerThanUsual: (typical: string) => `Longer than usual: 95% take less than ${typical}.`,
  longer: " (longer than usual)",
  waited: (duration: string) => `waited ${duration}`,
  ran: (attempt: number, state: string, duration: string) =>
    `attempt ${attempt} ${state} ${state === "running" ? "for" : "after"} ${duration}`,
  noTypical: "No typical times: this task has not run in the last 24 hours.",
  typical: (p50: string, p95: string, waitP95: string | undefined) =>
    `Typical (last 24 h): run p50 ${p50}, p95 ${p95}${waitP95 === undefined ? "" : ` · wait p95 ${waitP95}`}`,

  // Steps
  steps: "Steps",
  step: "Step",
  type: "Type",
  attemptColumn: "Attempt",
  until: " until {at}",

  // Origin and child jobs
  origin: "Origin",
  rerunOf: "Rerun of {job} by {by} {at}",
  rerunOfChanged: "Rerun of {job} with another payload, by {by} {at}",
  stepOf: "Step {step} of workflow {workflow}",
  fromSchedule: "Schedule {schedule}",
  scheduleDue: ", due {at}",
  enqueuedBy: "Enqueued by {job}",
  enqueuedByUnknown: (id: string) => `Enqueued by job ${id}, which is no longer in the history`,
  originUnknown: "Origin unknown (enqueued by SQL, a trigger or an API client)",
  correlation: "Correlation id {id} · {jobs}",
  relatedJobs: "view related jobs",
  childJobs: "Child jobs",
  rerunAs: "Rerun as {job} by {by} {at}",
  rerunAsChanged: "Rerun as {job} with another payload, by {by} {at}",
  allChildJobs: "View all child jobs",
  activity: "Activity",
  activityLine: (operation: string, by: string, surface: string) => `${operation.replaceAll("_", " ")} by ${by} (${surface}) `,

  // Logs
  logs: "Logs",
  following: "Following",
  scrollToFollow: "Scroll to the end to follow",
  linesShown: "Lines shown",
  levels: { info: "All lines", warn: "Warnings and errors", error: "Errors" },
  readingLogs: "Reading…",
  noLinesOfLevel: "No matching lines",
  noLinesYet: "No log lines yet",
  noLines: "No log lines",
  earlierLines: (count: number) => `${counted(count, "earlier line")} not shown`,
  logLines: "Log lines",
  linesOf: (count: number, label: string) => `${counted(count, "log line")} of ${label}`,
  allLines: "Show all lines",
} as const;

export const words = { list, bulk, enqueue, detail } as const;
