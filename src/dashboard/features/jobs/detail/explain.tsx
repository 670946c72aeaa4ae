import type { Json } from "../../../../contract/rows.ts";
import type { reasonSchema } from "../../../../contract/jobs.ts";
import { useQuery } from "@tanstack/react-query";
import { Fragment, type ReactNode, useState } from "react";
import { Link } from "wouter";
import { rest } from "../../../api/request.ts";
import { LongText } from "../../../components/long-text.tsx";
import { Button } from "../../../components/button.tsx";
import { FormDialog } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Card } from "../../../components/page.tsx";
import { QueryResult } from "../../../components/query-result.tsx";
import { ExactTime } from "../../../components/time/time.tsx";
import { isFinished } from "../../../components/state-badge.tsx";
import { parseJson } from "../enqueue-form/schema-form.tsx";
import { type JobAction, useJobAction } from "./use-job-action.ts";
import type { Job } from "./use-job.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

export type Reason = Json<typeof reasonSchema>;
type Action = Reason["actions"][number];

function useReasons(job: Job) {
  return useQuery({
    queryKey: ["job explain", job.id],
    queryFn: async ({ signal }) => (await rest<{ items: Reason[] }>("GET", `/jobs/${job.id}/explain`, undefined, signal)).items,
    refetchInterval: isFinished(job.state) ? false : 3_000,
  });
}

/** Whether a failed job was discarded; undefined while this is not known. */
export function useIsDiscarded(job: Job): boolean | undefined {
  const { data } = useReasons(job);
  return data === undefined ? undefined : data.some(({ reason }) => reason === "discarded");
}

/** Why a job is not running: all reasons in the order in which they apply, each with its fix. */
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
        {(reasons) => <Reasons reasons={reasons} job={job} />}
      </QueryResult>
    </Card>
  );
}

/** Reasons in the order in which they apply, each with its fix. `job` is the page's job if the reasons are about a job. */
export function Reasons({ reasons, job }: { reasons: readonly Reason[]; job?: Job | undefined }) {
  return (
    <ol className="reasons">
      {reasons.map((reason) => (
        <li key={`${reason.position} ${reason.reason}`}>
          <p>
            <LongText text={reason.detail} most={400} render={(text) => <WithTimes text={text} self={job?.id} />} />
          </p>
          <Advice job={job} reason={reason} />
        </li>
      ))}
    </ol>
  );
}

/** A text whose times are shown in the page's time zone, with links to the other jobs it mentions. */
function WithTimes({ text, self }: { text: string; self: string | undefined }): ReactNode {
  return text.split(/(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC)/).map((part, index) =>
    index % 2 === 0 ? (
      // oxlint-disable-next-line react/no-array-index-key -- parts of one text
      <WithJobs key={index} text={part} self={self} />
    ) : (
      // oxlint-disable-next-line react/no-array-index-key -- parts of one text
      <ExactTime key={index} at={part.replace(" ", "T").replace(" UTC", "Z")} />
    ),
  );
}

/** A text with links to the other jobs it mentions. */
function WithJobs({ text, self }: { text: string; self: string | undefined }): ReactNode {
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
  return text.split(/(`[^`]+`|\bselect [^;]+;|\bLEGWORK_[A-Z_]+|\blegwork worker --tasks DIR)/).map((part, index) =>
    // oxlint-disable-next-line react/no-array-index-key -- parts of one text
    index % 2 === 0 ? part : <code key={index}>{part.replaceAll("`", "")}</code>,
  );
}

