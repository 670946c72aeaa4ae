import type { Json } from "../../../../contract/rows.ts";
import type { bulkSchema, priorityManySchema, rerunManySchema } from "../../../../contract/bulk.ts";
import { useCallback, useEffect, useRef, useState } from "react";
import { rest } from "../../../api/request.ts";
import type { BulkAction, BulkTarget } from "./bulk-actions.ts";

/** Jobs that one request changes: few enough to stop soon, and enough to change ten thousand within seconds. */
const CHUNK = 1_000;

type Chunk = Json<typeof bulkSchema> & Partial<Json<typeof rerunManySchema> & Json<typeof priorityManySchema>>;

export interface Preview {
  count: number;
  isCapped: boolean;
  /** Whether more jobs match than could be collected. */
  isPartial: boolean;
}

export interface BulkState {
  phase: "previewing" | "ready" | "running" | "done" | "stopped";
  preview: Preview | undefined;
  changed: number;
  left: number;
  /** The previous priorities, for undo. */
  before: { priority: number; ids: string[] }[];
  error: unknown;
}

const START: BulkState = { phase: "previewing", preview: undefined, changed: 0, left: 0, before: [], error: undefined };

/** Runs a preview, then the action: one request per chunk, until no job is left or the user stops it. */
export function useBulk(action: BulkAction, target: BulkTarget, options: Readonly<Record<string, unknown>>) {
  const [state, setState] = useState<BulkState>(START);
  const controller = useRef<AbortController>(undefined);
  const key = action.name === "priority" ? JSON.stringify(options) : "";

  useEffect(() => {
    const asking = new AbortController();
    setState(START);
    preview(action, target, JSON.parse(key === "" ? "{}" : key) as object, asking.signal)
      .then((found) => setState((last) => ({ ...last, phase: "ready", preview: found })))
      .catch((error: unknown) => {
        if (!asking.signal.aborted) setState((last) => ({ ...last, phase: "stopped", error }));
      });
    return () => asking.abort();
  }, [action, target, key]);
  useEffect(() => () => controller.current?.abort(), []);

  const start = useCallback(
    async (total: number): Promise<BulkState> => {
      const running = new AbortController();
      controller.current = running;
      let now: BulkState = { phase: "running", preview: undefined, changed: 0, left: total, before: [], error: undefined };
      const tell = (change: Partial<BulkState>): void => {
        now = { ...now, ...change };
        setState(({ preview }) => ({ ...now, preview }));
      };
      tell({});
      try {
        const { filters } = await target.resolve(action, running.signal);
        let stuck = 0;
        for (const filter of filters) {
          const sent: Record<string, unknown> = { ...options, filter, dryRun: false, atMost: CHUNK };
          while (!running.signal.aborted) {
            // A request in flight is not aborted, so that its outcome is known.
            const chunk = await rest<Chunk>("POST", action.path, sent);
            if (chunk.asOf !== undefined) sent.asOf = chunk.asOf;
            tell({
              changed: now.changed + chunk.changed,
              before: merge(now.before, chunk.before ?? []),
              left: Math.max(chunk.leftIsCapped ? chunk.left : 0, total - now.changed - chunk.changed, 0),
            });
            if (chunk.changed === 0 || chunk.left === 0) {
              stuck += chunk.left;
              break;
            }
          }
        }
        tell(running.signal.aborted ? { phase: "stopped" } : { phase: "done", left: stuck });
      } catch (error) {
        tell({ phase: "stopped", error: running.signal.aborted ? undefined : error });
      }
      return now;
    },
    [action, target, options],
  );
  return { state, start, stop: () => controller.current?.abort() };
}

async function preview(action: BulkAction, target: BulkTarget, options: object, signal: AbortSignal): Promise<Preview> {
  const { filters, isCapped } = await target.resolve(action, signal);
  const found: Preview = { count: 0, isCapped: false, isPartial: isCapped };
  for (const filter of filters) {
    const chunk = await rest<Chunk>("POST", action.path, { ...options, filter, dryRun: true, atMost: 1 }, signal);
    found.count += chunk.left;
    found.isCapped ||= chunk.leftIsCapped;
  }
  return found;
}

function merge(one: BulkState["before"], other: BulkState["before"]): BulkState["before"] {
  const all = new Map(one.map(({ priority, ids }) => [priority, ids]));
  for (const { priority, ids } of other) all.set(priority, [...(all.get(priority) ?? []), ...ids]);
  return [...all].map(([priority, ids]) => ({ priority, ids }));
}

/** Restores the previous priorities, except for jobs that have started or ended since. Resolves to the number of restored jobs. */
export async function restorePriorities(before: BulkState["before"]): Promise<number> {
  let restored = 0;
  for (const { priority, ids } of before) {
    for (let from = 0; from < ids.length; from += 3_000) {
      const body = { filter: { ids: ids.slice(from, from + 3_000) }, priority, dryRun: false, atMost: 10_000 };
      restored += (await rest<Chunk>("POST", "/jobs/priority", body)).changed;
    }
  }
  return restored;
}
