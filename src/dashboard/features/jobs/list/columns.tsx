import type { ReactNode } from "react";
import { Duration, Time } from "../../../components/time/time.tsx";
import { Sentence } from "../../../components/sentence.tsx";
import { common } from "../../../components/words.ts";
import type { JobLine } from "../job-line.ts";
import { words } from "../words.ts";

/** The columns that the user can choose, in the order in which they are shown. State, id and task are always shown. */
export const COLUMNS = [
  "queue",
  "tenant",
  "correlation",
  "details",
  "priority",
  "attempts",
  "duration",
  "created",
  "ended",
] as const;
export type ColumnName = (typeof COLUMNS)[number];

interface Column {
  title: string;
  /** The width of the column, as a track of a CSS grid. */
  track: string;
  /** The smallest useful width (px). */
  width: number;
  /** Whether the column is aligned to the end. */
  isEnd?: boolean;
  cell: (line: JobLine) => ReactNode;
}

export const COLUMN: Readonly<Record<ColumnName, Column>> = {
  queue: { title: common.queue, track: "minmax(80px, 0.8fr)", width: 80, cell: ({ queue }) => <Name text={queue} /> },
  tenant: { title: common.tenant, track: "minmax(80px, 0.7fr)", width: 80, cell: ({ tenant }) => <Name text={tenant} /> },
  correlation: {
    title: words.list.filters.correlation,
    track: "minmax(100px, 0.8fr)",
    width: 100,
    cell: ({ correlationId }) => <Name text={correlationId} />,
  },
  details: { title: words.list.details, track: "minmax(120px, 3fr)", width: 120, cell: (line) => <Detail line={line} /> },
  priority: {
    title: common.priority,
    track: "64px",
    width: 64,
    isEnd: true,
    cell: ({ priority }) => <span className="number">{priority}</span>,
  },
  attempts: {
    title: common.attempts,
    track: "74px",
    width: 74,
    isEnd: true,
    cell: ({ attempts, maxAttempts }) => (
      <span className="number">{attempts === 0 ? <span className="muted">–</span> : common.of(attempts, maxAttempts)}</span>
    ),
  },
  duration: {
    title: common.duration,
    track: "84px",
    width: 84,
    isEnd: true,
    cell: ({ state, startedAt, finishedAt }) => (
      <Duration from={startedAt} to={finishedAt ?? (state === "running" ? null : startedAt)} />
    ),
  },
  created: { title: common.created, track: "84px", width: 84, isEnd: true, cell: ({ createdAt }) => <Time at={createdAt} /> },
  ended: { title: common.ended, track: "84px", width: 84, isEnd: true, cell: ({ finishedAt }) => <Time at={finishedAt} /> },
};

/** The columns, most important first. If there is not enough room, the last ones are left out. */
const IMPORTANCE: readonly ColumnName[] = [
  "details",
  "created",
  "ended",
  "attempts",
  "duration",
  "queue",
  "tenant",
  "priority",
  "correlation",
];

/** The gap between columns, and the minimum width of the columns that are always shown, including their gaps (px). */
const GAP = 14;
const FIXED = 16 + 104 + 70 + 140 + 3 * GAP + 2 * 14;

/** The chosen columns that fit into a width (px). */
export function fittingColumns(chosen: readonly ColumnName[], width: number): readonly ColumnName[] {
  let left = width - FIXED;
  const fitting = new Set<ColumnName>();
  for (const name of IMPORTANCE) {
    if (!chosen.includes(name) || left < COLUMN[name].width + GAP) continue;
    left -= COLUMN[name].width + GAP;
    fitting.add(name);
  }
  return COLUMNS.filter((name) => fitting.has(name));
}

function Name({ text }: { text: string | null }) {
  return text === null ? (
    <span className="muted">–</span>
  ) : (
    <span className="muted" dir="auto" title={text}>
      {text}
    </span>
  );
}

/** The details of a job in one line: its progress, its start or its error. */
export function Detail({ line }: { line: JobLine }) {
  if (line.state === "running" && line.progress !== null) {
    return (
      <span className="job-progress">
        <progress max={100} value={line.progress} aria-label={words.list.progressOfJob(line.id)} />
        <span className="number">{Math.round(line.progress)}%</span>
        {line.progressMessage !== null && (
          <span className="muted truncate" dir="auto">
            {line.progressMessage}
          </span>
        )}
      </span>
    );
  }
  if (line.state === "scheduled") {
    return (
      <span className="muted">
        <Sentence text={words.list.starts} slots={{ at: <Time at={line.runAt} absent={common.never} /> }} />
      </span>
    );
  }
  if (line.error !== null) {
    const text = line.error.split("\n")[0] ?? "";
    return (
      <span title={line.error} dir="auto" className={line.state === "failed" ? "job-error" : "muted"}>
        {line.state === "retrying" && <Sentence text={words.list.retries} slots={{ at: <Time at={line.runAt} /> }} />}
        {text}
      </span>
    );
  }
  if (line.tenant !== null || line.correlationId !== null) {
    return (
      <span className="muted" dir="auto">
        {[line.tenant, line.correlationId].filter((each) => each !== null).join(" · ")}
      </span>
    );
  }
  return null;
}
