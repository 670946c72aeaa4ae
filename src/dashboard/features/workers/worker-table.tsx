import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Worker } from "../../api/monitoring.ts";
import { formatBytes, formatCount, formatShare } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Status } from "../../components/state-badge.tsx";
import "./workers.css";

/** From which share on a bar is marked: where the alert rules begin to warn. */
const HIGH = { cpu: 0.95, memory: 0.9, disk: 0.9 };

/** Workers with what they run and how their machines are; `more` adds a column of the page of workers. */
export function WorkerTable({ workers, more }: { workers: readonly Worker[]; more?: (worker: Worker) => ReactNode }) {
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Workers, table">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Worker</th>
            <th scope="col">Heard of</th>
            <th scope="col">Load</th>
            <th scope="col">CPU</th>
            <th scope="col">Memory</th>
            <th scope="col">Disk</th>
            <th scope="col" className="end">
              Heap
            </th>
            <th scope="col">Started</th>
            {more !== undefined && <th scope="col">Jobs</th>}
          </tr>
        </thead>
        <tbody>
          {workers.map((worker) => (
            <tr key={worker.id}>
              <th scope="row">
                <Link href={`/workers?worker=${encodeURIComponent(worker.id)}`} className="plain">
                  {worker.host} <span className="muted">{worker.pid}</span>
                </Link>
              </th>
              <td>
                {worker.suspected ? (
                  <Status status="critical" title="Silent for too long: its jobs are given to others if it stays so." />
                ) : null}{" "}
                <Time at={worker.seenAt} />
              </td>
              <td>
                <Bar
                  share={worker.running.length / Math.max(1, worker.concurrency)}
                  text={`${formatCount(worker.running.length)} of ${formatCount(worker.concurrency)}`}
                />
              </td>
              <td>
                <Bar share={worker.cpu} text={formatShare(worker.cpu)} isHigh={(worker.cpu ?? 0) >= HIGH.cpu} />
              </td>
              <td title={`of ${formatBytes(worker.memoryTotal)}`}>
                <Bar share={worker.memory} text={formatShare(worker.memory)} isHigh={(worker.memory ?? 0) >= HIGH.memory} />
              </td>
              <td title={`of ${formatBytes(worker.diskTotal)}`}>
                <Bar share={worker.disk} text={formatShare(worker.disk)} isHigh={(worker.disk ?? 0) >= HIGH.disk} />
              </td>
              <td className="end">{formatBytes(worker.heapBytes)}</td>
              <td>
                <Time at={worker.startedAt} />
              </td>
              {more !== undefined && <td>{more(worker)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Bar({ share, text, isHigh = false }: { share: number | null; text: string; isHigh?: boolean }) {
  if (share === null) return <span className="muted">not told yet</span>;
  return (
    <div className="load" data-high={isHigh}>
      <span className="number">{text}</span>
      <div className="progress" aria-hidden="true">
        <span style={{ inlineSize: `${Math.min(100, share * 100)}%` }} />
      </div>
    </div>
  );
}
