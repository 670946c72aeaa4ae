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
import { common } from "../components/words.ts";
import { words } from "./words.ts";

/** The emergency stop button, for operators. While all jobs are stopped, the banner has a button that resumes them. */
export function EmergencyStop() {
  const may = useMay("operator", { everybody: true });
  const { data } = useOverview();
  const [isOpen, setOpen] = useState(false);
  if (!may || data === undefined || data.stoppedAt !== null) return null;
  return (
    <>
      <Button
        kind="danger"
        className="stop-button"
        aria-label={words.stop}
        icon={<OctagonPause aria-hidden="true" />}
        onClick={() => setOpen(true)}
      >
        <span className="wide-only">{words.stop}</span>
        <span className="narrow-only">{words.stopShort}</span>
      </Button>
      {isOpen && <StopDialog onClose={() => setOpen(false)} />}
    </>
  );
}

/** The dialog that asks for a reason and a confirmation word, and stops all jobs. */
export function StopDialog({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  const [word, setWord] = useState("");
  const stop = useMutation({
    mutationFn: () => rest("POST", "/emergency-stop", reason.trim() === "" ? {} : { reason: reason.trim() }),
    onSuccess: async () => {
      await client.invalidateQueries();
      tell(words.allStopped);
      onClose();
    },
  });
  return (
    <FormDialog
      title={words.stopQuestion}
      submit={words.stopAll}
      kind="danger"
      onClose={onClose}
      onSubmit={() => stop.mutate()}
      busy={stop.isPending}
      error={stop.error}
      disabled={word.trim().toLowerCase() !== words.stopWord}
    >
      <p>{words.stopExplained}</p>
      <Field label={common.reason} hint={common.reasonShown}>
        <input value={reason} maxLength={1_000} onChange={(event) => setReason(event.target.value)} />
      </Field>
      <Field label={words.typeToConfirm(words.stopWord)}>
        <input value={word} autoComplete="off" onChange={(event) => setWord(event.target.value)} />
      </Field>
    </FormDialog>
  );
}

function useResumeAll(onDone?: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => rest("POST", "/resume-all"),
    onSuccess: async () => {
      await client.invalidateQueries();
      tell(common.allResumed);
      onDone?.();
    },
  });
}

/** The dialog that asks for confirmation before all jobs are resumed. */
export function ResumeAllDialog({ onClose }: { onClose: () => void }) {
  const resume = useResumeAll(onClose);
  return (
    <FormDialog
      title={words.resumeQuestion}
      submit={words.resumeAll}
      onClose={onClose}
      onSubmit={() => resume.mutate()}
      busy={resume.isPending}
      error={resume.error}
    >
      <p>{words.resumeExplained}</p>
    </FormDialog>
  );
}

/** Shown on every page while all jobs are stopped: when they were stopped, by whom and why, with a button that resumes them. */
export function StoppedBanner() {
  const may = useMay("operator", { everybody: true });
  const { data } = useOverview();
  const resume = useResumeAll();
  if (data === undefined || data.stoppedAt === null) return null;
  return (
    <div className="banner" role="alert">
      <OctagonPause aria-hidden="true" />
      <p>
        <strong>{words.stopped}</strong> <Time at={data.stoppedAt} />
        {words.stoppedBy(data.stoppedBy, data.stopReason)}
      </p>
      {may && (
        <Button busy={resume.isPending} onClick={() => resume.mutate()}>
          {common.resume}
        </Button>
      )}
    </div>
  );
}
