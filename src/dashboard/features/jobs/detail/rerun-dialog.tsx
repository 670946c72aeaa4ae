import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { Problem } from "../../../api/problem.ts";
import { rest } from "../../../api/request.ts";
import { FormDialog } from "../../../components/dialog.tsx";
import { tell } from "../../../components/toasts.tsx";
import { useTask } from "../enqueue-form/enqueue-dialog.tsx";
import { PayloadEditor } from "../enqueue-form/payload-editor.tsx";
import type { Job } from "./use-job.ts";

/** Runs a job again with a payload that can be changed before. `isKept`: it has failed and can still be retried, so nothing of it is lost. */
export function RerunDialog({ job, isKept, onClose }: { job: Job; isKept: boolean; onClose: () => void }) {
  const task = useTask(job.task);
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const [payload, setPayload] = useState(job.payload);
  const [isChanged, setChanged] = useState(false);
  const [isValid, setValid] = useState(true);
  const [discard, setDiscard] = useState(isKept);
  const isRedacted = JSON.stringify(job.payload ?? null).includes('"[redacted]"');
  const rerun = useMutation({
    mutationFn: async () =>
      await rest<{ id: string }>("POST", `/jobs/${job.id}/rerun`, {
        ...(isChanged ? { payload } : {}),
        ...(discard && isKept ? { discard } : {}),
      }),
    onSuccess: async ({ id }) => {
      tell(`Job ${job.id} runs again as job ${id}.`);
      onClose();
      navigate(`/jobs/${id}`);
      await client.invalidateQueries();
    },
  });
  return (
    <FormDialog
      title={`Run job ${job.id} again`}
      submit="Run it"
      onClose={onClose}
      busy={rerun.isPending}
      error={rerun.error ?? undefined}
      disabled={!isValid}
      size="wide"
      onSubmit={() => rerun.mutate()}
    >
      <p>
        A new job of the task {job.task}, with the same priority, serial key, tenant and correlation id. It names this one as its
        parent.
      </p>
      {isRedacted && (
        <p className="muted">
          {isKept
            ? "What is [redacted] stays as it was, as long as you leave it: the server has it, and nobody may read it."
            : "What is [redacted] is not in the history any more: give it anew."}
        </p>
      )}
      {!task.isPending && (
        <PayloadEditor
          schema={task.data?.payloadSchema}
          value={payload}
          fields={rerun.error instanceof Problem ? rerun.error.fields : undefined}
          onChange={(next, valid) => {
            setPayload(next);
            setChanged(true);
            setValid(valid);
          }}
        />
      )}
      {isKept && (
        <label className="check">
          <input type="checkbox" checked={discard} onChange={({ target }) => setDiscard(target.checked)} />
          Give up job {job.id}, so that it is not retried as well
        </label>
      )}
    </FormDialog>
  );
}
