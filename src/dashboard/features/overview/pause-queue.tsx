import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { rest } from "../../api/request.ts";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { tell } from "../../components/toasts.tsx";
import { common } from "../../components/words.ts";
import { words } from "../limits/words.ts";

function path(name: string, verb: "pause" | "resume"): string {
  return `/queues/${encodeURIComponent(name)}/${verb}`;
}

export function useResumeQueue() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (name: string) => rest("POST", path(name, "resume")),
    onSuccess: async (_answer, name) => {
      tell(common.queueResumed(name));
      await client.invalidateQueries();
    },
    onError: (error) => tell(error.message, { kind: "error" }),
  });
}

/** The dialog that asks for a reason and pauses the queue. The toast then offers to undo it. */
export function PauseQueue({ name, onClose }: { name: string; onClose: () => void }) {
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const resume = useResumeQueue();
  const pause = useMutation({
    mutationFn: () => rest("POST", path(name, "pause"), reason.trim() === "" ? {} : { reason: reason.trim() }),
    onSuccess: async () => {
      tell(words.paused({ scope: "queue", name }), { undo: () => resume.mutate(name) });
      onClose();
      await client.invalidateQueries();
    },
  });
  return (
    <FormDialog
      title={words.pauseQuestion({ scope: "queue", name })}
      submit={common.pause}
      onClose={onClose}
      onSubmit={() => pause.mutate()}
      busy={pause.isPending}
      error={pause.error}
    >
      <p>{words.pauseExplained}</p>
      <Field label={common.reason} hint={common.reasonShown}>
        <input value={reason} maxLength={1_000} onChange={(event) => setReason(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
