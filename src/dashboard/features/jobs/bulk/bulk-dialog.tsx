import { useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { formatCount } from "../../../components/numbers.ts";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Failure } from "../../../components/notice.tsx";
import { tell } from "../../../components/toasts.tsx";
import { type BulkAction, type BulkTarget, MAX_COLLECTED } from "./bulk-actions.ts";
import { type BulkState, type Preview, restorePriorities, useBulk } from "./use-bulk.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";

const { jobs } = words.bulk;

/**
 * The dialog for an action on many jobs. It first shows how many and which jobs are affected, then the outcome, or a link to the bulk action that
 * carries it out.
 */
export function BulkDialog({
  action,
  target,
  onClose,
}: {
  action: BulkAction;
  target: BulkTarget;
  /** Called when the dialog closes; `isDone` is true if anything was changed. */
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
  const { state, start } = useBulk(action, target, options);
  const text = words.bulk.actions[action.name];
  const { phase, preview, changed } = state;
  const isOver = phase === "done" && preview !== undefined;

  async function run(): Promise<void> {
    if (preview === undefined) return;
    const end = await start(preview);
    if (end.started !== undefined) {
      tell(words.bulk.started(end.started), { link: { href: `/bulk/${end.started}`, text: words.bulk.progress } });
      onClose(true);
      await client.invalidateQueries();
      return;
    }
    if (end.changed > 0) {
      tell(text.done(jobs(end.changed)), canUndo(action, end) ? { undo: () => undo(end) } : {});
      await client.invalidateQueries();
    }
    if (end.phase === "done" && end.left === 0) onClose(end.changed > 0);
  }

  return (
    <Dialog title={words.bulk.question(text.label, target.words)} onClose={() => onClose(changed > 0)}>
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
          <Button onClick={() => onClose(changed > 0)}>
            {isOver ? common.close : action.name === "cancel" ? words.bulk.keepJobs : common.cancel}
          </Button>
          {!isOver && (
            <Button
              type="submit"
              kind={action.kind}
              busy={phase === "running" || phase === "previewing"}
              disabled={preview === undefined || preview.jobs === 0 || !(action.name !== "priority" || isNumber)}
            >
              {preview === undefined ? text.label : words.bulk.submit(text.label, jobs(preview.jobs, preview.isCapped))}
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
  if (preview === undefined) return null;
  if (phase !== "done") {
    return (
      <>
        <p role="status">
          <strong>{preview.jobs === 0 ? text.cannot : text.will(jobs(preview.jobs, preview.isCapped))}</strong>
          {preview.isPartial && words.bulk.partial(MAX_COLLECTED)}
        </p>
        <WhichJobs preview={preview} />
      </>
    );
  }
  return (
    <p role="status">
      {text.done(jobs(changed))}
      {left > 0 && words.bulk.left(left)}
    </p>
  );
}

/** The tasks of the jobs, and up to five of the jobs as samples. */
function WhichJobs({ preview: { byTask, samples, jobs: count } }: { preview: Preview }) {
  if (count === 0) return null;
  return (
    <>
      {byTask.length > 1 && (
        <ul className="bulk-tasks" aria-label={words.bulk.byTask}>
          {byTask.map(({ task, jobs: own }) => (
            <li key={task} className="chip">
              <span className="truncate">{task}</span>
              <span className="number">{formatCount(own)}</span>
            </li>
          ))}
        </ul>
      )}
      <p className="muted">{words.bulk.samples(samples.length, count)}</p>
      <ul className="bulk-samples">
        {samples.map(({ id, task, state, error }) => (
          <li key={id}>
            <span className="number">{id}</span> {task}{" "}
            <span className="muted" dir="auto">
              {error ?? state}
            </span>
          </li>
        ))}
      </ul>
    </>
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
