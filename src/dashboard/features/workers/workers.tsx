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
import { WhyCard } from "../jobs/detail/why-card.tsx";
import { WorkerStarts } from "./worker-starts.tsx";
import { WorkerButtons } from "./worker-actions.tsx";
import { WorkerState, WorkerTable } from "./worker-table.tsx";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";

/** The online workers, with their load and the state of their hosts. */
export default function WorkersPage() {
  const query = useWorkers();
  const [search, setSearch] = useSearchParams();
  const chosen = search.get("worker");
  return (
    <Page title={words.title} lead={words.lead}>
      <QueryResult query={query}>
        {(workers) => (
          <>
            <Sums workers={workers} />
            <Card>
              {workers.length === 0 ? (
                <Empty title={words.none}>
                  <Sentence text={words.noneHint} slots={{ worker: <code>legwork worker</code>, up: <code>legwork up</code> }} />
                </Empty>
              ) : (
                <WorkerTable workers={workers} more={Running} />
              )}
            </Card>
            {chosen !== null && <WhyCard of={`/workers/${encodeURIComponent(chosen)}`} />}
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
      <Figure label={words.workers} value={formatCount(workers.length)} detail={words.hosts(hosts)} />
      <Figure label={words.concurrency} value={formatCount(places)} detail={words.concurrencyDetail} />
      <Figure
        label={common.running}
        value={formatCount(running)}
        detail={places === 0 ? " " : words.utilization(formatShare(running / places))}
      />
      <Figure
        label={words.unresponsive}
        value={formatCount(silent)}
        tone={silent > 0 ? "bad" : undefined}
        detail={silent > 0 ? words.unresponsiveDetail : words.allResponsive}
      />
    </dl>
  );
}

/** How many running jobs are listed in the table. */
const NAMED = 3;

function Running({ running }: Worker) {
  if (running.length === 0) return <span className="muted">{common.none}</span>;
  return (
    <span className="worker-jobs">
      {running.slice(0, NAMED).map((id) => (
        <Link key={id} href={`/jobs/${id}`}>
          {id}
        </Link>
      ))}
      {running.length > NAMED && <span className="muted">{words.moreJobs(running.length - NAMED)}</span>}
    </span>
  );
}

function Chosen({ id, worker, onClose }: { id: string; worker: Worker | undefined; onClose: () => void }) {
  return (
    <Card
      title={worker === undefined ? words.worker : words.workerTitle(worker.name)}
      actions={
        <>
          {worker !== undefined && <WorkerButtons worker={worker} />}
          <Button kind="quiet" icon={<X aria-hidden="true" />} aria-label={common.close} onClick={onClose} />
        </>
      }
    >
      {worker === undefined ? (
        <Empty title={words.gone}>
          <Sentence text={words.goneHint} slots={{ id: <code>{id}</code> }} />
        </Empty>
      ) : (
        <div className="card-body worker-facts">
          <dl className="facts">
            <dt>{common.id}</dt>
            <dd>
              <code>{worker.id}</code>
            </dd>
            <dt>{words.state}</dt>
            <dd>
              <WorkerState worker={worker} /> {worker.quietBy !== null && words.quietBy(worker.quietBy)}
            </dd>
            <dt>{words.version}</dt>
            <dd>{worker.version}</dd>
            {worker.lacks.length > 0 && (
              <>
                <dt>{words.lackedTasks}</dt>
                <dd className="worker-tasks" title={words.lackedTasksHint}>
                  {worker.lacks.map((task) => (
                    <Link key={task} href={`/tasks/${encodeURIComponent(task)}`} className="chip">
                      {task}
                    </Link>
                  ))}
                </dd>
              </>
            )}
            {worker.excluded.length > 0 && (
              <>
                <dt>{words.excludedTasks}</dt>
                <dd className="worker-tasks" title={words.excludedTasksHint}>
                  {worker.excluded.map((task) => (
                    <Link key={task} href={`/tasks/${encodeURIComponent(task)}`} className="chip">
                      {task}
                    </Link>
                  ))}
                </dd>
              </>
            )}
            {worker.queueSlots !== null && (
              <>
                <dt>{words.queueSlots}</dt>
                <dd className="worker-tasks" title={words.queueSlotsHint}>
                  {Object.entries(worker.queueSlots).map(([queue, count]) => (
                    <Link key={queue} href={`/queues/${encodeURIComponent(queue)}`} className="chip">
                      {words.slotsOf(queue, count)}
                    </Link>
                  ))}
                </dd>
              </>
            )}
            <dt>{common.started}</dt>
            <dd>
              <ExactTime at={worker.startedAt} />
            </dd>
            <dt>{words.lastSeen}</dt>
            <dd>
              <Time at={worker.seenAt} />
              {worker.suspected && words.overdue}
            </dd>
            <dt>{words.memory}</dt>
            <dd>{words.memoryUse(formatShare(worker.memory), formatBytes(worker.memoryTotal), formatBytes(worker.heapBytes))}</dd>
            <dt>{words.disk}</dt>
            <dd>{words.diskUse(formatShare(worker.disk), formatBytes(worker.diskTotal))}</dd>
            <dt>{words.tasks}</dt>
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
  if (ids.length === 0) return <p className="muted">{words.noJobs}</p>;
  if (query.isError && query.data === undefined) return <Failure error={query.error} />;
  return (
    <Table
      label={common.tableOf(words.runningJobs)}
      rows={query.data ?? []}
      rowKey={({ id }) => id}
      columns={[
        { id: "job", head: common.job, kind: "name", render: ({ id }) => <Link href={`/jobs/${id}`}>{id}</Link> },
        { id: "task", head: common.task, render: ({ task }) => task },
        { id: "state", head: common.state, render: ({ state }) => <State state={state} /> },
        { id: "for", head: words.runningFor, kind: "number", render: ({ startedAt }) => <Duration from={startedAt} /> },
        {
          id: "progress",
          head: common.progress,
          kind: "number",
          render: ({ progress }) => (progress === null ? "–" : `${Math.round(progress)}%`),
        },
      ]}
    />
  );
}
