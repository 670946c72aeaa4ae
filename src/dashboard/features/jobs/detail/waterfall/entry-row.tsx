import { memo } from "react";
import { Link } from "wouter";
import { State, Status } from "../../../../components/state-badge.tsx";
import { formatDuration } from "../../../../components/time/format-times.ts";
import { Time } from "../../../../components/time/time.tsx";
import { Sentence } from "../../../../components/sentence.tsx";
import { ClockTime } from "../clock-time.tsx";
import type { Usual } from "../use-job.ts";
import { EntryDetails } from "./entry-details.tsx";
import { isEvent, pageOf, type TimelineEntry } from "./entries.ts";
import { words } from "./words.ts";

export interface EntryRowProps {
  entry: TimelineEntry;
  jobId: string;
  seconds: number;
  /** Where the bar begins and ends (percent of the axis). */
  from: number;
  to: number;
  isShortened: boolean;
  usual: Usual | null | undefined;
  isSelected: boolean;
  onSelect: (entry: TimelineEntry | undefined) => void;
  onPoint: (entry: TimelineEntry | undefined) => void;
}

/** One entry of the timeline, as text and as a bar. */
export const EntryRow = memo(function EntryRow(props: EntryRowProps) {
  const { entry, jobId, isSelected, onSelect, onPoint } = props;
  return (
    <>
      <tr
        className="waterfall-row"
        data-kind={entry.kind}
        data-selected={isSelected}
        onMouseEnter={() => onPoint(entry)}
        onMouseLeave={() => onPoint(undefined)}
      >
        <th scope="row">
          <button
            type="button"
            className="waterfall-label"
            aria-expanded={isSelected}
            onClick={() => onSelect(isSelected ? undefined : entry)}
          >
            {entry.label}
          </button>
          <Facts entry={entry} />
        </th>
        <td>
          <ClockTime at={entry.startedAt} />
        </td>
        <td className="end">
          <Took {...props} />
        </td>
        <Bar {...props} />
      </tr>
      {isSelected && (
        <tr className="waterfall-details">
          <td colSpan={4}>
            <EntryDetails entry={entry} jobId={jobId} />
          </td>
        </tr>
      )}
    </>
  );
});

/** The state, the actor and the end of an entry, as far as they are known. */
function Facts({ entry }: { entry: TimelineEntry }) {
  const { kind, state, actor, endedAt, expectedAt, detail } = entry;
  const page = kind === "child" ? pageOf(entry) : undefined;
  return (
    <span className="waterfall-facts">
      {state !== null && state !== "waiting" && <Badge kind={kind} state={state} />}
      {actor !== null && kind !== "attempt" && <span>{words.by(actor)}</span>}
      {endedAt === null && expectedAt !== null && (
        <span>
          <Sentence text={words.until} slots={{ at: <Time at={expectedAt} /> }} />
        </span>
      )}
      {detail !== null && (
        <span className="waterfall-detail" title={detail}>
          {detail}
        </span>
      )}
      {page !== undefined && <Link href={page}>{words.showPage}</Link>}
    </span>
  );
}

function Badge({ kind, state }: { kind: string; state: string }) {
  return kind === "attempt" || kind === "child" || state === "completed" || state === "failed" ? (
    <State state={state} />
  ) : (
    <Status status={state.replace("_", " ")} />
  );
}

/** The duration of an entry, highlighted if it exceeds the p95 of its task. */
function Took({ entry, seconds, usual, isShortened }: EntryRowProps) {
  if (isEvent(entry)) return <span className="muted">–</span>;
  const text = formatDuration(entry.endedAt === null ? Math.floor(seconds) : seconds);
  const most = entry.kind === "attempt" ? usual?.runP95 : entry.kind === "worker" ? usual?.waitP95 : undefined;
  const isLong = most !== undefined && most !== null && seconds > most * 1.05 && seconds - most > 0.05;
  const title = isLong ? words.longerThanUsual(formatDuration(most)) : isShortened ? words.compressed(text) : undefined;
  return (
    <span className={isLong ? "number timeline-long" : "number"} title={title}>
      {entry.endedAt === null ? words.soFar(text) : text}
      {isLong && <span className="visually-hidden">{words.longer}</span>}
    </span>
  );
}

/** The row also contains this information as text, so the bar is hidden from screen readers. */
function Bar({ entry, from, to, isShortened, seconds }: EntryRowProps) {
  const start = Math.max(0, from);
  const end = Math.min(100, to);
  const isShown = to >= 0 && from <= 100;
  const title = `${entry.label}: ${isEvent(entry) ? words.kinds[entry.kind] : formatDuration(seconds)}`;
  return (
    <td className="waterfall-track" data-track aria-hidden="true">
      {isShown && (
        <span
          className={isEvent(entry) ? "waterfall-mark" : "waterfall-bar"}
          data-kind={entry.kind}
          data-state={entry.state ?? undefined}
          data-open={entry.endedAt === null}
          data-shortened={isShortened}
          title={title}
          style={
            isEvent(entry)
              ? { left: `clamp(0px, calc(${start}% - 4px), calc(100% - 8px))` }
              : { left: `min(${start}%, calc(100% - 3px))`, width: `max(3px, ${end - start}%)` }
          }
        />
      )}
    </td>
  );
}
