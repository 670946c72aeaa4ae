import type { ReactNode } from "react";
import { Link, useSearchParams } from "wouter";

import { Duration, Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { Empty, Failure, Loading } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { State } from "../../components/state-badge.tsx";
import { Progress } from "./progress.tsx";
import { type Batch, useRuns, type Workflow } from "../../api/workflows.ts";
import { BATCH_STATES, WORKFLOW_STATES } from "../../../contract/states.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import type { Column } from "../../components/table/column.ts";
import { CellDetail, Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";
import "../limits/limits.css";
import "./workflows.css";

const KINDS = { workflows: words.workflows, batches: words.batches } as const;

export default function WorkflowsPage() {
  const [search, setSearch] = useSearchParams();
  const kind = search.get("show") === "batches" ? "batches" : "workflows";
  const state = search.get("state") ?? "";
  const set = (change: Record<string, string>): void => {
    setSearch(
      (before) => {
        const after = new URLSearchParams(before);
        for (const [name, value] of Object.entries(change)) {
          if (value === "") after.delete(name);
          else after.set(name, value);
        }
        return after;
      },
      { replace: true },
    );
  };
  return (
    <Page title={words.title} lead={words.lead}>
      <div className="tool-bar">
        <span className="tool-bar" role="group" aria-label={words.shown}>
          {Object.entries(KINDS).map(([value, label]) => (
            <Button
              key={value}
              aria-pressed={value === kind}
              onClick={() => set({ show: value === "batches" ? value : "", state: "" })}
            >
              {label}
            </Button>
          ))}
        </span>
        <select aria-label={common.state} value={state} onChange={({ target }) => set({ state: target.value })}>
          <option value="">{common.anyState}</option>
          {(kind === "batches" ? BATCH_STATES : WORKFLOW_STATES).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </div>
      <Card>{kind === "batches" ? <Batches state={state} /> : <Workflows state={state} />}</Card>
    </Page>
  );
}

function Workflows({ state }: { state: string }) {
  const query = useRuns<Workflow>("workflows", state);
  return (
    <List
      query={query}
      label={words.workflows}
      columns={[
        {
          id: "workflow",
          head: words.workflow,
          kind: "name",
          render: ({ id, name, tenant }) => (
            <>
              <Link href={`/workflows/${id}`}>{name}</Link>
              <CellDetail>
                {id}
                {tenant === null ? "" : ` · ${tenant}`}
              </CellDetail>
            </>
          ),
        },
        {
          id: "state",
          head: common.state,
          render: ({ state: is, reason }) => (
            <>
              <State state={is} />
              {reason !== null && <CellDetail>{reason}</CellDetail>}
            </>
          ),
        },
        { id: "steps", head: words.steps, render: describeCounts },
        {
          id: "progress",
          head: common.progress,
          render: ({ id, progress }) => <Progress percent={progress} label={words.progressOfWorkflow(id)} />,
        },
        { id: "started", head: common.started, render: ({ createdAt }) => <Time at={createdAt} /> },
        {
          id: "duration",
          head: common.duration,
          render: ({ createdAt, endedAt }) => <Duration from={createdAt} to={endedAt} />,
        },
      ]}
      empty={
        <Empty title={state === "" ? words.noWorkflows : words.noWorkflowsIn(state)}>
          <Sentence text={words.noWorkflowsHint} slots={{ statement: <code>select legwork.start_workflow(…)</code> }} />
        </Empty>
      }
    />
  );
}

function Batches({ state }: { state: string }) {
  const query = useRuns<Batch>("batches", state);
  return (
    <List
      query={query}
      label={words.batches}
      columns={[
        {
          id: "batch",
          head: words.batch,
          kind: "name",
          render: ({ id, description, tenant }) => (
            <>
              <Link href={`/batches/${id}`}>{description ?? words.batchTitle(id)}</Link>
              <CellDetail>
                {id}
                {tenant === null ? "" : ` · ${tenant}`}
              </CellDetail>
            </>
          ),
        },
        { id: "state", head: common.state, render: ({ state: is }) => <State state={is} /> },
        { id: "jobs", head: common.jobs, render: describeCounts },
        {
          id: "progress",
          head: common.progress,
          render: ({ id, progress }) => <Progress percent={progress} label={words.progressOfBatch(id)} />,
        },
        { id: "enqueued", head: common.enqueued, render: ({ createdAt }) => <Time at={createdAt} /> },
        {
          id: "duration",
          head: common.duration,
          render: ({ createdAt, endedAt }) => <Duration from={createdAt} to={endedAt} />,
        },
      ]}
      empty={<Empty title={state === "" ? words.noBatches : words.noBatchesIn(state)} />}
    />
  );
}

/** The counts of a workflow or batch in words: 3 of 5 completed, 1 failed. */
export function describeCounts({
  total,
  completed,
  failed,
  cancelled,
  expired,
}: Pick<Workflow, "total" | "completed" | "failed" | "cancelled" | "expired">): string {
  const others = Object.entries({ failed, cancelled, expired }).filter(([, count]) => count !== "0");
  return [words.completed(completed, total), ...others.map(([name, count]) => words.others(count, name))].join(", ");
}

function List<T extends Workflow | Batch>({
  query,
  label,
  columns,
  empty,
}: {
  query: ReturnType<typeof useRuns<T>>;
  label: string;
  columns: readonly Column<T>[];
  empty: ReactNode;
}) {
  if (query.data === undefined) return query.isError ? <Failure error={query.error} retry={query.refetch} /> : <Loading />;
  const items = query.data.pages.flatMap((page) => page.items);
  if (items.length === 0) return empty;
  return (
    <>
      {query.isError && <Failure error={query.error} retry={query.refetch} />}
      <Table label={label} corner rows={items} rowKey={({ id }) => id} columns={columns} />
      {query.hasNextPage && (
        <p className="card-body">
          <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            {common.loadMore}
          </Button>
        </p>
      )}
    </>
  );
}
