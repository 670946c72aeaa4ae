import type { Json } from "../../../../contract/rows.ts";
import type { logLineSchema } from "../../../../contract/jobs.ts";
import { useEffect, useRef, useState } from "react";
import { rest, withQuery } from "../../../api/request.ts";
import { Button } from "../../../components/button.tsx";
import { usePreferences } from "../../../components/preferences.ts";

import { formatExact } from "../../../components/time/format-times.ts";
import { Failure } from "../../../components/notice.tsx";
import { Card } from "../../../components/page.tsx";
import { words } from "../words.ts";

type LogLine = Json<typeof logLineSchema>;

/** The maximum number of lines that the page keeps; older ones are dropped. */
const MAX_LINES = 5_000;
/** How often new lines of a running job are fetched (ms). */
const FOLLOW_MS = 1_000;
/** The list counts as scrolled to its end if it is at most this far away from it (px). */
const NEAR_END = 24;

/** Fetches all log lines of a job and, while the job is unfinished, the new ones. */
function useLogs(id: string, isLive: boolean): { lines: readonly LogLine[]; dropped: number; isRead: boolean; error: unknown } {
  const [state, setState] = useState<{ lines: readonly LogLine[]; dropped: number }>({ lines: [], dropped: 0 });
  const [isRead, setRead] = useState(false);
  const [error, setError] = useState<unknown>();
  const last = useRef<string>(undefined);
  useEffect(() => {
    const asking = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    async function read(): Promise<void> {
      try {
        for (let isMore = true; isMore;) {
          const page = await rest<{ items: LogLine[]; nextCursor: string | null }>(
            "GET",
            withQuery(`/jobs/${id}/logs`, { limit: 500, after: last.current }),
            undefined,
            asking.signal,
          );
          last.current = page.items.at(-1)?.id ?? last.current;
          if (page.items.length > 0) {
            setState(({ lines, dropped }) => {
              const all = [...lines, ...page.items];
              const over = Math.max(0, all.length - MAX_LINES);
              return { lines: over > 0 ? all.slice(over) : all, dropped: dropped + over };
            });
          }
          isMore = page.nextCursor !== null;
        }
        setError(undefined);
        setRead(true);
      } catch (thrown) {
        if (asking.signal.aborted) return;
        setError(thrown);
      }
      if (isLive) timer = setTimeout(() => void read(), FOLLOW_MS);
    }
    void read();
    return () => {
      asking.abort();
      clearTimeout(timer);
    };
  }, [id, isLive]);
  return { ...state, isRead, error };
}

export interface LogsProps {
  id: string;
  isLive: boolean;
  /** The part of the timeline whose lines are shown. Default: all lines. */
  range?: LogRange | undefined;
  /** The part of the timeline under the mouse pointer, whose lines are highlighted. */
  pointed?: LogRange | undefined;
  onShowAll: () => void;
}

/** A part of a job's timeline (ms), and its name. */
export interface LogRange {
  from: number;
  to: number;
  label: string;
  /**
   * The attempt whose lines belong to this part. If null, the lines of all attempts at that time do; if undefined, none do, because no attempt was
   * running.
   */
  attempt: number | null | undefined;
}

/** The tolerance for the difference between the worker's clock, which log lines use, and the database's clock (ms). */
const SLACK_MS = 5;

function isIn(line: LogLine, range: LogRange | undefined): boolean {
  if (range?.attempt === undefined || (range.attempt !== null && range.attempt !== line.attempt)) return false;
  const at = Date.parse(line.loggedAt);
  return at >= range.from - SLACK_MS && at <= range.to + SLACK_MS;
}

export function Logs({ id, isLive, range, pointed, onShowAll }: LogsProps) {
  const { lines, dropped, isRead, error } = useLogs(id, isLive);
  const { zone } = usePreferences();
  const [level, setLevel] = useState("info");
  const [isFollowing, setFollowing] = useState(true);
  const list = useRef<HTMLOListElement>(null);
  const shown = lines.filter(
    (line) => LEVELS.indexOf(line.level) >= LEVELS.indexOf(level) && (range === undefined || isIn(line, range)),
  );
  const firstPointed = shown.find((line) => isIn(line, pointed))?.id;
  useEffect(() => {
    if (firstPointed === undefined) return;
    const line = list.current?.querySelector<HTMLElement>(`[data-line="${firstPointed}"]`);
    // Scrolls only the list, not the page.
    if (line !== null && line !== undefined) list.current?.scrollTo({ top: line.offsetTop - list.current.offsetTop - NEAR_END });
  }, [firstPointed]);
  useEffect(() => {
    if (isFollowing) list.current?.scrollTo(0, list.current.scrollHeight);
  }, [shown.length, isFollowing]);
  return (
    <Card
      title={words.detail.logs}
      actions={
        lines.length > 0 && (
          <div className="tool-bar">
            {isLive && <span className="muted">{isFollowing ? words.detail.following : words.detail.scrollToFollow}</span>}
            <select aria-label={words.detail.linesShown} value={level} onChange={({ target }) => setLevel(target.value)}>
              {Object.entries(words.detail.levels).map(([from, name]) => (
                <option key={from} value={from}>
                  {name}
                </option>
              ))}
            </select>
          </div>
        )
      }
    >
      {error !== undefined && <Failure error={error} />}
      {range !== undefined && (
        <p className="card-body log-range" role="status">
          {words.detail.linesOf(shown.length, range.label)}
          <Button kind="quiet" onClick={onShowAll}>
            {words.detail.allLines}
          </Button>
        </p>
      )}
      {shown.length === 0 ? (
        <p className="card-body muted" role="status">
          {!isRead
            ? words.detail.readingLogs
            : lines.length > 0
              ? words.detail.noLinesOfLevel
              : isLive
                ? words.detail.noLinesYet
                : words.detail.noLines}
        </p>
      ) : (
        <>
          {dropped > 0 && <p className="card-body muted">{words.detail.earlierLines(dropped)}</p>}
          <ol
            ref={list}
            className="log"
            tabIndex={0}
            aria-label={words.detail.logLines}
            onScroll={({ currentTarget: at }) => setFollowing(at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_END)}
          >
            {shown.map((line, index) => (
              <li key={line.id} data-level={line.level} data-line={line.id} data-pointed={isIn(line, pointed)}>
                {line.attempt !== shown[index - 1]?.attempt && (
                  <span className="log-attempt">{words.detail.attempt(line.attempt)}</span>
                )}
                <time dateTime={line.loggedAt} title={formatExact(line.loggedAt, zone)}>
                  {clockTime(line.loggedAt, zone)}
                </time>
                <span className="log-level">{line.level}</span>
                <span className="log-message">
                  {line.message}
                  {line.fields !== null && <code>{JSON.stringify(line.fields)}</code>}
                </span>
              </li>
            ))}
          </ol>
        </>
      )}
    </Card>
  );
}

const LEVELS = ["info", "warn", "error", "fatal"];

function clockTime(at: string, zone: "local" | "utc"): string {
  return new Date(at).toLocaleTimeString("en-GB", {
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  });
}
