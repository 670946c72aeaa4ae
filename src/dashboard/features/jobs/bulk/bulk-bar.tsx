import { X } from "lucide-react";
import { useState } from "react";
import { useMay } from "../../../api/me.ts";

import { Button } from "../../../components/button.tsx";
import { type JobFilter, statesOf } from "../filter.ts";
import type { JobLine } from "../job-line.ts";
import type { Selection } from "../list/use-selection.ts";
import { BULK_ACTIONS, type BulkAction, type BulkTarget, matchingJobs, selectedJobs } from "./bulk-actions.ts";
import { BulkDialog } from "./bulk-dialog.tsx";
import { words } from "../words.ts";

/** The actions on the selected jobs, or on all matching jobs. */
export function BulkBar({
  filter,
  lines,
  hasMore,
  selection,
}: {
  filter: JobFilter;
  lines: readonly JobLine[];
  hasMore: boolean;
  selection: Selection;
}) {
  const may = useMay("operator");
  const [isAll, setAll] = useState(false);
  const [asked, setAsked] = useState<{ action: BulkAction; target: BulkTarget }>();
  if (selection.count === 0 && asked === undefined) return null;
  const isEveryShown = selection.count >= lines.length;
  const isEverything = isAll && isEveryShown;
  const picked = lines.filter(({ id }) => selection.has(id));
  const fitting = (action: BulkAction): boolean =>
    isEverything
      ? statesOf(filter).length === 0 || statesOf(filter).some(action.fits)
      : picked.some(({ state }) => action.fits(state));
  return (
    <div className="bulk-bar" role="region" aria-label={words.bulk.selection}>
      <strong className="number">{isEverything ? words.bulk.allMatching : words.bulk.selected(selection.count)}</strong>
      <Button
        kind="quiet"
        icon={<X aria-hidden="true" />}
        aria-label={words.bulk.clearSelection}
        onClick={() => {
          setAll(false);
          selection.clear();
        }}
      />
      {isEveryShown && hasMore && !isAll && (
        <Button kind="quiet" onClick={() => setAll(true)}>
          {words.bulk.selectAllMatching}
        </Button>
      )}
      {may &&
        BULK_ACTIONS.filter(fitting).map((action) => (
          <Button
            key={action.name}
            kind={action.kind === "danger" ? "danger" : "plain"}
            onClick={() => setAsked({ action, target: isEverything ? matchingJobs(filter) : selectedJobs([...selection.ids]) })}
          >
            {words.bulk.actions[action.name].label}
          </Button>
        ))}
      {!may && <span className="muted">{words.bulk.readOnly}</span>}
      {asked !== undefined && (
        <BulkDialog
          action={asked.action}
          target={asked.target}
          onClose={(isDone) => {
            setAsked(undefined);
            if (!isDone) return;
            setAll(false);
            selection.clear();
          }}
        />
      )}
    </div>
  );
}
