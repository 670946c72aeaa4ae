import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/me.ts";
import type { FailedGroup } from "../../api/monitoring.ts";
import { graphql, rest } from "../../api/request.ts";

import { Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Failure, Loading } from "../../components/notice.tsx";
import { tell } from "../../components/toasts.tsx";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** How many jobs of a group are loaded at a time. */
const PAGE = 20;

interface Found {
  ids: string[];
}

interface GroupJob {
  id: string;
  state: string;
  error: string | null;
  attempts: number;
  maxAttempts: number;
  finishedAt: string | null;
}

const JOBS = /* GraphQL */ `
  query ($ids: [BigInt!]!) {
    jobs(filter: { id: { in: $ids } }, orderBy: ID_ASC) {
      nodes {
        id
        state
        error
        attempts: attemptCount
        maxAttempts
        finishedAt
      }
    }
  }
`;

/** The jobs of a group, oldest first, in the order in which a retry of the group would take them. Each can be retried or discarded on its own. */
export function GroupJobs({ group, filter }: { group: FailedGroup; filter: Record<string, string> }) {
  const may = useMay("operator");
  const jobs = useInfiniteQuery({
    enabled: may,
    queryKey: ["failed-group", filter],
    initialPageParam: PAGE,
    // Only a dry run lists the jobs of a group; their details are fetched by id.
    queryFn: async ({ pageParam, signal }) => {
      const { ids } = await rest<Found>("POST", "/jobs/retry", { filter, dryRun: true, atMost: pageParam }, signal);
      const { jobs: found } = await graphql<{ jobs: { nodes: GroupJob[] } }>(JOBS, { ids: ids.slice(pageParam - PAGE) }, signal);
      return { jobs: found.nodes, isLast: ids.length < pageParam };
    },
    getNextPageParam: (last, pages) => (last.isLast ? undefined : (pages.length + 1) * PAGE),
  });
  if (!may) return <NewestOnly group={group} />;
  if (jobs.isError) return <Failure error={jobs.error} retry={jobs.refetch} />;
  if (jobs.data === undefined) return <Loading rows={3} />;
  const rows = jobs.data.pages.flatMap((page) => page.jobs);
  return (
    <div className="failed-jobs table-scroll" role="region" aria-label={words.jobsOfGroup} tabIndex={0}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{common.job}</th>
            <th scope="col">{common.error}</th>
            <th scope="col" className="end">
              {common.attempts}
            </th>
            <th scope="col">{common.failed}</th>
            <th scope="col">
              <span className="visually-hidden">{common.actions}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((job) => (
            <JobRow key={job.id} job={job} />
          ))}
        </tbody>
      </table>
      {jobs.hasNextPage && (
        <Button kind="quiet" busy={jobs.isFetchingNextPage} onClick={() => void jobs.fetchNextPage()}>
          {words.moreOf(group.jobs)}
        </Button>
      )}
    </div>
  );
}

/** For viewers, who may not run the dry run: the newest job and a link. */
function NewestOnly({ group }: { group: FailedGroup }) {
  return (
    <p className="card-body">
      <Sentence
        text={words.newestOnly}
        slots={{
          newest: <Link href={`/jobs/${group.lastId}`}>{common.jobTitle(group.lastId)}</Link>,
          all: (
            <Link href={`/jobs?${new URLSearchParams({ state: "failed", task: group.task })}`}>
              {words.allOfTask(group.task)}
            </Link>
          ),
        }}
      />
    </p>
  );
}

function JobRow({ job }: { job: GroupJob }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const isFailed = job.state === "failed";
  async function act(verb: "retry" | "discard"): Promise<void> {
    setBusy(true);
    try {
      await rest("POST", `/jobs/${job.id}/${verb}`);
      tell(verb === "retry" ? common.jobRetried(job.id) : common.jobDiscarded(job.id));
      await client.invalidateQueries();
    } catch (error) {
      tell(error instanceof Error ? error.message : words.actionFailed, { kind: "error" });
    } finally {
      setBusy(false);
    }
  }
  return (
    <tr>
      <td className="number">
        <Link href={`/jobs/${job.id}`}>{job.id}</Link>
      </td>
      <td>
        <span className="failed-line" title={job.error ?? undefined}>
          {job.error?.split("\n")[0]}
        </span>
      </td>
      <td className="end">{common.of(job.attempts, job.maxAttempts)}</td>
      <td>
        <Time at={job.finishedAt} />
      </td>
      <td className="end">
        {isFailed && (
          <>
            <Button kind="quiet" busy={busy} aria-label={words.retryJob(job.id)} onClick={() => void act("retry")}>
              {common.retry}
            </Button>
            <Button kind="quiet" busy={busy} aria-label={words.discardJob(job.id)} onClick={() => void act("discard")}>
              {common.discard}
            </Button>
          </>
        )}
      </td>
    </tr>
  );
}
