import { useMutation, useQueryClient } from "@tanstack/react-query";
import { OctagonPause } from "lucide-react";
import { useState } from "react";
import { useMay } from "../api/me.ts";
import { rest } from "../api/request.ts";
import { Time } from "../components/time/time.tsx";
import { Button } from "../components/button.tsx";
import { FormDialog } from "../components/dialog.tsx";
import { Field } from "../components/field.tsx";
import { tell } from "../components/toasts.tsx";
import { useOverview } from "../api/overview.ts";

/** What has to be typed, so that it cannot be hit by accident. */
const WORD = "stop";

/** The button, for those who may. While everything is stopped the banner has the way back. */
export function EmergencyStop() {
  const may = useMay("operator", { everybody: true });
  const { data } = useOverview();
  const [isOpen, setOpen] = useState(false);
  if (!may || data === undefined || data.stoppedAt !== null) return null;
  return (
    <>
      <Button kind="danger" className="stop-button" icon={<OctagonPause aria-hidden="true" />} onClick={() => setOpen(true)}>
        Stop all
      </Button>
      {isOpen && <StopDialog onClose={() => setOpen(false)} />}
    </>
  );
}

function StopDialog({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const [word, setWord] = useState("");
  const stop = useMutation({
    mutationFn: () => rest("POST", "/emergency-stop", reason.trim() === "" ? {} : { reason: reason.trim() }),
    onSuccess: async () => {
      await client.invalidateQueries();
      tell("Everything is stopped: no job starts any more.");
      onClose();
    },
  });
  return (
    <FormDialog
      title="Stop everything?"
      submit="Stop everything"
      kind="danger"
      onClose={onClose}
      onSubmit={() => stop.mutate()}
      busy={stop.isPending}
      error={stop.error}
      disabled={word.trim().toLowerCase() !== WORD}
    >
      <p>
        No job of any queue or tenant starts any more, on any worker. Jobs that run finish. Nothing is lost: what waits goes on
        waiting until somebody resumes.
      </p>
      <Field label="Why" hint="Shown to everybody who asks why a job does not run.">
        <input value={reason} maxLength={1_000} onChange={(event) => setReason(event.target.value)} />
      </Field>
      <Field label={`Type ${WORD} to confirm`}>
        <input value={word} autoComplete="off" onChange={(event) => setWord(event.target.value)} />
      </Field>
    </FormDialog>
  );
}

/** On every page while everything is stopped: since when, by whom, why, and the way back. */
export function StoppedBanner() {
  const may = useMay("operator", { everybody: true });
  const { data } = useOverview();
  const client = useQueryClient();
  const resume = useMutation({
    mutationFn: () => rest("POST", "/resume-all"),
    onSuccess: async () => {
      await client.invalidateQueries();
      tell("Jobs start again.");
    },
  });
  if (data === undefined || data.stoppedAt === null) return null;
  return (
    <div className="banner" role="alert">
      <OctagonPause aria-hidden="true" />
      <p>
        <strong>Everything is stopped</strong> since <Time at={data.stoppedAt} />
        {data.stoppedBy === null ? "" : ` by ${data.stoppedBy}`}
        {data.stopReason === null ? "." : `: ${data.stopReason}`}
      </p>
      {may && (
        <Button busy={resume.isPending} onClick={() => resume.mutate()}>
          Resume
        </Button>
      )}
    </div>
  );
}
