import type { FailedGroup } from "../../api/monitoring.ts";
import { serverUrl } from "../../api/request.ts";
import { words } from "./words.ts";

/** A group of failed jobs as Markdown, for an issue tracker. */
export function issueText(group: FailedGroup): string {
  const error = group.lastError ?? "";
  // The code fence is longer than any run of backticks in the error, so that the error cannot close it.
  const fence = "`".repeat(Math.max(3, ...[...error.matchAll(/`+/g)].map(([run]) => run.length + 1)));
  const [first = ""] = error.split("\n");
  const command =
    group.fingerprint === null ? `legwork retry --task '${group.task}'` : `legwork retry --fingerprint ${group.fingerprint}`;
  return [
    `## ${words.issueTitle(group.task, first.slice(0, 120))}`,
    "",
    `${fence}\n${error}\n${fence}`,
    "",
    words.issueJobs(group.jobs, group.task, group.queue),
    words.issueTimes(group.firstAt, group.lastAt),
    words.issueLatest(group.lastId, serverUrl(`/jobs/${group.lastId}`).href),
    ...(group.fingerprint === null ? [] : [words.issueFingerprint(group.fingerprint)]),
    "",
    words.issueRetry(command),
    "",
  ].join("\n");
}
