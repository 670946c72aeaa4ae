import { useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { formatCount } from "../../../components/numbers.ts";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Failure } from "../../../components/notice.tsx";
import { tell } from "../../../components/toasts.tsx";
import { type BulkAction, type BulkTarget, MAX_COLLECTED } from "./bulk-actions.ts";
import { type BulkState, restorePriorities, useBulk } from "./use-bulk.ts";

function jobs(count: number, isCapped = false): string {
  return `${formatCount(count)}${isCapped ? " or more" : ""} ${count === 1 ? "job" : "jobs"}`;
}

/** Something done to many jobs: first how many it would be, then how far it is, at last what was done and what was not. */
export function BulkDialog({
  action,
  target,
  onClose,
}: {
  action: BulkAction;
  target: BulkTarget;
  /** Told whether anything was changed. */
  onClose: (isDone: boolean) => void;
}) {
  const client = useQueryClient();
  const [priority, setPriority] = useState("0");
  const [reason, setReason] = useState("");
  const isNumber = /^-?\d{1,5}$/.test(priority.trim()) && Math.abs(Number(priority)) <= 32_767;
  const options = useMemo(() => {
    if (action.name === "priority") return { priority: isNumber ? Number(priority) : 0 };
    return action.name === "cancel" && reason.trim() !== "" ? { reason: reason.trim() } : {};
  }, [action, isNumber, priority, reason]);
  const { state, start, stop } = useBulk(action, target, options);
  const { phase, preview, changed } = state;
  const isOver = phase === "done" || (phase === "stopped" && preview !== undefined);

  async function run(): Promise<void> {
    const end = await start(preview?.count ?? 0);
    if (end.changed > 0) {
      tell(`${jobs(end.changed)} ${action.done}.`, canUndo(action, end) ? { undo: () => undo(end) } : {});
      await client.invalidateQueries();
    }
    if (end.phase === "done" && end.left === 0) onClose(end.changed > 0);
  }

  return (
    <Dialog title={`${action.label} ${target.words}?`} onClose={() => (phase === "running" ? stop() : onClose(changed > 0))}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <div className="dialog-body">
          <p>{action.explains}</p>
          {action.name === "priority" && phase !== "running" && !isOver && (
            <Field
              label="Priority"
              hint="-32,768 to 32,767. Smaller runs first; 0 is the default."
              problem={isNumber ? undefined : "A whole number."}
            >
              <input inputMode="numeric" value={priority} onChange={(event) => setPriority(event.target.value)} />
            </Field>
          )}
          {action.name === "cancel" && phase !== "running" && !isOver && (
            <Field label="Why" hint="The history of the jobs says it.">
              <input value={reason} maxLength={1_000} onChange={(event) => setReason(event.target.value)} />
            </Field>
          )}
          <Progress action={action} state={state} />
        </div>
        {state.error !== undefined && <Failure error={state.error} />}
        <footer>
          {phase === "running" ? (
            <Button onClick={stop}>Stop</Button>
          ) : (
            <Button onClick={() => onClose(changed > 0)}>{isOver ? "Close" : "Leave it"}</Button>
          )}
          {!isOver && (
            <Button
              type="submit"
              kind={action.kind}
              busy={phase === "running" || phase === "previewing"}
              disabled={preview === undefined || preview.count === 0 || !(action.name !== "priority" || isNumber)}
            >
              {preview === undefined ? action.label : `${action.label} ${jobs(preview.count, preview.isCapped)}`}
            </Button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}

function Progress({ action, state }: { action: BulkAction; state: BulkState }) {
  const { phase, preview, changed, left } = state;
  if (phase === "previewing") return <p role="status">Counting…</p>;
  if (phase === "ready" && preview !== undefined) {
    return (
      <p role="status">
        <strong>{preview.count === 0 ? "None of them can be" : `${jobs(preview.count, preview.isCapped)} would be`}</strong>{" "}
        {action.done}.
        {preview.isPartial && ` More match: these are the newest ${formatCount(MAX_COLLECTED)}. Do it again for the rest.`}
      </p>
    );
  }
  if (phase === "running") {
    const total = changed + left;
    return (
      <div className="bulk-progress">
        <progress max={Math.max(total, 1)} value={changed} aria-label={`${action.label}: progress`} />
        <p role="status" className="number">
          {formatCount(changed)} of {formatCount(total)}
        </p>
      </div>
    );
  }
  if (preview === undefined) return null;
  return (
    <p role="status">
      {jobs(changed)} {action.done}.{phase === "stopped" && left > 0 && ` Stopped: about ${formatCount(left)} are as they were.`}
      {phase === "done" &&
        left > 0 &&
        ` ${formatCount(left)} could not be: somebody else is changing them, or a worker is taking them right now. Try those again.`}
    </p>
  );
}

/** Priorities can be given back, as long as it is known what all of them were. */
function canUndo(action: BulkAction, end: BulkState): boolean {
  return action.name === "priority" && end.before.reduce((sum, { ids }) => sum + ids.length, 0) === end.changed;
}

async function undo(end: BulkState): Promise<void> {
  try {
    const restored = await restorePriorities(end.before);
    const rest = end.changed - restored;
    tell(`${jobs(restored)} have their old priority again.${rest > 0 ? ` ${formatCount(rest)} have ended meanwhile.` : ""}`);
  } catch (error) {
    tell(error instanceof Error ? error.message : "It could not be undone.", { kind: "error" });
  }
}
