import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { rest } from "../../api/request.ts";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { tell } from "../../components/toasts.tsx";

function path(name: string, verb: "pause" | "resume"): string {
  return `/queues/${encodeURIComponent(name)}/${verb}`;
}

export function useResumeQueue() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (name: string) => rest("POST", path(name, "resume")),
    onSuccess: async (_answer, name) => {
      tell(`${name} starts jobs again.`);
      await client.invalidateQueries();
    },
    onError: (error) => tell(error.message, { kind: "error" }),
  });
}

/** Asks why, and pauses; what was done can be taken back. */
export function PauseQueue({ name, onClose }: { name: string; onClose: () => void }) {
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const resume = useResumeQueue();
  const pause = useMutation({
    mutationFn: () => rest("POST", path(name, "pause"), reason.trim() === "" ? {} : { reason: reason.trim() }),
    onSuccess: async () => {
      tell(`${name} is paused.`, { undo: () => resume.mutate(name) });
      onClose();
      await client.invalidateQueries();
    },
  });
  return (
    <FormDialog
      title={`Pause ${name}?`}
      submit="Pause"
      onClose={onClose}
      onSubmit={() => pause.mutate()}
      busy={pause.isPending}
      error={pause.error}
    >
      <p>None of its jobs starts any more, on any worker. Jobs that run finish; nothing is lost.</p>
      <Field label="Why" hint="Shown to everybody who asks why a job does not run.">
        <input value={reason} maxLength={1_000} onChange={(event) => setReason(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
