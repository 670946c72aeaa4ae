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
      head={[words.workflow, common.state, words.steps, common.progress, common.started, common.duration]}
      empty={
        <Empty title={state === "" ? words.noWorkflows : words.noWorkflowsIn(state)}>
          <Sentence text={words.noWorkflowsHint} slots={{ statement: <code>select legwork.start_workflow(…)</code> }} />
        </Empty>
      }
    >
      {(workflow: Workflow) => (
        <tr key={workflow.id}>
          <th scope="row">
            <Link href={`/workflows/${workflow.id}`}>{workflow.name}</Link>
            <span className="cell-detail">
              {workflow.id}
              {workflow.tenant === null ? "" : ` · ${workflow.tenant}`}
            </span>
          </th>
          <td>
            <State state={workflow.state} />
            {workflow.reason !== null && <span className="cell-detail">{workflow.reason}</span>}
          </td>
          <td>{describeCounts(workflow)}</td>
          <td>
            <Progress percent={workflow.progress} label={words.progressOfWorkflow(workflow.id)} />
          </td>
          <td>
            <Time at={workflow.createdAt} />
          </td>
          <td>
            <Duration from={workflow.createdAt} to={workflow.endedAt} />
          </td>
        </tr>
      )}
    </List>
  );
}

function Batches({ state }: { state: string }) {
  const query = useRuns<Batch>("batches", state);
  return (
    <List
      query={query}
      label={words.batches}
      head={[words.batch, common.state, common.jobs, common.progress, common.enqueued, common.duration]}
      empty={<Empty title={state === "" ? words.noBatches : words.noBatchesIn(state)} />}
    >
      {(batch: Batch) => (
        <tr key={batch.id}>
          <th scope="row">
            <Link href={`/batches/${batch.id}`}>{batch.description ?? words.batchTitle(batch.id)}</Link>
            <span className="cell-detail">
              {batch.id}
              {batch.tenant === null ? "" : ` · ${batch.tenant}`}
            </span>
          </th>
          <td>
            <State state={batch.state} />
          </td>
          <td>{describeCounts(batch)}</td>
          <td>
            <Progress percent={batch.progress} label={words.progressOfBatch(batch.id)} />
          </td>
          <td>
            <Time at={batch.createdAt} />
          </td>
          <td>
            <Duration from={batch.createdAt} to={batch.endedAt} />
          </td>
        </tr>
      )}
    </List>
  );
}

/** 3 of 5 completed, 1 failed. */
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

function List<T>({
  query,
  label,
  head,
  empty,
  children,
}: {
  query: ReturnType<typeof useRuns<T & (Workflow | Batch)>>;
  label: string;
  head: readonly string[];
  empty: ReactNode;
  children: (item: T) => ReactNode;
}) {
  if (query.data === undefined) return query.isError ? <Failure error={query.error} retry={query.refetch} /> : <Loading />;
  const items = query.data.pages.flatMap((page) => page.items);
  if (items.length === 0) return empty;
  return (
    <>
      {query.isError && <Failure error={query.error} retry={query.refetch} />}
      <div className="table-scroll" tabIndex={0} role="region" aria-label={label}>
        <table className="table">
          <thead>
            <tr>
              {head.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{items.map(children)}</tbody>
        </table>
      </div>
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
