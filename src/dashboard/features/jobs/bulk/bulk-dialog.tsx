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
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

const { jobs } = words.bulk;

/** An action on many jobs: first a preview of how many, then its progress, finally its outcome. */
export function BulkDialog({
  action,
  target,
  onClose,
}: {
  action: BulkAction;
  target: BulkTarget;
  /** Called with whether anything was changed. */
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
  const text = words.bulk.actions[action.name];
  const { phase, preview, changed } = state;
  const isOver = phase === "done" || (phase === "stopped" && preview !== undefined);

  async function run(): Promise<void> {
    const end = await start(preview?.count ?? 0);
    if (end.changed > 0) {
      tell(text.done(jobs(end.changed)), canUndo(action, end) ? { undo: () => undo(end) } : {});
      await client.invalidateQueries();
    }
    if (end.phase === "done" && end.left === 0) onClose(end.changed > 0);
  }

  return (
    <Dialog
      title={words.bulk.question(text.label, target.words)}
      onClose={() => (phase === "running" ? stop() : onClose(changed > 0))}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <div className="dialog-body">
          <p>{text.explained}</p>
          {action.name === "priority" && phase !== "running" && !isOver && (
            <Field label={common.priority} hint={words.bulk.priorityHint} problem={isNumber ? undefined : words.bulk.wholeNumber}>
              <input inputMode="numeric" value={priority} onChange={(event) => setPriority(event.target.value)} />
            </Field>
          )}
          {action.name === "cancel" && phase !== "running" && !isOver && (
            <Field label={common.reason} hint={common.reasonKept}>
              <input value={reason} maxLength={1_000} onChange={(event) => setReason(event.target.value)} />
            </Field>
          )}
          <Progress action={action} state={state} />
        </div>
        {state.error !== undefined && <Failure error={state.error} />}
        <footer>
          {phase === "running" ? (
            <Button onClick={stop}>{words.bulk.stop}</Button>
          ) : (
            <Button onClick={() => onClose(changed > 0)}>
              {isOver ? common.close : action.name === "cancel" ? words.bulk.keepJobs : common.cancel}
            </Button>
          )}
          {!isOver && (
            <Button
              type="submit"
              kind={action.kind}
              busy={phase === "running" || phase === "previewing"}
              disabled={preview === undefined || preview.count === 0 || !(action.name !== "priority" || isNumber)}
            >
              {preview === undefined ? text.label : words.bulk.submit(text.label, jobs(preview.count, preview.isCapped))}
            </Button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}

function Progress({ action, state }: { action: BulkAction; state: BulkState }) {
  const { phase, preview, changed, left } = state;
  const text = words.bulk.actions[action.name];
  if (phase === "previewing") return <p role="status">{words.bulk.counting}</p>;
  if (phase === "ready" && preview !== undefined) {
    return (
      <p role="status">
        <strong>{preview.count === 0 ? text.cannot : text.will(jobs(preview.count, preview.isCapped))}</strong>
        {preview.isPartial && words.bulk.partial(MAX_COLLECTED)}
      </p>
    );
  }
  if (phase === "running") {
    const total = changed + left;
    return (
      <div className="bulk-progress">
        <progress max={Math.max(total, 1)} value={changed} aria-label={words.bulk.progressOf(text.label)} />
        <p role="status" className="number">
          {common.of(formatCount(changed), formatCount(total))}
        </p>
      </div>
    );
  }
  if (preview === undefined) return null;
  return (
    <p role="status">
      {text.done(jobs(changed))}
      {phase === "stopped" && left > 0 && words.bulk.stopped(left)}
      {phase === "done" && left > 0 && words.bulk.left(left)}
    </p>
  );
}

/** A change of priority can be undone if the previous priority of each job is known. */
function canUndo(action: BulkAction, end: BulkState): boolean {
  return action.name === "priority" && end.before.reduce((sum, { ids }) => sum + ids.length, 0) === end.changed;
}

async function undo(end: BulkState): Promise<void> {
  try {
    const restored = await restorePriorities(end.before);
    tell(words.bulk.restored(restored, end.changed - restored));
  } catch (error) {
    tell(error instanceof Error ? error.message : words.bulk.notUndone, { kind: "error" });
  }
}
