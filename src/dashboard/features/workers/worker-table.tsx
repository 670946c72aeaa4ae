import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Worker } from "../../api/monitoring.ts";
import { formatBytes, formatCount, formatShare } from "../../components/numbers.ts";
import { Time } from "../../components/time/time.tsx";
import { Status } from "../../components/state-badge.tsx";
import { common } from "../../components/words.ts";
import { CellDetail, Table } from "../../components/table/table.tsx";
import { useMay } from "../../api/me.ts";
import { WorkerButtons } from "./worker-actions.tsx";
import { words } from "./words.ts";
import "./workers.css";

/** Bars are highlighted from this share on: the warning thresholds of the alert rules. */
const HIGH = { cpu: 0.95, memory: 0.9, disk: 0.9 };

/** Workers with their load and the state of their hosts. `more` adds a column, which is used on the page Workers. */
export function WorkerTable({ workers, more }: { workers: readonly Worker[]; more?: (worker: Worker) => ReactNode }) {
  const may = useMay("operator", { everybody: true });
  return (
    <Table
      label={common.tableOf(words.title)}
      corner={more !== undefined}
      rows={workers}
      rowKey={({ id }) => id}
      columns={[
        {
          id: "worker",
          head: words.worker,
          kind: "name",
          render: ({ id, name, lacks }) => (
            <>
              <Link href={`/workers?worker=${encodeURIComponent(id)}`} className="plain">
                {name}
              </Link>
              {lacks.length > 0 && <CellDetail title={lacks.join(", ")}>{words.lacks(lacks.length)}</CellDetail>}
            </>
          ),
        },
        { id: "state", head: words.state, render: (worker) => <WorkerState worker={worker} /> },
        {
          id: "seen",
          head: words.lastSeen,
          render: ({ suspected, seenAt }) => (
            <>
              {suspected && <Status status="critical" title={words.unresponsiveHint} />} <Time at={seenAt} />
            </>
          ),
        },
        {
          id: "load",
          head: words.load,
          render: ({ running, concurrency }) => (
            <Bar
              share={running.length / Math.max(1, concurrency)}
              text={common.of(formatCount(running.length), formatCount(concurrency))}
            />
          ),
        },
        {
          id: "cpu",
          head: words.cpu,
          render: ({ cpu }) => <Bar share={cpu} text={formatShare(cpu)} isHigh={(cpu ?? 0) >= HIGH.cpu} />,
        },
        {
          id: "memory",
          head: words.memory,
          render: ({ memory, memoryTotal }) => (
            <Bar
              share={memory}
              text={formatShare(memory)}
              isHigh={(memory ?? 0) >= HIGH.memory}
              title={words.ofTotal(formatBytes(memoryTotal))}
            />
          ),
        },
        {
          id: "disk",
          head: words.disk,
          render: ({ disk, diskTotal }) => (
            <Bar
              share={disk}
              text={formatShare(disk)}
              isHigh={(disk ?? 0) >= HIGH.disk}
              title={words.ofTotal(formatBytes(diskTotal))}
            />
          ),
        },
        { id: "heap", head: words.heap, kind: "number", render: ({ heapBytes }) => formatBytes(heapBytes) },
        { id: "version", head: words.version, render: ({ version }) => version },
        { id: "started", head: common.started, render: ({ startedAt }) => <Time at={startedAt} /> },
        more !== undefined && { id: "jobs", head: common.jobs, render: more },
        more !== undefined &&
          may && {
            id: "actions",
            head: common.actions,
            kind: "actions",
            render: (worker) => <WorkerButtons worker={worker} quiet />,
          },
      ]}
    />
  );
}

/** Whether the worker takes jobs; if it does not, when and by whom it was stopped from taking them. */
export function WorkerState({ worker: { state, quietSince, quietBy } }: { worker: Worker }) {
  if (state === "active") return words.states.active;
  return (
    <span className="worker-state" title={quietBy === null ? undefined : words.quietBy(quietBy)}>
      {words.states[state]} {quietSince !== null && <Time at={quietSince} />}
    </span>
  );
}

function Bar({ share, text, isHigh = false, title }: { share: number | null; text: string; isHigh?: boolean; title?: string }) {
  if (share === null) return <span className="muted">{words.notReported}</span>;
  return (
    <div className="load" data-high={isHigh} title={title}>
      <span className="number">{text}</span>
      <div className="progress" aria-hidden="true">
        <span style={{ inlineSize: `${Math.min(100, share * 100)}%` }} />
      </div>
    </div>
  );
}
