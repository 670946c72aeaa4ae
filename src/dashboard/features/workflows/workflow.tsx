import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CircleX, RotateCw } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { jobsPath } from "../../router/links.ts";
import { Duration, ExactTime, Time } from "../../components/time/time.tsx";
import type { PageProps } from "../../router/page-props.ts";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { Loading } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { State } from "../../components/state-badge.tsx";
import { tell } from "../../components/toasts.tsx";
import { Progress } from "./progress.tsx";
import { describeCounts } from "./workflows.tsx";
import { type Step, useWorkflow, type WorkflowWithSteps } from "../../api/workflows.ts";
import "./workflows.css";

// The library that draws graphs comes with the first one.
const StepGraph = lazy(() => import("./step-graph.tsx"));

export default function WorkflowPage({ parameters }: PageProps) {
  const id = parameters.id ?? "";
  const query = useWorkflow(id);
  const workflow = query.data;
  return (
    <Page
      title={workflow === undefined ? `Workflow ${id}` : workflow.name}
      lead={<Link href="/workflows">Workflows</Link>}
      actions={workflow !== undefined && <Actions workflow={workflow} />}
    >
      <QueryResult query={query}>
        {(found) => (
          <>
            <Card>
              <div className="card-body run-head" aria-live="polite">
                <State state={found.state} />
                <Progress percent={found.progress} label="Progress" />
                <span>{describeCounts(found)}</span>
                {found.reason !== null && <span className="muted">{found.reason}</span>}
              </div>
            </Card>
            <Card title="Steps">
              <Suspense fallback={<Loading rows={8} />}>
                <StepGraph steps={found.steps} />
              </Suspense>
            </Card>
            <StepTable workflow={found} />
            <Facts workflow={found} />
          </>
        )}
      </QueryResult>
    </Page>
  );
}

function useAct(id: string, onDone: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ path, body }: { path: string; body: Record<string, string>; done: string }) =>
      rest<WorkflowWithSteps>("POST", `/workflows/${encodeURIComponent(id)}/${path}`, body),
    onSuccess: (workflow, { done }) => {
      client.setQueryData(["workflow", id], workflow);
      tell(done);
      onDone();
    },
  });
}

/** Cancelling one that goes on; going on with one that has ended otherwise than well. */
function Actions({ workflow }: { workflow: WorkflowWithSteps }) {
  const may = useMay("operator");
  const [open, setOpen] = useState<"cancel" | "retry">();
  if (!may) return null;
  return (
    <>
      {workflow.endedAt === null
        ? workflow.state !== "cancelling" && (
            <Button kind="danger" icon={<CircleX aria-hidden="true" />} onClick={() => setOpen("cancel")}>
              Cancel
            </Button>
          )
        : workflow.state !== "completed" && (
            <Button icon={<RotateCw aria-hidden="true" />} onClick={() => setOpen("retry")}>
              Go on
            </Button>
          )}
      {open === "cancel" && <CancelDialog id={workflow.id} onClose={() => setOpen(undefined)} />}
      {open === "retry" && <RetryDialog id={workflow.id} onClose={() => setOpen(undefined)} />}
    </>
  );
}

function CancelDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const act = useAct(id, onClose);
  return (
    <FormDialog
      title="Cancel the workflow?"
      submit="Cancel it"
      kind="danger"
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      onSubmit={() =>
        act.mutate({
          path: "cancel",
          body: reason.trim() === "" ? {} : { reason: reason.trim() },
          done: "What waits never starts, and what runs is told to stop.",
        })
      }
    >
      <p>Steps that wait never start; those that run are told to stop. What has completed stays done.</p>
      <Field label="Why">
        <input value={reason} maxLength={1_000} onChange={({ target }) => setReason(target.value)} />
      </Field>
    </FormDialog>
  );
}

