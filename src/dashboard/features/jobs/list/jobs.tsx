import { ArrowUp, Plus, SearchX } from "lucide-react";
import { Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import { useMay } from "../../../api/me.ts";
import { Problem } from "../../../api/problem.ts";

import { Button } from "../../../components/button.tsx";
import { Empty, Failure, Loading } from "../../../components/notice.tsx";
import { Page } from "../../../components/page.tsx";
import { lazyPage } from "../../../router/lazy-page.ts";
import { usePlace } from "../../../router/place.ts";
import { PHONE, useMedia, WIDE } from "../../../components/use-media.ts";
import { announce } from "../../../components/toasts.tsx";
import { BulkBar } from "../bulk/bulk-bar.tsx";
import { EnqueueDialog } from "../enqueue-form/enqueue-dialog.tsx";
import { FilterBar, useNames } from "./filter-bar.tsx";
import type { JobKey } from "../detail/job-actions.tsx";
import { type JobFilter, type JobOrder, parseText, readFilter, readOrder, statesOf, writeFilter } from "../filter.ts";
import { Facets } from "./facets.tsx";
import { JobGrid } from "./grid.tsx";
import { type JobList, type ListPlace, useJobList } from "./use-job-list.ts";
import { useSelection } from "./use-selection.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";
import "./jobs.css";

const NONE: ReadonlySet<string> = new Set();

/** Loaded when a job is first shown beside the list. */
const JobPanel = lazyPage(() => import("./job-panel.tsx"));

/** The list of all jobs, newest first, with filters, live updates and bulk actions. */
export default function Jobs() {
  const [search, setSearch] = useSearchParams();
  const filter = useMemo(() => readFilter(search), [search]);
  const typed = search.get("q");
  const names = useNames();
  useEffect(() => {
    // Text from the search box at the top becomes a filter as soon as the names of tasks and queues are known.
    if (typed === null || names === undefined) return;
    setSearch(writeFilter(parseText(typed, names)), { replace: true });
  }, [typed, names, setSearch]);
  const order = readOrder(search);
  const change = useCallback(
    (next: JobFilter, by: JobOrder = order) => {
      const address = writeFilter(next);
      // Only running jobs can be sorted by how long they have been running.
      if (by !== "newest" && (by !== "longest" || next.state === "running")) address.set("order", by);
      setSearch(address);
    },
    [setSearch, order],
  );
  const key = `${writeFilter(filter).toString()} ${order}`;
  const isWide = useMedia(WIDE);
  const may = useMay("enqueuer");
  const made = search.get("new");
  const make = (task: string | undefined): void => {
    const next = writeFilter(filter);
    if (order !== "newest") next.set("order", order);
    if (task !== undefined) next.set("new", task);
    setSearch(next);
  };
  return (
    <Page
      title={words.list.title}
      actions={
        may && (
          <Button icon={<Plus aria-hidden="true" />} onClick={() => make(filter.task ?? "")}>
            {common.enqueueJob}
          </Button>
        )
      }
    >
      <div className="jobs-page">
        <FilterBar
          filter={filter}
          order={order}
          onChange={change}
          onOrder={(next) => change(next === "longest" ? { ...filter, state: "running" } : filter, next)}
          hasFacets={isWide}
        />
        {typed === null ? (
          <div className="jobs-columns">
            {isWide && <Facets filter={filter} onChange={change} />}
            <List key={key} filter={filter} order={order} onChange={change} />
          </div>
        ) : (
          <Loading />
        )}
      </div>
      {made !== null && may && <EnqueueDialog task={made} onTask={make} onClose={() => make(undefined)} />}
    </Page>
  );
}

/** Where the user was in the list. */
interface Place {
  list: ListPlace | undefined;
  offset: number;
  active: string | undefined;
  shown: string | undefined;
  selected: ReadonlySet<string>;
}

function List({ filter, order, onChange }: { filter: JobFilter; order: JobOrder; onChange: (next: JobFilter) => void }) {
  const { restored, keep } = usePlace<Place>("jobs");
  const [offset] = useState(restored?.offset ?? 0);
  const [isReading, setReading] = useState(
    restored !== undefined && (restored.offset > 4 || restored.active !== undefined || restored.selected.size > 0),
  );
  const [top, setTop] = useState(0);
  const [visible, setVisible] = useState<readonly string[]>([]);
  const [active, setActive] = useState(restored?.active);
  const [shown, setShown] = useState(restored?.shown);
  const [pressed, setPressed] = useState<JobKey>();
  const list = useJobList(filter, isReading, visible, order, restored?.list);
  const selection = useSelection(restored?.selected);
  const isPhone = useMedia(PHONE);
  const [, navigate] = useLocation();
  const { lines } = list;
  const now = useRef<Place>({ list: undefined, offset, active: undefined, shown: undefined, selected: NONE });
  useEffect(() => {
    now.current = { ...now.current, list: list.place, active, shown, selected: selection.ids };
  });
  useEffect(() => () => keep(now.current), [keep]);
  // The job that is shown beside the list is the active one.
  const beside = shown === undefined ? undefined : (active ?? shown);
  const close = (): void => {
    setShown(undefined);
    setPressed(undefined);
    document.querySelector<HTMLElement>(".job-grid")?.focus({ preventScroll: true });
  };
  if (lines === undefined) {
    if (list.error !== undefined && list.error !== null)
      return <Refused error={list.error} filter={filter} list={list} onChange={onChange} />;
    return (
      <div className="card job-list">
        <Loading rows={12} label={words.list.loading} />
      </div>
    );
  }
  return (
    <>
      <div className="card job-list">
        <Newer
          list={list}
          onShow={() => {
            selection.clear();
            list.follow();
            setTop((count) => count + 1);
          }}
        />
        <BulkBar filter={filter} lines={lines} hasMore={list.hasMore} selection={selection} />
        {list.error !== undefined && list.error !== null && <Failure error={list.error} retry={list.retry} />}
        {lines.length === 0 ? (
          <Nothing filter={filter} list={list} onChange={onChange} />
        ) : (
          <JobGrid
            lines={lines}
            selection={selection}
            active={active}
            onActive={setActive}
            hasMore={list.hasMore}
            isLoadingMore={list.isLoadingMore}
            loadMore={list.loadMore}
            onReading={setReading}
            onTop={list.follow}
            onVisible={setVisible}
            onShow={(id, action) => {
              if (isPhone) return navigate(`/jobs/${id}`);
              setShown(id);
              setPressed(action);
            }}
            onEscape={() => {
              if (shown !== undefined) close();
              return shown !== undefined;
            }}
            top={top}
            offset={offset}
            onOffset={(next) => {
              now.current.offset = next;
            }}
          />
        )}
        {lines.length > 0 && <Foot list={list} />}
      </div>
      {beside !== undefined && !isPhone && (
        <Suspense fallback={<div className="card job-panel" />}>
          <JobPanel id={beside} pressed={pressed} onPressed={() => setPressed(undefined)} onClose={close} />
        </Suspense>
      )}
    </>
  );
}

/** The number of jobs that have arrived while the user was reading, as a button that shows them. */
function Newer({ list, onShow }: { list: JobList; onShow: () => void }) {
  const text = words.list.newer(list.newer, list.newerIsCapped);
  const isThere = list.newer > 0;
  useEffect(() => {
    if (isThere) announce(words.list.thereAreNewer);
  }, [isThere]);
  if (!isThere) return null;
  return (
    <Button kind="primary" className="job-newer" icon={<ArrowUp aria-hidden="true" />} onClick={onShow}>
      {text}
    </Button>
  );
}

function Foot({ list }: { list: JobList }) {
  return (
    <footer className="job-foot muted">
      <span>{words.list.shown(list.lines?.length ?? 0, list.hasMore)}</span>
      {list.looked !== undefined && <span>{words.list.scanned(list.looked.at)}</span>}
      {list.hasMore && (
        <Button kind="quiet" busy={list.isLoadingMore} onClick={list.loadMore}>
          {list.looked === undefined ? common.loadMore : words.list.scanMore}
        </Button>
      )}
    </footer>
  );
}

function Nothing({ filter, list, onChange }: { filter: JobFilter; list: JobList; onChange: (next: JobFilter) => void }) {
  if (list.looked !== undefined && list.hasMore) {
    return (
      <Empty title={words.list.notYetFound(list.looked.at)}>
        <p>{words.list.scanExplained(list.looked.to)}</p>
        <Button busy={list.isLoadingMore} onClick={list.loadMore}>
          {words.list.scanMore}
        </Button>
      </Empty>
    );
  }
  if (Object.keys(filter).length === 0) {
    return <Empty title={words.list.noneYet}>{words.list.noneYetHint}</Empty>;
  }
  return (
    <Empty title={words.list.noMatches}>
      <p>
        {words.list.noMatchesHint} {list.looked === undefined ? "" : words.list.scanned(list.looked.at)}
      </p>
      <Button onClick={() => onChange({})}>{common.clearFilters}</Button>
    </Empty>
  );
}

/** Shown for a filter that no index supports: the server's message, and buttons for filters that are supported. */
function Refused({
  error,
  filter,
  list,
  onChange,
}: {
  error: unknown;
  filter: JobFilter;
  list: JobList;
  onChange: (next: JobFilter) => void;
}) {
  const isFilter = error instanceof Problem && error.code === "LW400";
  const needsState =
    isFilter &&
    (filter.error ?? filter.priority ?? filter.worker) !== undefined &&
    (filter.state === undefined || statesOf(filter).includes("completed"));
  if (!isFilter) return <Failure error={error} retry={list.retry} />;
  return (
    <div className="card job-refused" role="alert">
      <SearchX aria-hidden="true" />
      <p>
        <strong>{error.message}</strong> <code className="code-badge">{error.code}</code>
      </p>
      {error.hint !== undefined && <p className="muted">{error.hint}</p>}
      <div className="tool-bar">
        {needsState &&
          (filter.error === undefined ? ["pending", "failed", "scheduled"] : ["failed", "retrying", "cancelled"]).map((state) => (
            <Button key={state} onClick={() => onChange({ ...filter, state })}>
              {words.list.showOnly(state)}
            </Button>
          ))}
        <Button kind="quiet" onClick={() => onChange({})}>
          {common.clearFilters}
        </Button>
      </div>
    </div>
  );
}
