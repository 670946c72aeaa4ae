import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type CSSProperties,
  type KeyboardEvent,
  useCallback,
  useEffect,
  useId,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { Link, useLocation } from "wouter";
import { Duration, Time } from "../../../components/time/time.tsx";
import { isFinished, State } from "../../../components/state-badge.tsx";
import type { JobLine } from "../job-line.ts";
import type { Selection } from "./use-selection.ts";
import { useGridKeys } from "./use-grid-keys.ts";
import { Sentence } from "../../../components/sentence.tsx";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

/** Heights of a row (px): one line, or three on narrow screens. Fixed, so that scrolling needs no measuring. */
const ROW = 38;
const ROW_NARROW = 80;
const NARROW = "(max-width: 860px)";

/** The distance to the end of the loaded rows at which the next page is fetched (rows). */
const AHEAD = 120;

/** How long a row must be visible before its job is refetched (ms). */
const SETTLE_MS = 400;

export interface GridProps {
  lines: readonly JobLine[];
  selection: Selection;
  hasMore: boolean;
  isLoadingMore: boolean;
  loadMore: () => void;
  /** Called with whether the user has scrolled down or selected a row, so that rows must not move. */
  onReading: (isReading: boolean) => void;
  /** Called when the user has scrolled back to the top and no row is selected. */
  onTop: () => void;
  /** Called with the visible jobs that may still change. */
  onVisible: (ids: readonly string[]) => void;
  /** Changes when the list must scroll to its top. */
  top: number;
}

