import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { Link, useSearchParams } from "wouter";
import { useWorkers, type Worker } from "../../api/monitoring.ts";
import { graphql } from "../../api/request.ts";
import { formatBytes, formatCount, formatShare } from "../../components/numbers.ts";
import { Duration, ExactTime, Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Empty, Failure } from "../../components/notice.tsx";
import { Card, Figure, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { State } from "../../components/state-badge.tsx";
import { WorkerStarts } from "./worker-starts.tsx";
import { WorkerTable } from "./worker-table.tsx";

/** The processes that run jobs: what each is at, and how its machine is. */
export default function WorkersPage() {
  const query = useWorkers();
  const [search, setSearch] = useSearchParams();
  const chosen = search.get("worker");
  return (
    <Page title="Workers" lead="Legwork workers that live. Plain graphile-worker processes run jobs too, and do not report here.">
      <QueryResult query={query}>
        {(workers) => (
          <>
            <Sums workers={workers} />
            <Card>
              {workers.length === 0 ? (
                <Empty title="No Legwork worker lives.">
                  Start one: <code>legwork worker</code>, or <code>legwork up</code> for everything in one process.
                </Empty>
              ) : (
                <WorkerTable workers={workers} more={Running} />
              )}
            </Card>
            {chosen !== null && (
              <Chosen
                id={chosen}
                worker={workers.find(({ id }) => id === chosen)}
                onClose={() =>
                  setSearch((old) => {
                    const changed = new URLSearchParams(old);
                    changed.delete("worker");
                    return changed;
                  })
                }
              />
            )}
            <WorkerStarts />
          </>
        )}
      </QueryResult>
    </Page>
  );
}

function Sums({ workers }: { workers: readonly Worker[] }) {
  const places = workers.reduce((sum, { concurrency }) => sum + concurrency, 0);
  const running = workers.reduce((sum, worker) => sum + worker.running.length, 0);
  const silent = workers.filter(({ suspected }) => suspected).length;
  const hosts = new Set(workers.map(({ host }) => host)).size;
  return (
    <dl className="figures">
      <Figure
        label="Workers"
        value={formatCount(workers.length)}
        detail={`on ${formatCount(hosts)} ${hosts === 1 ? "host" : "hosts"}`}
      />
      <Figure label="Jobs at a time" value={formatCount(places)} detail="of all together" />
      <Figure
        label="Running"
        value={formatCount(running)}
        detail={places === 0 ? " " : `${formatShare(running / places)} of that`}
      />
      <Figure
        label="Silent"
        value={formatCount(silent)}
        tone={silent > 0 ? "bad" : undefined}
        detail={silent > 0 ? "their jobs go to others" : "all speak"}
      />
    </dl>
  );
}

/** How many running jobs are named in the table. */
const NAMED = 3;

function Running({ running }: Worker) {
  if (running.length === 0) return <span className="muted">none</span>;
  return (
    <span className="worker-jobs">
      {running.slice(0, NAMED).map((id) => (
        <Link key={id} href={`/jobs/${id}`}>
          {id}
        </Link>
      ))}
      {running.length > NAMED && <span className="muted">and {formatCount(running.length - NAMED)} more</span>}
    </span>
  );
}

function Chosen({ id, worker, onClose }: { id: string; worker: Worker | undefined; onClose: () => void }) {
  return (
    <Card
      title={worker === undefined ? "Worker" : `Worker ${worker.host} ${worker.pid}`}
      actions={<Button kind="quiet" icon={<X aria-hidden="true" />} aria-label="Close" onClick={onClose} />}
    >
      {worker === undefined ? (
        <Empty title="This worker has gone.">
          <code>{id}</code> has stopped, or was given up and its jobs were given to others.
        </Empty>
      ) : (
        <div className="card-body worker-facts">
          <dl className="facts">
            <dt>Id</dt>
            <dd>
              <code>{worker.id}</code>
            </dd>
            <dt>Started</dt>
            <dd>
              <ExactTime at={worker.startedAt} />
            </dd>
            <dt>Heard of</dt>
            <dd>
              <Time at={worker.seenAt} />
              {worker.suspected && ", which is too long ago"}
            </dd>
            <dt>Memory</dt>
            <dd>
              {formatShare(worker.memory)} of {formatBytes(worker.memoryTotal)} of the machine; its own objects take{" "}
              {formatBytes(worker.heapBytes)}
            </dd>
            <dt>Disk</dt>
            <dd>
              {formatShare(worker.disk)} of {formatBytes(worker.diskTotal)}
            </dd>
            <dt>Tasks</dt>
            <dd className="worker-tasks">
              {worker.tasks.toSorted().map((task) => (
                <Link key={task} href={`/tasks/${encodeURIComponent(task)}`} className="chip">
                  {task}
                </Link>
              ))}
            </dd>
          </dl>
          <RunningJobs ids={worker.running} />
        </div>
      )}
    </Card>
  );
}

interface RunningJob {
  id: string;
  task: string;
  state: string;
  startedAt: string | null;
  progress: number | null;
}

const JOBS = `query ($ids: [BigInt!]!) { jobs(first: 100, filter: { id: { in: $ids } }) { nodes { id task state startedAt progress } } }`;

function RunningJobs({ ids }: { ids: readonly string[] }) {
  const query = useQuery({
    queryKey: ["worker-jobs", ids],
    queryFn: async ({ signal }) =>
      (await graphql<{ jobs: { nodes: RunningJob[] } }>(JOBS, { ids: ids.slice(0, 100) }, signal)).jobs.nodes,
    enabled: ids.length > 0,
    placeholderData: (old) => old,
  });
  if (ids.length === 0) return <p className="muted">It runs no job.</p>;
  if (query.isError && query.data === undefined) return <Failure error={query.error} />;
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Jobs it runs, table">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col">Task</th>
            <th scope="col">State</th>
            <th scope="col" className="end">
              For
            </th>
            <th scope="col" className="end">
              Done
            </th>
          </tr>
        </thead>
        <tbody>
          {(query.data ?? []).map((job) => (
            <tr key={job.id}>
              <th scope="row">
                <Link href={`/jobs/${job.id}`}>{job.id}</Link>
              </th>
              <td>
                <code>{job.task}</code>
              </td>
              <td>
                <State state={job.state} />
              </td>
              <td className="end">
                <Duration from={job.startedAt} />
              </td>
              <td className="end">{job.progress === null ? "–" : `${Math.round(job.progress)} %`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
