import { Link } from "wouter";
import { useLive } from "../../api/subscribe.ts";
import { jobsPath } from "../../router/links.ts";
import { Duration, Time } from "../../components/time/time.tsx";
import { Empty, Failure, Loading } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { State } from "../../components/state-badge.tsx";
import { common } from "../../components/words.ts";
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
        <div className="table-scroll" tabIndex={0} role="region" aria-label={words.newestJobs}>
          <table className="table">
            <thead>
              <tr>
                <th scope="col">{common.job}</th>
                <th scope="col">{common.state}</th>
                {"queue" in of && <th scope="col">{common.task}</th>}
                <th scope="col">{common.created}</th>
                <th scope="col">{common.duration}</th>
                <th scope="col">{words.lastError}</th>
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
