import { counted, formatNumber } from "../../../wording.ts";

export const words = {
  title: "Bulk actions",
  lead: "Actions on many jobs, carried out in the background",
  none: "No bulk actions yet",
  noneHint: "Retrying, discarding, cancelling, rerunning or changing the priority of more than 1,000 jobs at once starts one.",
  list: "All bulk actions",
  titleOf: (id: string) => `Bulk action ${id}`,

  // Columns and facts
  action: "Action",
  filter: "Filter",
  allJobs: "all jobs",
  changed: "Changed",
  matching: "Matching",
  skipped: "Skipped",
  startedBy: "Started by",
  progressOf: (id: string) => `Progress of bulk action ${id}`,
  ofTotal: (changed: string, total: string) => `${formatNumber(changed)} of ${counted(total, "job")}`,
  counting: "Counting the jobs…",
  newPriority: "New priority",
  reason: "Reason",
  why: "Reason for skipping",
  jobs: (count: number) => counted(count, "job"),

  /** What each action does, as a title. */
  actions: {
    retry: "Retry failed jobs",
    discard: "Discard failed jobs",
    cancel: "Cancel jobs",
    rerun: "Rerun ended jobs",
    priority: "Reprioritize jobs",
  },
  /** What each state means. */
  states: {
    running: "Workers and servers are carrying it out. You can leave this page.",
    completed: "All matching jobs have been handled.",
    stopped: "It was stopped. What it had changed stays changed.",
    failed: "It cannot be carried out any longer.",
  },
  abandoned: "No worker or server has worked on it since {at}. It continues as soon as one runs: start one with {command}.",
  retrying: (error: string) => `The last step failed and is retried: ${error}`,

  // Stop
  stop: "Stop",
  stopQuestion: "Stop bulk action?",
  stopExplained: "It ends after the jobs that it is changing now. Changes made so far remain.",
  keepRunning: "Keep running",
  stopped: (id: string) => `Bulk action ${id} stopped.`,
  hadEnded: (id: string) => `Bulk action ${id} had already ended.`,
  failed: "The bulk action could not be stopped.",
} as const;
