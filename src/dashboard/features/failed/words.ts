import { counted, formatNumber } from "../../../wording.ts";

export const words = {
  title: "Failed",
  lead: "Jobs that ran out of attempts or failed permanently. Retry or discard them.",
  none: "No failed jobs",
  noneHint: "Jobs that were retried or discarded are in {history}.",
  history: "the history",
  noMatches: "No matching groups",
  bulkActions: "Bulk actions",

  // The period
  period: "Failed",
  periods: { "10m": "10 minutes", "1h": "hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days" },
  lastPeriod: (span: string) => `Last ${span}`,
  noneIn: (span: string) => `No failed jobs in the last ${span}`,
  allTime: "All time",
  showAllTime: "Show failed jobs of all time",
  overTime: (from: string, to: string, peak: number) =>
    `Failures from ${from} to ${to}, at most ${formatNumber(peak)} per interval`,
  optionWithCount: (name: string, jobs: bigint) => `${name} (${formatNumber(jobs)})`,

  // An issue
  copyIssue: "Copy as issue",
  issueTitle: (task: string, error: string) => `${task} fails: ${error}`,
  issueJobs: (jobs: string, task: string, queue: string) =>
    `- ${counted(jobs, "failed job")} of \`${task}\` in queue \`${queue}\``,
  issueTimes: (first: string, last: string) => `- First ${first}, last ${last}`,
  issueLatest: (id: string, url: string) => `- Latest: [job ${id}](${url})`,
  issueFingerprint: (fingerprint: string) => `- Fingerprint: \`${fingerprint}\``,
  issueRetry: (command: string) => `Once it is fixed, \`${command}\` retries these jobs.`,
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
  jobsOfGroup: "Jobs in the group",
  moreOf: (total: string) => `Load more of ${formatNumber(total)}`,
  newestOnly: "{newest} is the newest job in this group. {all}",
  allOfTask: (task: string) => `View all failed jobs of ${task}`,
  retryJob: (id: string) => `Retry job ${id}`,
  discardJob: (id: string) => `Discard job ${id}`,
  actionFailed: "The action failed.",
  failedJobsOf: (task: string) => `all failed jobs of ${task}`,
} as const;
