import { Ban, ListOrdered, Pencil, Play, RotateCw, Trash2 } from "lucide-react";
import { useState } from "react";
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
import { RerunDialog } from "./rerun-dialog.tsx";
import { useJobAction } from "./use-job-action.ts";
import type { Job } from "./use-job.ts";

type Asked = "cancel" | "discard" | "edit" | "priority";

/** What can be done with a job in its state, as far as the token may. */
export function JobActions({ job }: { job: Job }) {
  const may = useMay("operator");
  const act = useJobAction();
  const isDiscarded = useIsDiscarded(job);
  const [, navigate] = useLocation();
  const [asked, setAsked] = useState<Asked>();
  if (!may) return null;
  const isOver = isFinished(job.state);
  const isKept = job.state === "failed" && isDiscarded === false;
  const path = `/jobs/${job.id}`;
  const close = (): void => setAsked(undefined);
  const rerun = (): void =>
    act.mutate(
      { path: `${path}/rerun`, done: ({ id }: { id: string }) => `Job ${job.id} runs again as job ${id}.` },
      {
        onSuccess: (answer) => navigate(`/jobs/${(answer as { id: string }).id}`),
        // What is redacted has to be typed.
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
          icon={<RotateCw aria-hidden="true" />}
          busy={act.isPending}
          onClick={() => act.mutate({ path: `${path}/retry`, done: `Job ${job.id} is retried.` })}
        >
          Retry
        </Button>
      )}
      {(job.state === "scheduled" || job.state === "retrying") && (
        <Button
          icon={<Play aria-hidden="true" />}
          busy={act.isPending}
          onClick={() => act.mutate({ path: `${path}/retry`, done: `Job ${job.id} may start now.` })}
        >
          Start now
        </Button>
      )}
      {isOver && (
        <Button icon={<Play aria-hidden="true" />} busy={act.isPending} onClick={rerun}>
          Re-run
        </Button>
      )}
      {isOver && (
        <Button icon={<Pencil aria-hidden="true" />} onClick={() => setAsked("edit")}>
          {isKept ? "Retry with another payload" : "Re-run with another payload"}
        </Button>
      )}
      {!isOver && (
        <Button icon={<ListOrdered aria-hidden="true" />} onClick={() => setAsked("priority")}>
          Priority
        </Button>
      )}
      {!isOver && (
        <Button kind="danger" icon={<Ban aria-hidden="true" />} onClick={() => setAsked("cancel")}>
          Cancel the job
        </Button>
      )}
      {isKept && (
        <Button kind="danger" icon={<Trash2 aria-hidden="true" />} onClick={() => setAsked("discard")}>
          Delete
        </Button>
      )}
      {asked === "edit" && <RerunDialog job={job} isKept={isKept} onClose={close} />}
      {asked === "priority" && <PriorityDialog job={job} onClose={close} />}
      {asked === "cancel" && <CancelDialog job={job} onClose={close} />}
      {asked === "discard" && <DiscardDialog job={job} onClose={close} />}
    </>
  );
}

function CancelDialog({ job, onClose }: { job: Job; onClose: () => void }) {
  const act = useJobAction();
  const [reason, setReason] = useState("");
  return (
    <FormDialog
      title={`Cancel job ${job.id}?`}
      submit="Cancel the job"
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
              state === "running" ? `Job ${job.id} is told to stop.` : `Job ${job.id} is cancelled.`,
          },
          { onSuccess: onClose },
        )
      }
    >
      <p>
        {job.state === "running"
          ? "It is told to stop, within a second, and is not retried. What it has done so far stays done."
          : "It never starts."}{" "}
        It cannot be undone; a cancelled job can be re-run as a new one.
      </p>
      <Field label="Why" hint="Its history says it.">
        <input value={reason} maxLength={1_000} onChange={({ target }) => setReason(target.value)} />
      </Field>
    </FormDialog>
  );
}

function DiscardDialog({ job, onClose }: { job: Job; onClose: () => void }) {
  const act = useJobAction();
  return (
    <FormDialog
      title={`Delete job ${job.id}?`}
      submit="Delete"
      kind="danger"
      onClose={onClose}
      busy={act.isPending}
      error={act.error}
      onSubmit={() => act.mutate({ path: `/jobs/${job.id}/discard`, done: `Job ${job.id} is given up.` }, { onSuccess: onClose })}
    >
      <p>It is given up: it cannot be retried any more, and stays in the history as failed. It cannot be undone.</p>
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
      title={`Priority of job ${job.id}`}
      submit="Change"
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
            done: `Job ${job.id} has priority ${Number(text)} now.`,
            undo: ({ was }: { was: number }) => {
              rest("PUT", path, { priority: was }).then(
                () => tell(`Job ${job.id} has priority ${was} again.`),
                (error: Error) => tell(error.message, { kind: "error" }),
              );
            },
          },
          { onSuccess: onClose },
        )
      }
    >
      <Field
        label="Priority"
        hint={`Smaller runs first; 0 is the default.${job.state === "running" ? " It runs already: this holds for its next attempt." : ""}`}
        problem={isNumber ? undefined : "A whole number from -32,768 to 32,767."}
      >
        <input inputMode="numeric" value={text} onChange={({ target }) => setText(target.value)} />
      </Field>
    </FormDialog>
  );
}
