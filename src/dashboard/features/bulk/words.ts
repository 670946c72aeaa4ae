import { counted, formatNumber } from "../../../wording.ts";

export const words = {
  title: "Bulk actions",
  lead: "Actions on many jobs, carried out in the background",
  none: "No bulk actions yet",
  noneHint: "A bulk action starts when you retry, discard, cancel, rerun or reprioritize more than 1,000 jobs at once.",
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
    stopped: "It was stopped. Changes made before that remain.",
    failed: "An error ended it before all jobs were handled.",
  },
  abandoned:
    "No worker or server has worked on it since {at}. It continues as soon as a worker or server is running. Start one with {command}.",
  retrying: (error: string) => `The last step failed and is being retried: ${error}`,

  // Stop
  stop: "Stop",
  stopQuestion: "Stop bulk action?",
  stopExplained: "It stops after the jobs that are being changed now. Changes made so far remain.",
  keepRunning: "Keep running",
  stopped: (id: string) => `Bulk action ${id} stopped.`,
  hadEnded: (id: string) => `Bulk action ${id} had already ended.`,
  failed: "The bulk action could not be stopped.",
} as const;
