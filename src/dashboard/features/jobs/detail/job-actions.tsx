import { Ban, ListOrdered, Pencil, Play, RotateCw, Trash2 } from "lucide-react";
import { useEffect, useEffectEvent, useState } from "react";
import { useLocation } from "wouter";
import { useMay } from "../../../api/me.ts";
import { Problem } from "../../../api/problem.ts";
import { rest } from "../../../api/request.ts";
import { Button } from "../../../components/button.tsx";
import { FormDialog } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { isFinished } from "../../../components/state-badge.tsx";
import { tell } from "../../../components/toasts.tsx";
import { useIsDiscarded } from "./explain.tsx";
import { CopyAs } from "./copy-as.tsx";
import { RerunDialog } from "./rerun-dialog.tsx";
import { useJobKeys } from "./use-job-keys.ts";
import { useJobAction } from "./use-job-action.ts";
import type { Job } from "./use-job.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

type Asked = "cancel" | "discard" | "edit" | "priority" | "retry";

/** An action that has a keyboard shortcut in the list of jobs. */
export type JobKey = "retry" | "cancel" | "edit";

/**
 * The actions that the state of the job allows and the token permits. `pressed` is an action whose key was pressed in the list. It is performed as
 * soon as it is known what the job allows, and `onPressed` is called.
 */
export function JobActions({
  job,
  pressed,
  onPressed,
}: {
  job: Job;
  pressed?: JobKey | undefined;
  onPressed?: (() => void) | undefined;
}) {
  const may = useMay("operator");
  const act = useJobAction();
  const isDiscarded = useIsDiscarded(job);
  const [, navigate] = useLocation();
  const [asked, setAsked] = useState<Asked>();
  const isOver = isFinished(job.state);
  const isKept = job.state === "failed" && isDiscarded === false;
  const mayStart = isKept || job.state === "scheduled" || job.state === "retrying";
  // The list of jobs handles its own keys.
  const isPage = may && onPressed === undefined;
  useJobKeys({
    r: isPage && mayStart ? () => setAsked("retry") : undefined,
    c: isPage && !isOver ? () => setAsked("cancel") : undefined,
    e: isPage && isOver ? () => setAsked("edit") : undefined,
  });
  const path = `/jobs/${job.id}`;
  const isKnown = may && (job.state !== "failed" || isDiscarded !== undefined);
  const press = useEffectEvent((key: JobKey) => {
    onPressed?.();
    const isWaiting = job.state === "scheduled" || job.state === "retrying";
    if (key === "retry" && (isKept || isWaiting)) {
      act.mutate({ path: `${path}/retry`, done: isKept ? common.jobRetried(job.id) : common.jobMayStart(job.id) });
    } else if (key === "cancel" && !isOver) setAsked("cancel");
    else if (key === "edit" && isOver) setAsked("edit");
    else tell(words.detail.notPossible[key](job.id, job.state), { kind: "error" });
  });
  useEffect(() => {
    if (pressed !== undefined && isKnown) press(pressed);
  }, [pressed, isKnown]);
  if (!may) return null;
  const close = (): void => setAsked(undefined);
  const rerun = (): void =>
    act.mutate(
      { path: `${path}/rerun`, done: ({ id }: { id: string }) => common.jobRerun(job.id, id) },
      {
        onSuccess: (answer) => navigate(`/jobs/${(answer as { id: string }).id}`),
        // Redacted values have to be entered again.
        onError: (error) => {
          if (error instanceof Problem && error.code === "LW409") setAsked("edit");
        },
      },
    );
  return (
    <>
      {isKept && (
        <Button
          kind="primary"
          title={words.detail.retryExplained}
          aria-keyshortcuts="r"
          icon={<RotateCw aria-hidden="true" />}
          busy={act.isPending}
          onClick={() => act.mutate({ path: `${path}/retry`, done: common.jobRetried(job.id) })}
        >
          {common.retry}
        </Button>
      )}
      {(job.state === "scheduled" || job.state === "retrying") && (
        <Button
          icon={<Play aria-hidden="true" />}
          busy={act.isPending}
          onClick={() => act.mutate({ path: `${path}/retry`, done: common.jobMayStart(job.id) })}
        >
          {words.detail.startNow}
        </Button>
      )}
      {isOver && (
        <Button title={words.detail.rerunHint} icon={<Play aria-hidden="true" />} busy={act.isPending} onClick={rerun}>
          {common.rerun}
        </Button>
      )}
      {isOver && (
        <Button
          title={words.detail.changesExplained}
          aria-keyshortcuts="e"
          icon={<Pencil aria-hidden="true" />}
          onClick={() => setAsked("edit")}
        >
          {isKept ? words.detail.retryWithChanges : words.detail.rerunWithChanges}
        </Button>
      )}
      {!isOver && (
        <Button icon={<ListOrdered aria-hidden="true" />} onClick={() => setAsked("priority")}>
          {words.detail.changePriority}
        </Button>
      )}
      {!isOver && (
        <Button kind="danger" aria-keyshortcuts="c" icon={<Ban aria-hidden="true" />} onClick={() => setAsked("cancel")}>
          {words.detail.cancelJob}
        </Button>
      )}
      {isKept && (
        <Button kind="danger" icon={<Trash2 aria-hidden="true" />} onClick={() => setAsked("discard")}>
          {common.discard}
        </Button>
      )}
      {asked === "retry" && <RetryDialog job={job} isKept={isKept} onClose={close} />}
      {asked === "edit" && <RerunDialog job={job} isKept={isKept} onClose={close} />}
      {asked === "priority" && <PriorityDialog job={job} onClose={close} />}
      {asked === "cancel" && <CancelDialog job={job} onClose={close} />}
      {asked === "discard" && <DiscardDialog job={job} onClose={close} />}
    </>
  );
}

