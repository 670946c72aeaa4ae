import { useCallback, useMemo, useRef, useState } from "react";
import type { JobLine } from "../job-line.ts";

export interface Selection {
  ids: ReadonlySet<string>;
  count: number;
  has: (id: string) => boolean;
  /** Selects or deselects a job; with `isRange` selects all from the last selected job to this one. */
  toggle: (id: string, isRange: boolean, lines: readonly JobLine[]) => void;
  selectAll: (lines: readonly JobLine[]) => void;
  clear: () => void;
}

/** `restored` are the jobs that were selected when the user left the list. */
export function useSelection(restored?: ReadonlySet<string>): Selection {
  const [ids, setIds] = useState<ReadonlySet<string>>(restored ?? new Set());
  const anchor = useRef<string>(undefined);
  const toggle = useCallback((id: string, isRange: boolean, lines: readonly JobLine[]) => {
    const from = isRange ? lines.findIndex((line) => line.id === anchor.current) : -1;
    const to = lines.findIndex((line) => line.id === id);
    setIds((before) => {
      const after = new Set(before);
      if (from >= 0 && to >= 0) for (const line of lines.slice(Math.min(from, to), Math.max(from, to) + 1)) after.add(line.id);
      else if (!after.delete(id)) after.add(id);
      return after;
    });
    anchor.current = id;
  }, []);
  const selectAll = useCallback((lines: readonly JobLine[]) => setIds(new Set(lines.map(({ id }) => id))), []);
  const clear = useCallback(() => setIds(new Set()), []);
  return useMemo(
    () => ({ ids, count: ids.size, has: (id: string) => ids.has(id), toggle, selectAll, clear }),
    [ids, toggle, selectAll, clear],
  );
}
