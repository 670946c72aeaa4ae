import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CircleX, RotateCw } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { useMay } from "../../api/me.ts";
import { rest } from "../../api/request.ts";
import { jobsPath } from "../../router/links.ts";
import { Duration, ExactTime, Time } from "../../components/time/time.tsx";
import type { PageProps } from "../../router/page-props.ts";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { Empty, Loading } from "../../components/notice.tsx";
import { Card, Page } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { WhyCard } from "../jobs/detail/why-card.tsx";
import { State } from "../../components/state-badge.tsx";
import { tell } from "../../components/toasts.tsx";
import { Progress } from "./progress.tsx";
import { describeCounts } from "./workflows.tsx";
import { type Step, useWorkflow, type WorkflowWithSteps } from "../../api/workflows.ts";
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { CellDetail, Table } from "../../components/table/table.tsx";
import { words } from "./words.ts";
import "./workflows.css";

// The graph library is loaded with the first graph.
const StepGraph = lazy(() => import("./step-graph.tsx"));

export default function WorkflowPage({ parameters }: PageProps) {
  const id = parameters.id ?? "";
  const query = useWorkflow(id);
  const workflow = query.data;
  return (
    <Page
      title={workflow === undefined ? words.workflowTitle(id) : workflow.name}
      lead={<Link href="/workflows">{words.title}</Link>}
      actions={workflow !== undefined && <Actions workflow={workflow} />}
    >
      <QueryResult query={query}>
        {(found) => (
          <>
            <Card>
              <div className="card-body run-head">
                <span role="status">
                  <State state={found.state} />
                </span>
                <Progress percent={found.progress} label={common.progress} />
                <span>{describeCounts(found)}</span>
                {found.reason !== null && <span className="muted">{found.reason}</span>}
              </div>
            </Card>
            <WhyCard of={`/workflows/${found.id}`} />
            <Steps workflow={found} />
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

/** The actions on a workflow: cancelling while it is unfinished, retrying if it ended without completing. */
function Actions({ workflow }: { workflow: WorkflowWithSteps }) {
  const may = useMay("operator");
  const [open, setOpen] = useState<"cancel" | "retry">();
  if (!may) return null;
  return (
    <>
      {workflow.endedAt === null
        ? workflow.state !== "cancelling" && (
            <Button kind="danger" icon={<CircleX aria-hidden="true" />} onClick={() => setOpen("cancel")}>
              {words.cancelWorkflow}
            </Button>
          )
        : workflow.state !== "completed" && (
            <Button icon={<RotateCw aria-hidden="true" />} onClick={() => setOpen("retry")}>
              {words.retryFailed}
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
      title={words.cancelQuestion}
      submit={words.cancelWorkflow}
      dismiss={words.keepWorkflow}
      kind="danger"
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      onSubmit={() =>
        act.mutate({
          path: "cancel",
          body: reason.trim() === "" ? {} : { reason: reason.trim() },
          done: words.cancelled,
        })
      }
    >
      <p>{words.cancelExplained}</p>
      <Field label={common.reason}>
        <input value={reason} maxLength={1_000} onChange={({ target }) => setReason(target.value)} />
      </Field>
    </FormDialog>
  );
}

/** The dialog that retries the failed steps or, with `step`, that step and all steps that depend on it. */
function RetryDialog({ id, step, onClose }: { id: string; step?: string; onClose: () => void }) {
  const act = useAct(id, onClose);
  return (
    <FormDialog
      title={step === undefined ? words.retryFailedQuestion : words.retryFromQuestion(step)}
      submit={step === undefined ? words.retryFailed : common.retry}
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      onSubmit={() =>
        act.mutate({
          path: "retry",
          body: step === undefined ? {} : { fromStep: step },
          done: step === undefined ? words.retryFailedDone : words.retryFromDone(step),
        })
      }
    >
      {step === undefined ? (
        <p>{words.retryFailedExplained}</p>
      ) : (
        <p>
          <Sentence text={words.retryFromExplained} slots={{ step: <strong>{step}</strong> }} />
        </p>
      )}
    </FormDialog>
  );
}

/** How many steps are listed at first. */
const LISTED = 100;

/** The steps as a graph or as a list. The URL contains which of them is shown, and whether only failed steps are listed. */
function Steps({ workflow }: { workflow: WorkflowWithSteps }) {
  const may = useMay("operator") && workflow.endedAt !== null;
  const [search, setSearch] = useSearchParams();
  const [from, setFrom] = useState<string>();
  const [isFollowing, setFollowing] = useState(true);
  const isList = search.get("view") === "list";
  const onlyFailed = search.get("failed") === "yes";
  const set = (name: string, value: string | undefined): void =>
    setSearch(
      (old) => {
        const changed = new URLSearchParams(old);
        if (value === undefined) changed.delete(name);
        else changed.set(name, value);
        return changed;
      },
      { replace: true },
    );
  const isRunning = workflow.endedAt === null;
  return (
    <Card
      title={words.stepCount(workflow.steps.length)}
      actions={
        <div className="tool-bar" role="group" aria-label={words.view}>
          {isList ? (
            <label className="check">
              <input type="checkbox" checked={onlyFailed} onChange={() => set("failed", onlyFailed ? undefined : "yes")} />
              {words.onlyFailed}
            </label>
          ) : (
            isRunning && (
              <label className="check">
                <input type="checkbox" checked={isFollowing} onChange={() => setFollowing(!isFollowing)} />
                {words.follow}
              </label>
            )
          )}
          <Button kind="quiet" aria-pressed={!isList} onClick={() => set("view", undefined)}>
            {words.graph}
          </Button>
          <Button kind="quiet" aria-pressed={isList} onClick={() => set("view", "list")}>
            {words.table}
          </Button>
        </div>
      }
    >
      {isList ? (
        <StepTable steps={onlyFailed ? workflow.steps.filter(isFailed) : workflow.steps} onRetry={may ? setFrom : undefined} />
      ) : (
        <Suspense fallback={<Loading rows={8} />}>
          <StepGraph
            steps={workflow.steps}
            // A graph with many steps stays where the user has moved it once the workflow has ended.
            isFollowing={isFollowing && isRunning && workflow.steps.length > FOLLOWED_STEPS}
            onRetry={may ? setFrom : undefined}
          />
        </Suspense>
      )}
      {from !== undefined && <RetryDialog id={workflow.id} step={from} onClose={() => setFrom(undefined)} />}
    </Card>
  );
}

/** Graphs with fewer steps fit into the window, so there is nothing to follow. */
const FOLLOWED_STEPS = 12;

function isFailed({ state }: Step): boolean {
  return state === "failed" || state === "expired" || state === "cancelled";
}

function StepTable({ steps, onRetry }: { steps: readonly Step[]; onRetry: ((step: string) => void) | undefined }) {
  const [listed, setListed] = useState(LISTED);
  if (steps.length === 0) return <Empty title={words.noFailed} />;
  return (
    <>
      <Table
        label={common.tableOf(words.steps)}
        rows={steps.slice(0, listed)}
        rowKey={({ name }) => name}
        columns={[
          {
            id: "step",
            head: words.step,
            kind: "name",
            render: ({ jobId, name, task }) => (
              <>
                <Link href={`/jobs/${jobId}`}>{name}</Link>
                <CellDetail>{task}</CellDetail>
              </>
            ),
          },
          { id: "state", head: common.state, render: (step) => <StepState step={step} /> },
          {
            id: "depends",
            head: words.dependsOn,
            render: ({ dependsOn }) =>
              dependsOn.length === 0 ? <span className="muted">{words.noDependencies}</span> : dependsOn.join(", "),
          },
          { id: "started", head: common.started, render: ({ startedAt }) => <Time at={startedAt} /> },
          {
            id: "duration",
            head: common.duration,
            kind: "number",
            render: ({ startedAt, finishedAt }) => <Duration from={startedAt} to={finishedAt} />,
          },
          onRetry !== undefined && {
            id: "actions",
            head: common.actions,
            kind: "actions",
            render: ({ name }) => (
              <Button kind="quiet" icon={<RotateCw aria-hidden="true" />} onClick={() => onRetry(name)}>
                {words.retryFrom}
                <span className="visually-hidden">{words.retryFromStep(name)}</span>
              </Button>
            ),
          },
        ]}
      />
      {steps.length > listed && (
        <p className="card-body">
          <Button onClick={() => setListed(listed + 500)}>{words.moreSteps(steps.length)}</Button>
        </p>
      )}
    </>
  );
}

function StepState({ step: { state, error, compensationJobId, compensationState } }: { step: Step }) {
  return (
    <>
      <State state={state ?? "blocked"} />
      {error !== null && <CellDetail>{error}</CellDetail>}
      {compensationJobId !== null && (
        <CellDetail>
          <Sentence
            text={words.compensatedBy}
            slots={{
              job: <Link href={`/jobs/${compensationJobId}`}>{common.jobLink(compensationJobId)}</Link>,
              state: compensationState,
            }}
          />
        </CellDetail>
      )}
    </>
  );
}

function Facts({ workflow }: { workflow: WorkflowWithSteps }) {
  return (
    <Card title={words.facts}>
      <dl className="facts card-body">
        <dt>{common.id}</dt>
        <dd>{workflow.id}</dd>
        <dt>{words.correlation}</dt>
        <dd>
          <Link href={jobsPath({ correlation: workflow.correlationId })}>{workflow.correlationId}</Link>
        </dd>
        {workflow.parentId !== null && (
          <>
            <dt>{words.startedBy}</dt>
            <dd>
              <Link href={`/jobs/${workflow.parentId}`}>{common.jobLink(workflow.parentId)}</Link>
            </dd>
          </>
        )}
        {workflow.tenant !== null && (
          <>
            <dt>{common.tenant}</dt>
            <dd>{workflow.tenant}</dd>
          </>
        )}
        <dt>{common.started}</dt>
        <dd>
          <ExactTime at={workflow.createdAt} />
        </dd>
        <dt>{common.ended}</dt>
        <dd>
          <ExactTime at={workflow.endedAt} absent={common.notYet} />
        </dd>
        {workflow.deadline !== null && (
          <>
            <dt>{words.deadline}</dt>
            <dd>
              <ExactTime at={workflow.deadline} />
            </dd>
          </>
        )}
      </dl>
    </Card>
  );
}
