import { CirclePause, CirclePlay } from "lucide-react";
import { useState } from "react";
import { Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { tell } from "../../components/toasts.tsx";
import type { Ruled, Target } from "./limits.ts";
import { useMayRule, useRuleChange } from "./use-limit-change.ts";

/** Pauses what runs, with a reason, and lets go on what is paused. Nothing for whoever may not. */
export function PauseButton({ target, isPaused, quiet = false }: { target: Target; isPaused: boolean; quiet?: boolean }) {
  const may = useMayRule();
  const [isOpen, setOpen] = useState(false);
  const resume = useRuleChange(target);
  if (!may) return null;
  const label = `${isPaused ? "Resume" : "Pause"} ${target.name}`;
  return (
    <>
      <Button
        kind={quiet ? "quiet" : "plain"}
        icon={isPaused ? <CirclePlay aria-hidden="true" /> : <CirclePause aria-hidden="true" />}
        aria-label={label}
        title={label}
        busy={resume.isPending}
        onClick={() => {
          if (!isPaused) setOpen(true);
          else {
            resume.mutate(
              { method: "POST", path: "/resume", done: `Jobs of the ${target.scope} ${target.name} start again.` },
              { onError: (error) => tell(error.message, { kind: "error" }) },
            );
          }
        }}
      >
        {!quiet && (isPaused ? "Resume" : "Pause")}
      </Button>
      {isOpen && <PauseDialog target={target} onClose={() => setOpen(false)} />}
    </>
  );
}

function PauseDialog({ target, onClose }: { target: Target; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const pause = useRuleChange(target, onClose);
  const resume = useRuleChange(target);
  return (
    <FormDialog
      title={`Pause the ${target.scope} ${target.name}?`}
      submit="Pause"
      onClose={onClose}
      onSubmit={() =>
        pause.mutate({
          method: "POST",
          path: "/pause",
          body: reason.trim() === "" ? {} : { reason: reason.trim() },
          done: `The ${target.scope} ${target.name} is paused.`,
          undo: () => resume.mutate({ method: "POST", path: "/resume", done: `The ${target.scope} ${target.name} goes on.` }),
        })
      }
      busy={pause.isPending}
      error={pause.error}
    >
      <p>None of its jobs starts any more, on any worker. Those that run finish; those that come wait, and nothing is lost.</p>
      <Field label="Why" hint="Shown to everybody who asks why a job does not run.">
        <input value={reason} autoFocus maxLength={1_000} onChange={(event) => setReason(event.target.value)} />
      </Field>
    </FormDialog>
  );
}

/** Since when, by whom and why it is paused; nothing while it is not. */
export function PausedNotice({
  target,
  row,
  waiting,
}: {
  target: Target;
  row: Pick<Ruled, "pausedAt" | "pausedBy" | "pauseReason">;
  waiting?: string;
}) {
  if (row.pausedAt === null) return null;
  return (
    <div className="notice paused-notice" role="status">
      <CirclePause aria-hidden="true" />
      <div>
        <p>
          <strong>Paused</strong> since <Time at={row.pausedAt} />
          {row.pausedBy === null ? "" : ` by ${row.pausedBy}`}
          {row.pauseReason === null ? ". No reason was given." : `: ${row.pauseReason}`}
        </p>
        <p className="muted">
          No job of this {target.scope} starts. {waiting}
        </p>
      </div>
    </div>
  );
}
