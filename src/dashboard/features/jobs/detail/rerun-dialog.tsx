import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { Problem } from "../../../api/problem.ts";
import { rest } from "../../../api/request.ts";
import { FormDialog } from "../../../components/dialog.tsx";
import { tell } from "../../../components/toasts.tsx";
import { CopyAs } from "./copy-as.tsx";
import { useTask } from "../enqueue-form/enqueue-dialog.tsx";
import { PayloadEditor } from "../enqueue-form/payload-editor.tsx";
import type { Job } from "./use-job.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

/**
 * Reruns a job with a payload that can be edited first. `isKept` means that the job has failed and can still be retried, so its payload is still
 * stored in full.
 */
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
      tell(common.jobRerun(job.id, id));
      onClose();
      navigate(`/jobs/${id}`);
      await client.invalidateQueries();
    },
  });
  return (
    <FormDialog
      title={words.detail.rerunTitle(job.id, isKept)}
      submit={isKept ? words.detail.retryWithChanges : words.detail.rerunWithChanges}
      onClose={onClose}
      busy={rerun.isPending}
      error={rerun.error ?? undefined}
      disabled={!isValid}
      size="wide"
      onSubmit={() => rerun.mutate()}
    >
      <p>{words.detail.rerunExplained(job.task)}</p>
      {isRedacted && <p className="muted">{isKept ? words.detail.redactedKept : words.detail.redactedLost}</p>}
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
          {words.detail.discardOriginal(job.id)}
        </label>
      )}
      <CopyAs
        action={{ do: "rerun_job", id: job.id, ...(isChanged ? { payload } : {}), ...(discard && isKept ? { discard } : {}) }}
      />
    </FormDialog>
  );
}