/** From what failed on, or from a step on, which runs again with all that is behind it. */
function RetryDialog({ id, step, onClose }: { id: string; step?: string; onClose: () => void }) {
  const act = useAct(id, onClose);
  return (
    <FormDialog
      title={step === undefined ? "Go on with the workflow?" : `Run again from '${step}'?`}
      submit={step === undefined ? "Go on" : "Run again"}
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      onSubmit={() =>
        act.mutate({
          path: "retry",
          body: step === undefined ? {} : { fromStep: step },
          done: step === undefined ? "The workflow goes on." : `The workflow runs again from '${step}' on.`,
        })
      }
    >
      {step === undefined ? (
        <p>Steps that did not complete get another chance, and those behind them. What has completed is not done again.</p>
      ) : (
        <p>
          <strong>{step}</strong> and every step behind it run again, also those that have completed: whatever they did is done
          once more.
        </p>
      )}
    </FormDialog>
  );
}

/** So many steps are listed at first. */
const LISTED = 100;

function StepTable({ workflow }: { workflow: WorkflowWithSteps }) {
  const may = useMay("operator") && workflow.endedAt !== null;
  const [listed, setListed] = useState(LISTED);
  const [from, setFrom] = useState<string>();
  const { steps } = workflow;
  return (
    <Card title="Steps as a table">
      <div className="table-scroll" tabIndex={0} role="region" aria-label="Steps">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col">State</th>
              <th scope="col">Waits for</th>
              <th scope="col">Started</th>
              <th scope="col" className="end">
                Took
              </th>
              {may && (
                <th scope="col">
                  <span className="visually-hidden">Run again</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {steps.slice(0, listed).map((step) => (
              <StepRow key={step.name} step={step} onRetry={may ? () => setFrom(step.name) : undefined} />
            ))}
          </tbody>
        </table>
      </div>
      {steps.length > listed && (
        <p className="card-body">
          <Button onClick={() => setListed(listed + 500)}>More of the {steps.length.toLocaleString("en")} steps</Button>
        </p>
      )}
      {from !== undefined && <RetryDialog id={workflow.id} step={from} onClose={() => setFrom(undefined)} />}
    </Card>
  );
}

function StepRow({ step, onRetry }: { step: Step; onRetry: (() => void) | undefined }) {
  return (
    <tr>
      <th scope="row">
        <Link href={`/jobs/${step.jobId}`}>{step.name}</Link>
        <span className="cell-detail">{step.task}</span>
      </th>
      <td>
        <State state={step.state ?? "blocked"} />
        {step.error !== null && <span className="cell-detail">{step.error}</span>}
        {step.compensationJobId !== null && (
          <span className="cell-detail">
            undone by <Link href={`/jobs/${step.compensationJobId}`}>job {step.compensationJobId}</Link>: {step.compensationState}
          </span>
        )}
      </td>
      <td>{step.dependsOn.length === 0 ? <span className="muted">nothing</span> : step.dependsOn.join(", ")}</td>
      <td>
        <Time at={step.startedAt} />
      </td>
      <td className="end">
        <Duration from={step.startedAt} to={step.finishedAt} />
      </td>
      {onRetry !== undefined && (
        <td>
          <Button kind="quiet" icon={<RotateCw aria-hidden="true" />} onClick={onRetry}>
            Run again <span className="visually-hidden">from {step.name}</span>
          </Button>
        </td>
      )}
    </tr>
  );
}

function Facts({ workflow }: { workflow: WorkflowWithSteps }) {
  return (
    <Card title="Facts">
      <dl className="facts card-body">
        <dt>Id</dt>
        <dd>{workflow.id}</dd>
        <dt>Correlation</dt>
        <dd>
          <Link href={jobsPath({ correlation: workflow.correlationId })}>{workflow.correlationId}</Link>
        </dd>
        {workflow.parentId !== null && (
          <>
            <dt>Started by</dt>
            <dd>
              <Link href={`/jobs/${workflow.parentId}`}>job {workflow.parentId}</Link>
            </dd>
          </>
        )}
        {workflow.tenant !== null && (
          <>
            <dt>Tenant</dt>
            <dd>{workflow.tenant}</dd>
          </>
        )}
        <dt>Started</dt>
        <dd>
          <ExactTime at={workflow.createdAt} />
        </dd>
        <dt>Ended</dt>
        <dd>
          <ExactTime at={workflow.endedAt} absent="not yet" />
        </dd>
        {workflow.deadline !== null && (
          <>
            <dt>Deadline</dt>
            <dd>
              <ExactTime at={workflow.deadline} />
            </dd>
          </>
        )}
      </dl>
    </Card>
  );
}
