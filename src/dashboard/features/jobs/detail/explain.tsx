import type { Json } from "../../../../contract/rows.ts";
import type { reasonSchema } from "../../../../contract/jobs.ts";
import { useQuery } from "@tanstack/react-query";
import { Fragment, type ReactNode, useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../../api/me.ts";
import { rest } from "../../../api/request.ts";
import { Button } from "../../../components/button.tsx";
import { FormDialog } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Card } from "../../../components/page.tsx";
import { QueryResult } from "../../../components/query-result.tsx";
import { isFinished } from "../../../components/state-badge.tsx";
import { parseJson } from "../enqueue-form/schema-form.tsx";
import { type JobAction, useJobAction } from "./use-job-action.ts";
import type { Job } from "./use-job.ts";

type Reason = Json<typeof reasonSchema>;

function useReasons(job: Job) {
  return useQuery({
    queryKey: ["job explain", job.id],
    queryFn: async ({ signal }) => (await rest<{ items: Reason[] }>("GET", `/jobs/${job.id}/explain`, undefined, signal)).items,
    refetchInterval: isFinished(job.state) ? false : 3_000,
  });
}

/** Whether a failed job was given up; undefined while that is not known. */
export function useIsDiscarded(job: Job): boolean | undefined {
  const { data } = useReasons(job);
  return data === undefined ? undefined : job.state === "failed" && data[0]?.fix.includes("retry_job") !== true;
}

/** Why a job does not run: every reason in the order in which it holds, with what to do and, where the token may, the button that does it. */
export function Explanation({ job }: { job: Job }) {
  const query = useReasons(job);
  const title = isFinished(job.state) ? "How it ended" : job.state === "running" ? "What it is doing" : "Why it is not running";
  return (
    <Card title={title}>
      <QueryResult query={query} rows={2}>
        {(reasons) => (
          <ol className="reasons">
            {reasons.map((reason) => (
              <li key={`${reason.position} ${reason.reason}`}>
                <p>
                  <WithJobs text={reason.detail} self={job.id} />
                </p>
                <Advice job={job} reason={reason} />
              </li>
            ))}
          </ol>
        )}
      </QueryResult>
    </Card>
  );
}

/** A text in which other jobs are links. */
function WithJobs({ text, self }: { text: string; self: string }): ReactNode {
  return text.split(/(\bjobs? \d+(?:, \d+)*)/i).map((part, index) => {
    if (index % 2 === 0) return part;
    const [word = "", ...ids] = part.split(/,? /);
    return (
      // oxlint-disable-next-line react/no-array-index-key -- parts of one text
      <Fragment key={index}>
        {word}{" "}
        {ids.map((id, at) => (
          <Fragment key={id}>
            {at > 0 && ", "}
            {id === self ? id : <Link href={`/jobs/${id}`}>{id}</Link>}
          </Fragment>
        ))}
      </Fragment>
    );
  });
}

/** What to do; what is to be typed stands out. */
function Fix({ text }: { text: string }): ReactNode {
  return text.split(/(\bselect [^;]+;|\bLEGWORK_[A-Z_]+|\blegwork worker --tasks DIR)/).map((part, index) =>
    // oxlint-disable-next-line react/no-array-index-key -- parts of one text
    index % 2 === 0 ? part : <code key={index}>{part}</code>,
  );
}

/** What to do about it: the button that does it where there is one and the token may press it, and what to type where not. */
function Advice({ job, reason }: { job: Job; reason: Reason }) {
  const may = useMay("operator");
  const mayAll = useMay("operator", { everybody: true });
  const act = useJobAction();
  const [isSending, setSending] = useState(false);
  const found = actionFor(job, reason.reason);
  const isPossible = found !== undefined && (found.needsAll ? mayAll : may);
  const isSignal = reason.reason === "waits_for_signal" && may;
  const isLimit = reason.reason === "concurrency_limit" || reason.reason === "rate_limit";
  const isOfQueue = reason.detail.includes(" of queue '");
  const signal = /the signal '(.*?)'/.exec(reason.detail)?.[1] ?? "";
  // What the button does need not be typed.
  const words =
    isPossible || isSignal ? reason.fix.replace(/:?\s*select [^;]+;.*$/, ".").replace(/^(Send it)?\.$/, "") : reason.fix;
  return (
    <>
      {words !== "" && (
        <p className="muted">
          <Fix text={words} />
        </p>
      )}
      {isLimit && (
        <Link href={isOfQueue ? `/queues/${encodeURIComponent(job.queue)}` : `/tasks/${encodeURIComponent(job.task)}`}>
          See the limits of the {isOfQueue ? "queue" : "task"}
        </Link>
      )}
      {isSignal && <Button onClick={() => setSending(true)}>Send the signal</Button>}
      {isSending && <SignalDialog id={job.id} name={signal} onClose={() => setSending(false)} />}
      {isPossible && (
        <Button busy={act.isPending} onClick={() => act.mutate(found.action)}>
          {found.label}
        </Button>
      )}
    </>
  );
}

function actionFor(job: Job, reason: string): { label: string; needsAll: boolean; action: JobAction } | undefined {
  const queue = `/queues/${encodeURIComponent(job.queue)}`;
  const task = `/tasks/${encodeURIComponent(job.task)}`;
  const retry = { path: `/jobs/${job.id}/retry`, done: `Job ${job.id} may start now.` };
  switch (reason) {
    case "everything_stopped":
      return { label: "Resume everything", needsAll: true, action: { path: "/resume-all", done: "Jobs start again." } };
    case "queue_paused":
      return {
        label: "Resume the queue",
        needsAll: true,
        action: { path: `${queue}/resume`, done: `The queue ${job.queue} is resumed.` },
      };
    case "task_paused":
      return {
        label: "Resume the task",
        needsAll: true,
        action: { path: `${task}/resume`, done: `The task ${job.task} is resumed.` },
      };
    case "run_at_ahead":
    case "retry_ahead":
      return { label: "Start it now", needsAll: false, action: retry };
    case "failed":
      return { label: "Retry", needsAll: false, action: { ...retry, done: `Job ${job.id} is retried.` } };
    case "workers_busy":
      return {
        label: "Let it go first",
        needsAll: false,
        action: {
          method: "PUT",
          path: `/jobs/${job.id}/priority`,
          body: { priority: Math.max(-32_768, job.priority - 10) },
          done: `Job ${job.id} has priority ${Math.max(-32_768, job.priority - 10)} now.`,
        },
      };
    default:
      return undefined;
  }
}

function SignalDialog({ id, name, onClose }: { id: string; name: string; onClose: () => void }) {
  const act = useJobAction();
  const [text, setText] = useState("");
  const parsed = parseJson(text);
  return (
    <FormDialog
      title={`Send the signal ${name}`}
      submit="Send"
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      disabled={parsed.problem !== undefined}
      onSubmit={() =>
        act.mutate(
          {
            path: `/jobs/${id}/signals/${encodeURIComponent(name)}`,
            body: parsed.value === undefined ? {} : { payload: parsed.value },
            done: (answer: { counts: boolean }) =>
              answer.counts ? "The signal is sent." : "Another signal of that name came before; this one does not count.",
          },
          { onSuccess: onClose },
        )
      }
    >
      <p>The task goes on with what is sent. Of each name the first signal counts.</p>
      <Field label="What goes with it" hint="JSON, or nothing." problem={parsed.problem}>
        <textarea rows={4} value={text} spellCheck={false} onChange={({ target }) => setText(target.value)} />
      </Field>
    </FormDialog>
  );
}
