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
import { Table } from "../../components/table/table.tsx";
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

/**
 * The jobs of a group, oldest first, which is also the order in which retrying the group processes them. Each job can be retried or discarded
 * individually.
 */
export function GroupJobs({ group, filter }: { group: FailedGroup; filter: Record<string, string> }) {
  const may = useMay("operator");
  const jobs = useInfiniteQuery({
    enabled: may,
    queryKey: ["failed-group", filter],
    initialPageParam: PAGE,
    // The jobs of a group can only be listed by a dry run, so their details are fetched by id.
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
    <div className="failed-jobs">
      <Table
        label={words.jobsOfGroup}
        rows={rows}
        rowKey={({ id }) => id}
        columns={[
          { id: "job", head: common.job, kind: "name", render: ({ id }) => <Link href={`/jobs/${id}`}>{id}</Link> },
          {
            id: "error",
            head: common.error,
            kind: "long",
            render: (job) => (
              <span className="failed-line" title={job.error ?? undefined}>
                {job.error?.split("\n")[0]}
              </span>
            ),
          },
          {
            id: "attempts",
            head: common.attempts,
            kind: "number",
            render: ({ attempts, maxAttempts }) => common.of(attempts, maxAttempts),
          },
          { id: "failed", head: common.failed, render: ({ finishedAt }) => <Time at={finishedAt} /> },
          { id: "actions", head: common.actions, kind: "actions", render: (job) => <JobButtons job={job} /> },
        ]}
      />
      {jobs.hasNextPage && (
        <Button kind="quiet" busy={jobs.isFetchingNextPage} onClick={() => void jobs.fetchNextPage()}>
          {words.moreOf(group.jobs)}
        </Button>
      )}
    </div>
  );
}

/** Shown to viewers, who may not start a dry run: the newest job and a link. */
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

function JobButtons({ job }: { job: GroupJob }) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
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
  if (job.state !== "failed") return null;
  return (
    <>
      <Button kind="quiet" busy={busy} aria-label={words.retryJob(job.id)} onClick={() => void act("retry")}>
        {common.retry}
      </Button>
      <Button kind="quiet" busy={busy} aria-label={words.discardJob(job.id)} onClick={() => void act("discard")}>
        {common.discard}
      </Button>
    </>
  );
}
