import { counted, formatNumber } from "../../../wording.ts";

export const words = {
  title: "Failed",
  lead: "Jobs that ran out of attempts or failed permanently. Retry or discard them.",
  none: "No failed jobs",
  noneHint: "Jobs that were retried or discarded are in {history}.",
  history: "the history",
  noMatches: "No matching groups",
  errorContains: "Error contains",
  errorContainsExample: "Error contains…",
  task: "Task",
  queue: "Queue",
  groups: (jobs: bigint, groups: number) => `${counted(jobs, "job")} in ${counted(groups, "group")}`,
  retryAll: "Retry all",
  discardAll: "Discard all",

  // One group
  jobs: (count: string) => counted(count, "job"),
  inQueue: (queue: string) => `queue ${queue}`,
  lastSeen: "last seen {at}",
  firstSeen: "first seen {at}",
  latest: "latest {job}",
  showJobs: "Show jobs",
  hideJobs: "Hide jobs",
  jobsOfGroup: "Jobs of the group",
  moreOf: (total: string) => `Load more of ${formatNumber(total)}`,
  newestOnly: "{newest} is the newest of this group. {all}",
  allOfTask: (task: string) => `View all failed jobs of ${task}`,
  retryJob: (id: string) => `Retry job ${id}`,
  discardJob: (id: string) => `Discard job ${id}`,
  actionFailed: "The action failed.",
  failedJobsOf: (task: string) => `all failed jobs of ${task}`,
} as const;
