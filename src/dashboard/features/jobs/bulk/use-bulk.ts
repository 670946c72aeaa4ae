import type { Json } from "../../../../contract/rows.ts";
import type { bulkSchema, priorityManySchema } from "../../../../contract/bulk.ts";
import { useCallback, useEffect, useState } from "react";
import type { BulkPreview } from "../../../api/bulk-actions.ts";
import { rest } from "../../../api/request.ts";
import type { BulkAction, BulkTarget } from "./bulk-actions.ts";

/** The maximum number of jobs that are changed by one request. More jobs are changed by a bulk action, which continues after the page is closed. */
const DIRECT = 1_000;

type Answer = Json<typeof bulkSchema> & Partial<Json<typeof priorityManySchema>>;

export interface Preview extends BulkPreview {
  filter: object;
  /** Whether more jobs match than could be collected. */
  isPartial: boolean;
}

/** The previous priorities, for undo. */
export type Before = NonNullable<Answer["before"]>;

export interface BulkState {
  phase: "previewing" | "ready" | "running" | "done";
  preview: Preview | undefined;
  changed: number;
  /** Jobs that could not be changed, because they are locked. */
  left: number;
  before: Before;
  /** The id of the bulk action, if one was started because there are many jobs. */
  started: string | undefined;
  error: unknown;
}

const START: BulkState = {
  phase: "previewing",
  preview: undefined,
  changed: 0,
  left: 0,
  before: [],
  started: undefined,
  error: undefined,
};

/** Previews an action, then carries it out: by one request for up to 1,000 jobs, otherwise by starting a bulk action. */
export function useBulk(action: BulkAction, target: BulkTarget, options: Readonly<Record<string, unknown>>) {
  const [state, setState] = useState<BulkState>(START);
  const key = action.name === "priority" ? JSON.stringify(options) : "";

  useEffect(() => {
    const asking = new AbortController();
    setState(START);
    previewOf(action, target, JSON.parse(key === "" ? "{}" : key) as object, asking.signal)
      .then((preview) => setState((last) => ({ ...last, phase: "ready", preview })))
      .catch((error: unknown) => {
        if (!asking.signal.aborted) setState((last) => ({ ...last, phase: "done", error }));
      });
    return () => asking.abort();
  }, [action, target, key]);

  const start = useCallback(
    async (preview: Preview): Promise<BulkState> => {
      setState((last) => ({ ...last, phase: "running", error: undefined }));
      let end: BulkState;
      try {
        end = { ...START, preview, phase: "done", ...(await carryOut(action, preview, options)) };
      } catch (error) {
        end = { ...START, preview, phase: "ready", error };
      }
      setState(end);
      return end;
    },
    [action, options],
  );
  return { state, start };
}

async function previewOf(action: BulkAction, target: BulkTarget, options: object, signal: AbortSignal): Promise<Preview> {
  const { filter, isCapped } = await target.resolve(action, signal);
  const body = { action: action.name, filter, ...options };
  return { ...(await rest<BulkPreview>("POST", "/bulk-actions/preview", body, signal)), filter, isPartial: isCapped };
}

async function carryOut(
  action: BulkAction,
  { filter, jobs, isCapped }: Preview,
  options: object,
): Promise<Pick<BulkState, "changed" | "left" | "before" | "started">> {
  if (jobs > DIRECT || isCapped || idsOf(filter) > DIRECT) {
    const { id } = await rest<{ id: string }>("POST", "/bulk-actions", { action: action.name, filter, ...options });
    return { changed: 0, left: 0, before: [], started: id };
  }
  const {
    changed,
    left,
    before = [],
  } = await rest<Answer>("POST", action.path, {
    ...options,
    filter,
    dryRun: false,
    atMost: DIRECT,
  });
  // A job that was rerun still matches, because nothing marks it as rerun.
  return { changed, left: action.name === "rerun" ? 0 : left, before, started: undefined };
}

function idsOf(filter: { ids?: readonly string[] }): number {
  return filter.ids?.length ?? 0;
}

/** Restores the previous priorities, except for jobs that have started or ended since. Resolves to the number of restored jobs. */
export async function restorePriorities(before: Before): Promise<number> {
  let restored = 0;
  for (const { priority, ids } of before) {
    restored += (await rest<Answer>("POST", "/jobs/priority", { filter: { ids }, priority, dryRun: false, atMost: DIRECT }))
      .changed;
  }
  return restored;
}
