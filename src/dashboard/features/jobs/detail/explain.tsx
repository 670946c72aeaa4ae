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
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

type Reason = Json<typeof reasonSchema>;

function useReasons(job: Job) {
  return useQuery({
    queryKey: ["job explain", job.id],
    queryFn: async ({ signal }) => (await rest<{ items: Reason[] }>("GET", `/jobs/${job.id}/explain`, undefined, signal)).items,
    refetchInterval: isFinished(job.state) ? false : 3_000,
  });
}

/** Whether a failed job was discarded; undefined until that is known. */
export function useIsDiscarded(job: Job): boolean | undefined {
  const { data } = useReasons(job);
  return data === undefined ? undefined : job.state === "failed" && data[0]?.fix.includes("retry_job") !== true;
}

/** Why a job is not running: all reasons in the order in which they apply, each with its fix and, if the token has the right, the button for it. */
export function Explanation({ job }: { job: Job }) {
  const query = useReasons(job);
  const title = isFinished(job.state)
    ? words.detail.howItEnded
    : job.state === "running"
      ? words.detail.status
      : words.detail.whyNotRunning;
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

/** A text with links to the other jobs it mentions. */
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

/** A fix, with statements and commands in code style. */
function Fix({ text }: { text: string }): ReactNode {
  return text.split(/(\bselect [^;]+;|\bLEGWORK_[A-Z_]+|\blegwork worker --tasks DIR)/).map((part, index) =>
    // oxlint-disable-next-line react/no-array-index-key -- parts of one text
    index % 2 === 0 ? part : <code key={index}>{part}</code>,
  );
}

/** The fix of a reason: a button where there is one and the token has the right, otherwise the statement to run. */
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
  // The statement is left out where a button does the same.
  const fix =
    isPossible || isSignal ? reason.fix.replace(/:?\s*select [^;]+;.*$/, ".").replace(/^(Send it)?\.$/, "") : reason.fix;
  return (
    <>
      {fix !== "" && (
        <p className="muted">
          <Fix text={fix} />
        </p>
      )}
      {isLimit && (
        <Link href={isOfQueue ? `/queues/${encodeURIComponent(job.queue)}` : `/tasks/${encodeURIComponent(job.task)}`}>
          {isOfQueue ? words.detail.queueLimits : words.detail.taskLimits}
        </Link>
      )}
      {isSignal && <Button onClick={() => setSending(true)}>{words.detail.sendSignal}</Button>}
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
  const retry = { path: `/jobs/${job.id}/retry`, done: common.jobMayStart(job.id) };
  switch (reason) {
    case "everything_stopped":
      return { label: words.detail.resumeAll, needsAll: true, action: { path: "/resume-all", done: common.allResumed } };
    case "queue_paused":
      return {
        label: words.detail.resumeQueue,
        needsAll: true,
        action: { path: `${queue}/resume`, done: common.queueResumed(job.queue) },
      };
    case "task_paused":
      return {
        label: words.detail.resumeTask,
        needsAll: true,
        action: { path: `${task}/resume`, done: common.taskResumed(job.task) },
      };
    case "run_at_ahead":
    case "retry_ahead":
      return { label: words.detail.startNow, needsAll: false, action: retry };
    case "failed":
      return { label: common.retry, needsAll: false, action: { ...retry, done: common.jobRetried(job.id) } };
    case "workers_busy":
      return {
        label: words.detail.moveToFront,
        needsAll: false,
        action: {
          method: "PUT",
          path: `/jobs/${job.id}/priority`,
          body: { priority: Math.max(-32_768, job.priority - 10) },
          done: common.jobPriority(job.id, Math.max(-32_768, job.priority - 10)),
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
      title={words.detail.signalTitle(name)}
      submit={words.detail.send}
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      disabled={parsed.problem !== undefined}
      onSubmit={() =>
        act.mutate(
          {
            path: `/jobs/${id}/signals/${encodeURIComponent(name)}`,
            body: parsed.value === undefined ? {} : { payload: parsed.value },
            done: (answer: { counts: boolean }) => (answer.counts ? words.detail.signalSent : words.detail.signalTooLate),
          },
          { onSuccess: onClose },
        )
      }
    >
      <p>{words.detail.signalExplained}</p>
      <Field label={words.detail.signalPayload} hint={words.detail.signalPayloadHint} problem={parsed.problem}>
        <textarea rows={4} value={text} spellCheck={false} onChange={({ target }) => setText(target.value)} />
      </Field>
    </FormDialog>
  );
}
