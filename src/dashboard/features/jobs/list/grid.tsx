import { useVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type KeyboardEvent, useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { usePreferences } from "../../../components/preferences.ts";
import { isFinished, State } from "../../../components/state-badge.tsx";
import { common } from "../../../components/words.ts";
import type { JobKey } from "../detail/job-actions.tsx";
import type { JobLine } from "../job-line.ts";
import { words } from "../words.ts";
import { useColumns } from "./column-menu.tsx";
import { COLUMN, type ColumnName, Detail, fittingColumns } from "./columns.tsx";
import { useGridKeys } from "./use-grid-keys.ts";
import type { Selection } from "./use-selection.ts";

/** The row heights (px): for one line, or for three lines in a narrow list. They are fixed, so that scrolling requires no measurements. */
const ROW = { compact: 32, comfortable: 40 } as const;
const ROW_NARROW = 80;
/** The width below which a job is shown on three lines (px). */
const NARROW = 420;

/** How close to the end of the loaded rows the next page is fetched (rows). */
const AHEAD = 120;

/** How long a row must be visible before its job is refetched (ms). */
const SETTLE_MS = 400;

/** How long a row whose job has changed is highlighted (ms). */
const HIGHLIGHT_MS = 150;

export interface GridProps {
  lines: readonly JobLine[];
  selection: Selection;
  /** The job that the keyboard acts on. */
  active: string | undefined;
  onActive: (id: string | undefined) => void;
  hasMore: boolean;
  isLoadingMore: boolean;
  loadMore: () => void;
  /** Called when this changes: `isReading` is true while the user has scrolled down or selected a row, so that rows must not move. */
  onReading: (isReading: boolean) => void;
  /** Called when the user has scrolled back to the top and no row is selected. */
  onTop: () => void;
  /** Called with the visible jobs that may still change. */
  onVisible: (ids: readonly string[]) => void;
  /** Shows a job beside the list, and performs an action there. */
  onShow: (id: string, action?: JobKey) => void;
  /** Called on Escape; returns whether something was closed. */
  onEscape: () => boolean;
  /** Changes when the list must scroll to its top. */
  top: number;
  /** The initial scroll position (px), and a function that is called when the position changes. */
  offset: number;
  onOffset: (offset: number) => void;
}

/** The list of jobs. Only visible rows are in the document, however many are loaded. For screen readers it is a grid with a single tab stop. */
export function JobGrid({
  lines,
  selection,
  active,
  onActive,
  hasMore,
  isLoadingMore,
  loadMore,
  onReading,
  onTop,
  onVisible,
  onShow,
  onEscape,
  top,
  offset,
  onOffset,
}: GridProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const width = useWidth(scroller);
  const isNarrow = width < NARROW;
  const { density } = usePreferences();
  const row = isNarrow ? ROW_NARROW : ROW[density];
  const chosen = useColumns();
  const columns = isNarrow ? (["details"] as const) : fittingColumns(chosen, width);
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
    initialOffset: offset,
  });
  useEffect(() => virtual.measure(), [row, virtual]);
  const shownTop = useRef(top);
  useEffect(() => {
    if (shownTop.current === top) return;
    shownTop.current = top;
    scroller.current?.scrollTo(0, 0);
    onActive(undefined);
  }, [top, onActive]);

  const [isAway, setAway] = useState(offset > 4);
  useEffect(() => onReading(isAway || active !== undefined || selection.count > 0), [isAway, active, selection.count, onReading]);

  const items = virtual.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  const visible = items
    .flatMap(({ index: at }) => {
      const line = lines[at];
      // A failed job may still change, because it can be retried.
      return line === undefined || (isFinished(line.state) && line.state !== "failed") ? [] : [line.id];
    })
    .join(" ");
  useEffect(() => {
    // Waits until scrolling pauses, because rows that have only scrolled past need no refetch.
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
      onActive(line.id);
      virtual.scrollToIndex(lines.indexOf(line));
      // Screen readers announce the active row only while the grid has focus.
      if (document.activeElement !== scroller.current) scroller.current?.focus({ preventScroll: true });
    },
    [lines, virtual, onActive],
  );
  const press = useGridKeys({
    index,
    page: Math.max(1, Math.floor((scroller.current?.clientHeight ?? 400) / row) - 1),
    count: lines.length,
    moveTo,
    show: () => {
      if (active !== undefined) onShow(active);
    },
    open: () => {
      if (active !== undefined) navigate(`/jobs/${active}`);
    },
    act: (action) => {
      if (active !== undefined) onShow(active, action);
    },
    toggle: (isRange) => {
      if (active !== undefined) selection.toggle(active, isRange, lines);
    },
    selectAll: () => selection.selectAll(lines),
    clear: () => {
      if (onEscape()) scroller.current?.focus({ preventScroll: true });
      else if (selection.count > 0) selection.clear();
      else onActive(undefined);
    },
  });

  return (
    <div
      ref={scroller}
      className="job-grid"
      data-narrow={isNarrow}
      style={
        {
          // All id columns are as wide as the longest id, so that the columns of all rows align.
          "--id-digits": Math.max(6, ...lines.slice(0, 1).map(({ id }) => id.length)),
          "--columns": columns.map((name) => COLUMN[name].track).join(" "),
          "--job-row": `${row}px`,
        } as CSSProperties
      }
      role="grid"
      tabIndex={0}
      aria-label={words.list.title}
      aria-rowcount={hasMore ? -1 : lines.length + 1}
      aria-multiselectable="true"
      aria-activedescendant={index < 0 ? undefined : `${prefix}${active}`}
      onKeyDown={(event: KeyboardEvent) => press(event.nativeEvent)}
      onClick={({ target, detail }) => {
        // A click on a row shows its job. Links and checkboxes work as usual, and text can be selected.
        if (!(target instanceof HTMLElement) || target.closest("a, input") !== null || detail !== 1) return;
        const id = target.closest<HTMLElement>("[data-job]")?.dataset.job;
        if (id === undefined || document.getSelection()?.isCollapsed === false) return;
        onActive(id);
        onShow(id);
      }}
      onScroll={({ currentTarget }) => {
        const isBelow = currentTarget.scrollTop > 4;
        if (isAway && !isBelow && active === undefined && selection.count === 0) onTop();
        setAway(isBelow);
        onOffset(currentTarget.scrollTop);
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
        {columns.map((name) => (
          <span key={name} role="columnheader" className={COLUMN[name].isEnd === true ? "end truncate" : "truncate"}>
            {COLUMN[name].title}
          </span>
        ))}
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
              columns={columns}
              isNarrow={isNarrow}
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
  columns,
  isNarrow,
  position,
  offset,
  height,
  isActive,
  isSelected,
  onPick,
}: {
  id: string;
  line: JobLine;
  columns: readonly ColumnName[];
  isNarrow: boolean;
  position: number;
  offset: number;
  height: number;
  isActive: boolean;
  isSelected: boolean;
  onPick: (isRange: boolean) => void;
}) {
  const element = useRef<HTMLDivElement>(null);
  useHighlight(element, `${line.state} ${line.attempts} ${line.error}`);
  return (
    <div
      ref={element}
      id={id}
      data-job={line.id}
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
      <span role="gridcell" className="job-task truncate" title={line.task} dir="auto">
        {line.task}
      </span>
      {isNarrow ? (
        <>
          <span role="gridcell" className="job-detail truncate">
            <Detail line={line} />
          </span>
          <span role="gridcell" className="job-created end">
            {COLUMN.created.cell(line)}
          </span>
        </>
      ) : (
        columns.map((name) => (
          <span
            key={name}
            role="gridcell"
            className={`truncate ${COLUMN[name].isEnd === true ? "end" : ""} ${name === "details" ? "job-detail" : ""}`}
          >
            {COLUMN[name].cell(line)}
          </span>
        ))
      )}
    </div>
  );
}

/** Highlights an element briefly when its version changes, unless the user prefers reduced motion. */
function useHighlight(element: React.RefObject<HTMLElement | null>, version: string): void {
  const shown = useRef(version);
  useEffect(() => {
    if (shown.current === version) return;
    shown.current = version;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    element.current?.animate({ backgroundColor: ["var(--accent-ground)", "var(--accent-ground)"] }, HIGHLIGHT_MS);
  }, [element, version]);
}

/** The width of an element (px), measured before it is first drawn. */
function useWidth(element: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(1_000);
  useLayoutEffect(() => {
    const measured = element.current;
    if (measured === null) return undefined;
    setWidth(measured.clientWidth);
    const observer = new ResizeObserver(() => setWidth(measured.clientWidth));
    observer.observe(measured);
    return () => observer.disconnect();
  }, [element]);
  return width;
}
