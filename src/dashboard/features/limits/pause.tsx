import { CirclePause, CirclePlay } from "lucide-react";
import { useState } from "react";
import { Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { tell } from "../../components/toasts.tsx";
import type { Ruled, Target } from "./limits.ts";
import { useMayRule, useRuleChange } from "./use-limit-change.ts";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** The button that pauses a queue or task with a reason, or resumes it. Renders nothing for users who may not do this. */
export function PauseButton({ target, isPaused, quiet = false }: { target: Target; isPaused: boolean; quiet?: boolean }) {
  const may = useMayRule();
  const [isOpen, setOpen] = useState(false);
  const resume = useRuleChange(target);
  if (!may) return null;
  const label = isPaused ? words.resumeOf(target.name) : words.pauseOf(target.name);
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
              { method: "POST", path: "/resume", done: words.resumed(target) },
              { onError: (error) => tell(error.message, { kind: "error" }) },
            );
          }
        }}
      >
        {!quiet && (isPaused ? common.resume : common.pause)}
      </Button>
      {isOpen && <PauseDialog target={target} onClose={() => setOpen(false)} />}
    </>
  );
}

/** The dialog that asks for a reason and pauses a queue or task. The toast then offers to undo it. */
export function PauseDialog({ target, onClose }: { target: Target; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const pause = useRuleChange(target, onClose);
  const resume = useRuleChange(target);
  return (
    <FormDialog
      title={words.pauseQuestion(target)}
      submit={common.pause}
      onClose={onClose}
      onSubmit={() =>
        pause.mutate({
          method: "POST",
          path: "/pause",
          body: reason.trim() === "" ? {} : { reason: reason.trim() },
          done: words.paused(target),
          undo: () => resume.mutate({ method: "POST", path: "/resume", done: words.resumed(target) }),
        })
      }
      busy={pause.isPending}
      error={pause.error}
    >
      <p>{words.pauseExplained}</p>
      <Field label={common.reason} hint={common.reasonShown}>
        <input value={reason} autoFocus maxLength={1_000} onChange={(event) => setReason(event.target.value)} />
      </Field>
    </FormDialog>
  );
}

/** The dialog that asks for confirmation before a queue or task is resumed. */
export function ResumeDialog({ target, onClose }: { target: Target; onClose: () => void }) {
  const resume = useRuleChange(target, onClose);
  return (
    <FormDialog
      title={words.resumeQuestion(target)}
      submit={common.resume}
      onClose={onClose}
      onSubmit={() => resume.mutate({ method: "POST", path: "/resume", done: words.resumed(target) })}
      busy={resume.isPending}
      error={resume.error}
    >
      <p>{words.resumeExplained}</p>
    </FormDialog>
  );
}

/** When, by whom and why a queue or task was paused. Renders nothing while it is not paused. */
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
          <strong>{common.paused}</strong> <Time at={row.pausedAt} />
          {words.pausedBy(row.pausedBy, row.pauseReason)}
        </p>
        <p className="muted">
          {words.nothingStarts(target.scope)} {waiting}
        </p>
      </div>
    </div>
  );
}
