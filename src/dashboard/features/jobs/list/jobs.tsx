import { ArrowUp, Plus, SearchX } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useSearchParams } from "wouter";
import { useMay } from "../../../api/me.ts";
import { Problem } from "../../../api/problem.ts";
import { formatCount } from "../../../components/numbers.ts";
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
import "./jobs.css";

/** Every job there is, newest first: found, followed, and acted on one by one or all at once. */
export default function Jobs() {
  const [search, setSearch] = useSearchParams();
  const filter = useMemo(() => readFilter(search), [search]);
  const typed = search.get("q");
  const names = useNames();
  useEffect(() => {
    // What the search box of the frame sends is made a filter, once it is known which names there are.
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
      title="Jobs"
      actions={
        may && (
          <Button icon={<Plus aria-hidden="true" />} onClick={() => make(filter.task ?? "")}>
            Enqueue a job
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
        <Loading rows={12} label="Loading jobs" />
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

/** Jobs that have come while somebody was reading: told of, and shown when asked for. */
function Newer({ list, onShow }: { list: JobList; onShow: () => void }) {
  const text = `${list.newer}${list.newerIsCapped ? " or more" : ""} newer`;
  const isThere = list.newer > 0;
  useEffect(() => {
    if (isThere) announce("There are newer jobs.");
  }, [isThere]);
  if (!isThere) return null;
  return (
    <Button kind="primary" className="job-newer" icon={<ArrowUp aria-hidden="true" />} onClick={onShow}>
      {text}
    </Button>
  );
}

function Foot({ list }: { list: JobList }) {
  const count = formatCount(list.lines?.length ?? 0);
  return (
    <footer className="job-foot muted">
      <span>{list.hasMore ? `${count} jobs loaded; there are more.` : `${count} jobs. That is all.`}</span>
      {list.looked !== undefined && <span>The payloads of {formatCount(list.looked.at)} jobs were read.</span>}
      {list.hasMore && (
        <Button kind="quiet" busy={list.isLoadingMore} onClick={list.loadMore}>
          {list.looked === undefined ? "Load older" : "Look further"}
        </Button>
      )}
    </footer>
  );
}

function Nothing({ filter, list, onChange }: { filter: JobFilter; list: JobList; onChange: (next: JobFilter) => void }) {
  if (list.looked !== undefined && list.hasMore) {
    return (
      <Empty title={`Not among the ${formatCount(list.looked.at)} newest jobs that fit.`}>
        <p>
          No index has what is in payloads, so a search reads 10,000 of them at a time
          {list.looked.to === null ? "" : `; this one has come down to job ${list.looked.to}`}. A task, a queue or a time makes it
          find more with less.
        </p>
        <Button busy={list.isLoadingMore} onClick={list.loadMore}>
          Look further
        </Button>
      </Empty>
    );
  }
  if (Object.keys(filter).length === 0) {
    return (
      <Empty title="There are no jobs yet.">
        Whatever is enqueued shows up here at once: by SQL, by a trigger, by a schedule, or by the button above.
      </Empty>
    );
  }
  return (
    <Empty title="No job fits.">
      <p>
        Jobs that have ended are kept as long as the history is.{" "}
        {list.looked === undefined ? "" : `${formatCount(list.looked.at)} payloads were read.`}
      </p>
      <Button onClick={() => onChange({})}>Clear the filters</Button>
    </Empty>
  );
}

/** A filter that no index serves: what the server says, and what would make it one, as buttons. */
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
              Look among {state} jobs
            </Button>
          ))}
        <Button kind="quiet" onClick={() => onChange({})}>
          Clear the filters
        </Button>
      </div>
    </div>
  );
}