/** The list of jobs. Only visible rows are in the page, however many are loaded. A grid for screen readers, with a single tab stop. */
export function JobGrid({ lines, selection, hasMore, isLoadingMore, loadMore, onReading, onTop, onVisible, top }: GridProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const isNarrow = useNarrow();
  const row = isNarrow ? ROW_NARROW : ROW;
  const [active, setActive] = useState<string>();
  const [, navigate] = useLocation();
  const prefix = useId();
  const index = active === undefined ? -1 : lines.findIndex(({ id }) => id === active);
  // oxlint-disable-next-line react/incompatible-library -- its result is used only here
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => row,
    getItemKey: (at) => lines[at]?.id ?? at,
    overscan: 12,
  });
  useEffect(() => virtual.measure(), [row, virtual]);
  useEffect(() => {
    scroller.current?.scrollTo(0, 0);
    setActive(undefined);
  }, [top]);

  const [isAway, setAway] = useState(false);
  useEffect(() => onReading(isAway || active !== undefined || selection.count > 0), [isAway, active, selection.count, onReading]);

  const items = virtual.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  const visible = items
    .flatMap(({ index: at }) => {
      const line = lines[at];
      // A failed job may be retried.
      return line === undefined || (isFinished(line.state) && line.state !== "failed") ? [] : [line.id];
    })
    .join(" ");
  useEffect(() => {
    // Not while scrolling: rows that have passed by need no refetch.
    const timer = setTimeout(() => onVisible(visible === "" ? [] : visible.split(" ")), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [visible, onVisible]);
  useEffect(() => {
    if (isAway && hasMore && !isLoadingMore && lastShown >= lines.length - AHEAD) loadMore();
  }, [isAway, hasMore, isLoadingMore, lastShown, lines.length, loadMore]);

  const moveTo = useCallback(
    (to: number) => {
      const line = lines[Math.max(0, Math.min(lines.length - 1, to))];
      if (line === undefined) return;
      setActive(line.id);
      virtual.scrollToIndex(lines.indexOf(line));
    },
    [lines, virtual],
  );
  const press = useGridKeys({
    index,
    page: Math.max(1, Math.floor((scroller.current?.clientHeight ?? 400) / row) - 1),
    count: lines.length,
    moveTo,
    open: () => {
      if (active !== undefined) navigate(`/jobs/${active}`);
    },
    toggle: (isRange) => {
      if (active !== undefined) selection.toggle(active, isRange, lines);
    },
    selectAll: () => selection.selectAll(lines),
    clear: () => {
      if (selection.count > 0) selection.clear();
      else setActive(undefined);
    },
  });

  return (
    <div
      ref={scroller}
      className="job-grid"
      // As wide as the longest id, so that the columns of all rows align.
      style={{ "--id-digits": Math.max(6, ...lines.slice(0, 1).map(({ id }) => id.length)) } as CSSProperties}
      role="grid"
      tabIndex={0}
      aria-label={words.list.title}
      aria-rowcount={hasMore ? -1 : lines.length + 1}
      aria-multiselectable="true"
      aria-activedescendant={index < 0 ? undefined : `${prefix}${active}`}
      onKeyDown={(event: KeyboardEvent) => press(event.nativeEvent)}
      onScroll={({ currentTarget }) => {
        const isBelow = currentTarget.scrollTop > 4;
        if (isAway && !isBelow && active === undefined && selection.count === 0) onTop();
        setAway(isBelow);
      }}
    >
      <div className="job-row job-head" role="row" aria-rowindex={1}>
        <span role="columnheader">
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={words.list.selectAllLoaded}
            checked={lines.length > 0 && selection.count >= lines.length}
            onChange={() => (selection.count >= lines.length ? selection.clear() : selection.selectAll(lines))}
          />
        </span>
        <span role="columnheader">{common.state}</span>
        <span role="columnheader">{common.job}</span>
        <span role="columnheader">{common.task}</span>
        <span role="columnheader" className="job-queue">
          {common.queue}
        </span>
        <span role="columnheader" className="job-detail">
          {words.list.details}
        </span>
        <span role="columnheader" className="end job-attempts">
          {common.attempts}
        </span>
        <span role="columnheader" className="end job-took">
          {common.duration}
        </span>
        <span role="columnheader" className="end">
          {common.created}
        </span>
      </div>
      <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {items.map((item) => {
          const line = lines[item.index];
          if (line === undefined) return null;
          return (
            <Row
              key={line.id}
              id={`${prefix}${line.id}`}
              line={line}
              position={item.index + 2}
              offset={item.start}
              height={row}
              isActive={line.id === active}
              isSelected={selection.has(line.id)}
              onPick={(isRange) => {
                selection.toggle(line.id, isRange, lines);
              }}
            />
          );
        })}
      </div>
    </div>
  );
}

function Row({
  id,
  line,
  position,
  offset,
  height,
  isActive,
  isSelected,
  onPick,
}: {
  id: string;
  line: JobLine;
  position: number;
  offset: number;
  height: number;
  isActive: boolean;
  isSelected: boolean;
  onPick: (isRange: boolean) => void;
}) {
  return (
    <div
      id={id}
      className="job-row"
      role="row"
      aria-rowindex={position}
      aria-selected={isSelected}
      data-active={isActive}
      style={{ height, transform: `translateY(${offset}px)` }}
    >
      <span role="gridcell">
        <input
          type="checkbox"
          tabIndex={-1}
          aria-label={words.list.selectJob(line.id)}
          checked={isSelected}
          onClick={(event) => onPick(event.shiftKey)}
          onChange={() => undefined}
        />
      </span>
      <span role="gridcell" className="job-state">
        <State state={line.state} />
      </span>
      <span role="gridcell" className="job-id number">
        <Link href={`/jobs/${line.id}`} tabIndex={-1}>
          {line.id}
        </Link>
      </span>
      <span role="gridcell" className="job-task truncate" title={line.task}>
        {line.task}
      </span>
      <span role="gridcell" className="job-queue truncate muted" title={line.queue}>
        {line.queue}
      </span>
      <span role="gridcell" className="job-detail truncate">
        <Detail line={line} />
      </span>
      <span role="gridcell" className="job-attempts end number">
        {line.attempts === 0 ? <span className="muted">–</span> : common.of(line.attempts, line.maxAttempts)}
      </span>
      <span role="gridcell" className="job-took end">
        <Duration from={line.startedAt} to={line.finishedAt ?? (line.state === "running" ? null : line.startedAt)} />
      </span>
      <span role="gridcell" className="job-created end">
        <Time at={line.createdAt} />
      </span>
    </div>
  );
}

/** The details of a job in one line: its progress, its start or its error. */
function Detail({ line }: { line: JobLine }) {
  if (line.state === "running" && line.progress !== null) {
    return (
      <span className="job-progress">
        <progress max={100} value={line.progress} aria-label={words.list.progressOfJob(line.id)} />
        <span className="number">{Math.round(line.progress)}%</span>
        {line.progressMessage !== null && <span className="muted truncate">{line.progressMessage}</span>}
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
      <span title={line.error} className={line.state === "failed" ? "job-error" : "muted"}>
        {line.state === "retrying" && <Sentence text={words.list.retries} slots={{ at: <Time at={line.runAt} /> }} />}
        {text}
      </span>
    );
  }
  if (line.tenant !== null || line.correlationId !== null) {
    return <span className="muted">{[line.tenant, line.correlationId].filter((each) => each !== null).join(" · ")}</span>;
  }
  return null;
}

function useNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      const query = matchMedia(NARROW);
      query.addEventListener("change", listener);
      return () => query.removeEventListener("change", listener);
    },
    () => matchMedia(NARROW).matches,
  );
}
