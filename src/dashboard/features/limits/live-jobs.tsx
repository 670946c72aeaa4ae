import { Link } from "wouter";
import { useLive } from "../../api/subscribe.ts";
import { jobsPath } from "../../router/links.ts";
import { Duration, Time } from "../../components/time/time.tsx";
import { Empty, Failure, Loading } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { State } from "../../components/state-badge.tsx";

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

/** The newest jobs of a queue or a task, as they come and go. */
export function LiveJobs({ of }: { of: { queue: string } | { task: string } }) {
  const { data, error } = useLive<{ jobs: { jobs: Job[] } }>(LIVE, of);
  return (
    <Card title="Newest jobs" actions={<Link href={jobsPath(of)}>All of them</Link>}>
      {error !== undefined && <Failure error={error} />}
      {data === undefined && error === undefined && <Loading rows={4} />}
      {data?.jobs.jobs.length === 0 && <Empty title="None of its jobs is kept." />}
      {data !== undefined && data.jobs.jobs.length > 0 && (
        <div className="table-scroll" tabIndex={0} role="region" aria-label="Newest jobs">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Job</th>
                <th scope="col">State</th>
                {"queue" in of && <th scope="col">Task</th>}
                <th scope="col">Created</th>
                <th scope="col">Took</th>
                <th scope="col">Last error</th>
              </tr>
            </thead>
            <tbody>
              {data.jobs.jobs.map((job) => (
                <tr key={job.id}>
                  <th scope="row">
                    <Link href={`/jobs/${job.id}`}>{job.id}</Link>
                  </th>
                  <td>
                    <State state={job.state} />
                  </td>
                  {"queue" in of && <td>{job.task}</td>}
                  <td>
                    <Time at={job.createdAt} />
                  </td>
                  <td>
                    {job.startedAt === null ? (
                      <span className="muted">–</span>
                    ) : (
                      <Duration from={job.startedAt} to={job.finishedAt} />
                    )}
                  </td>
                  <td>
                    <span className="cell-detail" title={job.error ?? undefined}>
                      {job.error ?? ""}
                    </span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}
