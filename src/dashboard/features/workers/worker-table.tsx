import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Worker } from "../../api/monitoring.ts";
import { formatBytes, formatCount, formatShare } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Status } from "../../components/state-badge.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";
import "./workers.css";

/** The share from which a bar is highlighted: the warning thresholds of the alert rules. */
const HIGH = { cpu: 0.95, memory: 0.9, disk: 0.9 };

/** Workers with their load and the state of their hosts; `more` adds a column on the page Workers. */
export function WorkerTable({ workers, more }: { workers: readonly Worker[]; more?: (worker: Worker) => ReactNode }) {
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={common.tableOf(words.title)}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">{words.worker}</th>
            <th scope="col">{words.lastSeen}</th>
            <th scope="col">{words.load}</th>
            <th scope="col">{words.cpu}</th>
            <th scope="col">{words.memory}</th>
            <th scope="col">{words.disk}</th>
            <th scope="col" className="end">
              {words.heap}
            </th>
            <th scope="col">{common.started}</th>
            {more !== undefined && <th scope="col">{common.jobs}</th>}
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
                {worker.suspected ? <Status status="critical" title={words.unresponsiveHint} /> : null}{" "}
                <Time at={worker.seenAt} />
              </td>
              <td>
                <Bar
                  share={worker.running.length / Math.max(1, worker.concurrency)}
                  text={common.of(formatCount(worker.running.length), formatCount(worker.concurrency))}
                />
              </td>
              <td>
                <Bar share={worker.cpu} text={formatShare(worker.cpu)} isHigh={(worker.cpu ?? 0) >= HIGH.cpu} />
              </td>
              <td title={words.ofTotal(formatBytes(worker.memoryTotal))}>
                <Bar share={worker.memory} text={formatShare(worker.memory)} isHigh={(worker.memory ?? 0) >= HIGH.memory} />
              </td>
              <td title={words.ofTotal(formatBytes(worker.diskTotal))}>
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
  if (share === null) return <span className="muted">{words.notReported}</span>;
  return (
    <div className="load" data-high={isHigh}>
      <span className="number">{text}</span>
      <div className="progress" aria-hidden="true">
        <span style={{ inlineSize: `${Math.min(100, share * 100)}%` }} />
      </div>
    </div>
  );
}