function RetryDialog({ job, isKept, onClose }: { job: Job; isKept: boolean; onClose: () => void }) {
  const act = useJobAction();
  return (
    <FormDialog
      title={isKept ? words.detail.retryQuestion(job.id) : words.detail.startQuestion(job.id)}
      submit={isKept ? common.retry : words.detail.startNow}
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      onSubmit={() =>
        act.mutate(
          { path: `/jobs/${job.id}/retry`, done: isKept ? common.jobRetried(job.id) : common.jobMayStart(job.id) },
          { onSuccess: onClose },
        )
      }
    >
      <p>{isKept ? words.detail.retryExplained : words.detail.startExplained}</p>
      <CopyAs action={{ do: "retry_job", id: job.id }} />
    </FormDialog>
  );
}

function CancelDialog({ job, onClose }: { job: Job; onClose: () => void }) {
  const act = useJobAction();
  const [reason, setReason] = useState("");
  return (
    <FormDialog
      title={words.detail.cancelQuestion(job.id)}
      submit={words.detail.cancelJob}
      dismiss={words.detail.keepJob}
      kind="danger"
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      onSubmit={() =>
        act.mutate(
          {
            path: `/jobs/${job.id}/cancel`,
            body: reason.trim() === "" ? {} : { reason: reason.trim() },
            done: ({ state }: { state: string }) =>
              state === "running" ? words.detail.stopping(job.id) : words.detail.cancelled(job.id),
          },
          { onSuccess: onClose },
        )
      }
    >
      <p>
        {job.state === "running" ? words.detail.cancelRunning : words.detail.cancelWaiting} {words.detail.cancelFinal}
      </p>
      <Field label={common.reason} hint={common.reasonKept}>
        <input value={reason} maxLength={1_000} onChange={({ target }) => setReason(target.value)} />
      </Field>
      <CopyAs action={{ do: "cancel_job", id: job.id, ...(reason.trim() === "" ? {} : { reason: reason.trim() }) }} />
    </FormDialog>
  );
}

function DiscardDialog({ job, onClose }: { job: Job; onClose: () => void }) {
  const act = useJobAction();
  return (
    <FormDialog
      title={words.detail.discardQuestion(job.id)}
      submit={common.discard}
      kind="danger"
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      onSubmit={() => act.mutate({ path: `/jobs/${job.id}/discard`, done: common.jobDiscarded(job.id) }, { onSuccess: onClose })}
    >
      <p>{words.detail.discardExplained}</p>
      <CopyAs action={{ do: "discard_job", id: job.id }} />
    </FormDialog>
  );
}

function PriorityDialog({ job, onClose }: { job: Job; onClose: () => void }) {
  const act = useJobAction();
  const [text, setText] = useState(String(job.priority));
  const isNumber = /^-?\d{1,5}$/.test(text.trim()) && Math.abs(Number(text)) <= 32_767;
  const path = `/jobs/${job.id}/priority`;
  return (
    <FormDialog
      title={words.detail.priorityOf(job.id)}
      submit={common.save}
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      disabled={!isNumber}
      onSubmit={() =>
        act.mutate(
          {
            method: "PUT",
            path,
            body: { priority: Number(text) },
            done: common.jobPriority(job.id, Number(text)),
            undo: ({ was }: { was: number }) => {
              rest("PUT", path, { priority: was }).then(
                () => tell(common.jobPriority(job.id, was)),
                (error: Error) => tell(error.message, { kind: "error" }),
              );
            },
          },
          { onSuccess: onClose },
        )
      }
    >
      <Field
        label={common.priority}
        hint={words.detail.priorityHint(job.state === "running")}
        problem={isNumber ? undefined : common.wholePriority}
      >
        <input inputMode="numeric" value={text} onChange={({ target }) => setText(target.value)} />
      </Field>
      {isNumber && <CopyAs action={{ do: "set_priority", id: job.id, priority: Number(text) }} />}
    </FormDialog>
  );
}
