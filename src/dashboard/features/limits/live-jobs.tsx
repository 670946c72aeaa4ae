import { Link } from "wouter";
import { useLive } from "../../api/subscribe.ts";
import { jobsPath } from "../../router/links.ts";
import { Duration, Time } from "../../components/time/time.tsx";
import { Empty, Failure, Loading } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { State } from "../../components/state-badge.tsx";
import { common } from "../../components/words.ts";
import { CellDetail, Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

const LIVE = `subscription ($task: String, $queue: String) {
  jobs(task: $task, queue: $queue, first: 10) {
    jobs { id task state error createdAt startedAt finishedAt attemptCount maxAttempts }
  }
}`;

interface Job {
  id: string;
  task: string;
  state: string;
  error: string | null;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  attemptCount: number;
  maxAttempts: number;
}

/** The newest jobs of a queue or a task, updated live. */
export function LiveJobs({ of }: { of: { queue: string } | { task: string } }) {
  const { data, error } = useLive<{ jobs: { jobs: Job[] } }>(LIVE, of);
  return (
    <Card title={words.newestJobs} actions={<Link href={jobsPath(of)}>{words.viewAll}</Link>}>
      {error !== undefined && <Failure error={error} />}
      {data === undefined && error === undefined && <Loading rows={4} />}
      {data?.jobs.jobs.length === 0 && <Empty title={words.noJobs} />}
      {data !== undefined && data.jobs.jobs.length > 0 && (
        <Table
          label={common.tableOf(words.newestJobs)}
          rows={data.jobs.jobs}
          rowKey={({ id }) => id}
          columns={[
            { id: "job", head: common.job, kind: "name", render: ({ id }) => <Link href={`/jobs/${id}`}>{id}</Link> },
            { id: "state", head: common.state, render: ({ state }) => <State state={state} /> },
            "queue" in of && { id: "task", head: common.task, render: ({ task }) => task },
            { id: "created", head: common.created, render: ({ createdAt }) => <Time at={createdAt} /> },
            {
              id: "duration",
              head: common.duration,
              render: ({ startedAt, finishedAt }) =>
                startedAt === null ? <span className="muted">–</span> : <Duration from={startedAt} to={finishedAt} />,
            },
            {
              id: "error",
              head: words.lastError,
              render: (job) => job.error !== null && <CellDetail title={job.error}>{job.error}</CellDetail>,
            },
          ]}
        />
      )}
    </Card>
  );
}
