import { ArrowUp, Plus, SearchX } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useSearchParams } from "wouter";
import { useMay } from "../../../api/me.ts";
import { Problem } from "../../../api/problem.ts";

import { Button } from "../../../components/button.tsx";
import { Empty, Failure, Loading } from "../../../components/notice.tsx";
import { Page } from "../../../components/page.tsx";
import { announce } from "../../../components/toasts.tsx";
import { BulkBar } from "../bulk/bulk-bar.tsx";
import { EnqueueDialog } from "../enqueue-form/enqueue-dialog.tsx";
import { FilterBar, useNames } from "./filter-bar.tsx";
import { type JobFilter, parseText, readFilter, writeFilter } from "../filter.ts";
import { JobGrid } from "./grid.tsx";
import { type JobList, useJobList } from "./use-job-list.ts";
import { useSelection } from "./use-selection.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";
import "./jobs.css";

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
  const change = useCallback((next: JobFilter) => setSearch(writeFilter(next)), [setSearch]);
  const key = writeFilter(filter).toString();
  const may = useMay("enqueuer");
  const made = search.get("new");
  const make = (task: string | undefined): void => {
    const next = writeFilter(filter);
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
        <FilterBar filter={filter} onChange={change} />
        {typed === null ? <List key={key} filter={filter} onChange={change} /> : <Loading />}
      </div>
      {made !== null && may && <EnqueueDialog task={made} onTask={make} onClose={() => make(undefined)} />}
    </Page>
  );
}

function List({ filter, onChange }: { filter: JobFilter; onChange: (next: JobFilter) => void }) {
  const [isReading, setReading] = useState(false);
  const [top, setTop] = useState(0);
  const [visible, setVisible] = useState<readonly string[]>([]);
  const list = useJobList(filter, isReading, visible);
  const selection = useSelection();
  const { lines } = list;
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
          hasMore={list.hasMore}
          isLoadingMore={list.isLoadingMore}
          loadMore={list.loadMore}
          onReading={setReading}
          onTop={list.follow}
          onVisible={setVisible}
          top={top}
        />
      )}
      {lines.length > 0 && <Foot list={list} />}
    </div>
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

/** A filter that no index supports: the server's message, and buttons for filters that are supported. */
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
    (filter.error !== undefined || filter.priority !== undefined) &&
    (filter.state === undefined || filter.state === "completed");
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
