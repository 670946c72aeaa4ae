import { Maximize2, ZoomIn, ZoomOut } from "lucide-react";
import { useMemo, useState } from "react";
import { Button } from "../../../../components/button.tsx";
import { Card } from "../../../../components/page.tsx";
import { QueryResult } from "../../../../components/query-result.tsx";
import { useNow } from "../../../../components/time/clock.ts";
import { formatDuration } from "../../../../components/time/format-times.ts";
import { isFinished } from "../../../../components/state-badge.tsx";
import type { Job, Usual } from "../use-job.ts";
import { usualWords } from "../usual-words.ts";
import { intervalOf, isEvent, isWait, keyOf, type TimelineEntry, useTimeline } from "./entries.ts";
import { EntryRow } from "./entry-row.tsx";
import { compressedScale, type Interval, linearScale } from "./scale.ts";
import { useView } from "./use-view.ts";
import { words } from "./words.ts";
import "../../../../components/table/table.css";
import "./waterfall.css";

/** Positions of the marks on the axis. */
const MARKS = [0, 0.25, 0.5, 0.75];

export interface WaterfallProps {
  job: Job;
  usual: Usual | null | undefined;
  /** The key of the entry whose log lines are shown. */
  selected: string | undefined;
  onSelect: (entry: TimelineEntry | undefined) => void;
  onPoint: (entry: TimelineEntry | undefined) => void;
}

/** The history of a job: a table whose last column shows waits, attempts, steps, child jobs and actions on one time axis. */
export function Waterfall(props: WaterfallProps) {
  const query = useTimeline(props.job);
  return (
    <QueryResult query={query} rows={4}>
      {(entries) => <Entries {...props} entries={entries} />}
    </QueryResult>
  );
}

function Entries({ job, usual, selected, onSelect, onPoint, entries }: WaterfallProps & { entries: readonly TimelineEntry[] }) {
  const tick = useNow(1_000);
  // The axis ends at the current time only while the job is unfinished.
  const now = isFinished(job.state) ? 0 : tick;
  const all = useMemo(() => wholeOf(entries, now), [entries, now]);
  const active = useMemo(
    () => entries.filter((entry) => !isWait(entry) && !isEvent(entry)).map((entry) => intervalOf(entry, now)),
    [entries, now],
  );
  const short = useMemo(() => compressedScale(all, active), [all, active]);
  const [isShort, setShort] = useState(true);
  const scale = useMemo(() => (isShort ? short : linearScale(all)), [isShort, short, all]);
  const { view, drag, track, table, isWhole, zoom, showAll, gestures } = useView();
  const share = (position: number): number => (100 * (position - view.from)) / (view.to - view.from);
  const band =
    drag === undefined
      ? {}
      : { "--band-from": `${share(Math.min(drag.from, drag.to))}%`, "--band-to": `${share(Math.max(drag.from, drag.to))}%` };
  return (
    <Card
      title={words.title}
      actions={
        <div className="tool-bar">
          {short.compressed.length > 0 && (
            <label className="check">
              <input type="checkbox" checked={isShort} onChange={({ target }) => setShort(target.checked)} />
              {words.compressWaits}
            </label>
          )}
          <Button
            kind="quiet"
            aria-label={words.zoomIn}
            title={words.zoomIn}
            icon={<ZoomIn aria-hidden="true" />}
            onClick={() => zoom(0.5)}
          />
          <Button
            kind="quiet"
            aria-label={words.zoomOut}
            title={words.zoomOut}
            icon={<ZoomOut aria-hidden="true" />}
            disabled={isWhole}
            onClick={() => zoom(2)}
          />
          <Button
            kind="quiet"
            aria-label={words.showAll}
            title={words.showAll}
            icon={<Maximize2 aria-hidden="true" />}
            disabled={isWhole}
            onClick={showAll}
          />
        </div>
      }
    >
      <div
        ref={table}
        className="table-scroll waterfall"
        role="region"
        aria-label={words.table}
        tabIndex={0}
        style={band as React.CSSProperties}
        data-dragging={drag !== undefined}
        {...gestures}
      >
        <table className="table">
          <thead>
            <tr>
              <th scope="col">{words.what}</th>
              <th scope="col">{words.start}</th>
              <th scope="col" className="end">
                {words.duration}
              </th>
              <th
                ref={track as React.RefObject<HTMLTableCellElement>}
                className="waterfall-axis"
                data-track
                aria-hidden="true"
                title={words.axis}
              >
                {MARKS.map((mark) => (
                  <span key={mark} style={{ left: `${mark * 100}%` }}>
                    {offsetWords((scale.timeAt(view.from + mark * (view.to - view.from)) - all.from) / 1_000)}
                  </span>
                ))}
              </th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => {
              const interval = intervalOf(entry, now);
              return (
                <EntryRow
                  key={keyOf(entry)}
                  entry={entry}
                  jobId={job.id}
                  seconds={(interval.to - interval.from) / 1_000}
                  from={share(scale.position(interval.from))}
                  to={share(scale.position(interval.to))}
                  isShortened={scale.compressed.some((part) => part.from < interval.to && part.to > interval.from)}
                  usual={usual}
                  isSelected={selected === keyOf(entry)}
                  onSelect={onSelect}
                  onPoint={onPoint}
                />
              );
            })}
          </tbody>
        </table>
      </div>
      {usual !== undefined && <p className="muted timeline-usual">{usualWords(usual)}</p>}
    </Card>
  );
}

function wholeOf(entries: readonly TimelineEntry[], now: number): Interval {
  const intervals = entries.map((entry) => intervalOf(entry, now));
  const from = Math.min(...intervals.map((one) => one.from));
  return { from, to: Math.max(from + 1, ...intervals.map(({ to }) => to)) };
}

function offsetWords(seconds: number): string {
  return seconds <= 0 ? "0" : formatDuration(seconds);
}
