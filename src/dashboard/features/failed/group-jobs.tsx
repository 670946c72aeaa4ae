import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/me.ts";
import type { FailedGroup } from "../../api/monitoring.ts";
import { graphql, rest } from "../../api/request.ts";
import { formatCount } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Failure, Loading } from "../../components/notice.tsx";
import { tell } from "../../components/toasts.tsx";

/** Jobs of a group that are shown at a time. */
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

/** The jobs of a group, oldest first, as a retry of the group would take them; each can be retried or given up by itself. */
export function GroupJobs({ group, filter }: { group: FailedGroup; filter: Record<string, string> }) {
  const may = useMay("operator");
  const jobs = useInfiniteQuery({
    enabled: may,
    queryKey: ["failed-group", filter],
    initialPageParam: PAGE,
    // A dry run is the only one who knows which jobs are in a group; what they are, each says itself.
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
    <div className="failed-jobs table-scroll" role="region" aria-label="Jobs of the group" tabIndex={0}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col">Error</th>
            <th scope="col" className="end">
              Attempts
            </th>
            <th scope="col">Failed</th>
            <th scope="col">
              <span className="visually-hidden">What to do</span>
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
          More of {formatCount(group.jobs)}
        </Button>
      )}
    </div>
  );
}

/** Who may only look is shown what GET tells. */
function NewestOnly({ group }: { group: FailedGroup }) {
  return (
    <p className="card-body">
      <Link href={`/jobs/${group.lastId}`}>Job {group.lastId}</Link> is the newest of them;{" "}
      <Link href={`/jobs?${new URLSearchParams({ state: "failed", task: group.task })}`}>all failed jobs of {group.task}</Link>.
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
      tell(verb === "retry" ? `Job ${job.id} is retried.` : `Job ${job.id} is given up.`);
      await client.invalidateQueries();
    } catch (error) {
      tell(error instanceof Error ? error.message : "It could not be done.", { kind: "error" });
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
      <td className="end">
        {job.attempts} of {job.maxAttempts}
      </td>
      <td>
        <Time at={job.finishedAt} />
      </td>
      <td className="end">
        {isFailed && (
          <>
            <Button kind="quiet" busy={busy} aria-label={`Retry job ${job.id}`} onClick={() => void act("retry")}>
              Retry
            </Button>
            <Button kind="quiet" busy={busy} aria-label={`Delete job ${job.id}`} onClick={() => void act("discard")}>
              Delete
            </Button>
          </>
        )}
      </td>
    </tr>
  );
}