/** A fix without the requests that the page has buttons for. Empty if the fix consists only of such requests. */
function withoutButtons({ fix, actions }: Reason, isButton: (action: Action) => boolean): string {
  let place = 0;
  const parts = fix.split(/(:? `[^`]+`)/);
  const text = parts.map((part, index) => {
    if (index % 2 === 0) return part;
    const action = actions[place++];
    return action !== undefined && isButton(action) ? (parts[index + 1] === "" ? "." : "") : part;
  });
  const isOnlyButton = parts.length === 3 && parts[2] === "" && text[1] === "." && !/[.,]/.test(parts[0] ?? "");
  return isOnlyButton ? "" : text.join("");
}

/** The fix for a reason, with a button for each action that consists of one request. The server omits actions that the token may not perform. */
function Advice({ job, reason }: { job: Job | undefined; reason: Reason }) {
  const act = useJobAction();
  const [isSending, setSending] = useState(false);
  const buttons = reason.actions.flatMap((action) => buttonFor(job, action) ?? []);
  const signal = reason.actions.find((action) => action.do === "send_signal");
  const limit = reason.actions.find((action) => action.do.startsWith("limit_"));
  const fix = withoutButtons(reason, (action) => hasOwnPlace(action) || buttonFor(job, action) !== undefined);
  return (
    <>
      {fix !== "" && (
        <p className="muted">
          <Fix text={fix} />
        </p>
      )}
      {limit !== undefined && (
        <Link href={`/${limit.scope}s/${encodeURIComponent(limit.name ?? "")}`}>
          {limit.scope === "queue" ? words.detail.queueLimits : words.detail.taskLimits}
        </Link>
      )}
      {signal !== undefined && <Button onClick={() => setSending(true)}>{words.detail.sendSignal}</Button>}
      {isSending && <SignalDialog id={signal?.id ?? ""} name={signal?.name ?? ""} onClose={() => setSending(false)} />}
      {buttons.map(({ label, ...action }) => (
        <Button key={label} busy={act.isPending} onClick={() => act.mutate(action)}>
          {label}
        </Button>
      ))}
    </>
  );
}

/** Whether the page already has a button or a link for the action elsewhere. */
function hasOwnPlace(action: Action): boolean {
  return ["cancel_job", "explain_job", "rerun_job", "send_signal", "show_log"].includes(action.do);
}

/** The button for an action; undefined if the action does not consist of one request. */
function buttonFor(job: Job | undefined, action: Action): (JobAction & { label: string }) | undefined {
  const { id = "", name = "", priority = 0, task } = action;
  switch (action.do) {
    case "resume_all":
      return { label: words.detail.resumeAll, path: "/resume-all", done: common.allResumed };
    case "resume_queue":
      return {
        label: words.detail.resumeQueue,
        path: `/queues/${encodeURIComponent(name)}/resume`,
        done: common.queueResumed(name),
      };
    case "resume_worker":
      return {
        label: words.detail.resumeWorker,
        path: `/workers/${encodeURIComponent(name)}/resume`,
        done: common.workerResumed(name),
      };
    case "resume_task":
      return {
        label: words.detail.resumeTask,
        path: `/tasks/${encodeURIComponent(name)}/resume`,
        done: common.taskResumed(name),
      };
    case "retry_job":
      return job?.state === "failed"
        ? { label: common.retry, path: `/jobs/${id}/retry`, done: common.jobRetried(id) }
        : { label: words.detail.startNow, path: `/jobs/${id}/retry`, done: common.jobMayStart(id) };
    case "rerun_job":
      // The buttons at the top of the page cancel a job, rerun it, and rerun it with another payload.
      return task === undefined || job === undefined || !isFinished(job.state)
        ? undefined
        : {
            label: words.detail.rerunAsTask(task),
            path: `/jobs/${id}/rerun`,
            body: { task },
            done: ({ id: as }: { id: string }) => common.jobRerun(id, as),
          };
    case "retry_workflow":
      return { label: words.detail.retryWorkflow, path: `/workflows/${id}/retry`, done: words.detail.workflowRetried(id) };
    case "enable_schedule":
      return {
        label: words.detail.enableSchedule,
        path: `/schedules/${encodeURIComponent(name)}/enable`,
        done: words.detail.scheduleEnabled(name),
      };
    case "run_schedule":
      return {
        label: words.detail.runSchedule,
        path: `/schedules/${encodeURIComponent(name)}/run`,
        done: words.detail.scheduleStarted(name),
      };
    case "limit_concurrency":
    case "limit_rate": {
      const { scope, max = 1, per, key } = action;
      return {
        label: words.detail.raiseLimit(max),
        method: "PUT",
        path: `/${scope}s/${encodeURIComponent(name)}/limits`,
        body: {
          kind: action.do === "limit_rate" ? "rate" : "concurrency",
          max,
          ...(per === undefined ? {} : { per }),
          ...(key === undefined ? {} : { key }),
        },
        done: words.detail.limitRaised(name, max),
      };
    }
    case "set_priority":
      return {
        label: words.detail.moveToFront,
        method: "PUT",
        path: `/jobs/${id}/priority`,
        body: { priority },
        done: common.jobPriority(id, priority),
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
