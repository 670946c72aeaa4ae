import { useState } from "react";
import type { Alert } from "../../api/monitoring.ts";
import { rest } from "../../api/request.ts";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { useAlertAction } from "./alerts-api.ts";
import { words } from "./words.ts";

/** Acknowledges an alert, with a note. */
export function AcknowledgeDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const [note, setNote] = useState("");
  const acknowledge = useAlertAction(
    () => rest("POST", `/alerts/${alert.id}/acknowledge`, note.trim() === "" ? {} : { note: note.trim() }),
    () => words.acknowledged,
    onClose,
  );
  return (
    <FormDialog
      title={words.acknowledgeQuestion}
      submit={words.acknowledge}
      onClose={onClose}
      onSubmit={() => acknowledge.mutate(undefined)}
      busy={acknowledge.isPending}
      error={acknowledge.error}
    >
      <p>{alert.message}</p>
      <p className="muted">{words.acknowledgeExplained}</p>
      <Field label={words.note} hint={words.noteHint}>
        <input value={note} maxLength={1_000} onChange={(event) => setNote(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
