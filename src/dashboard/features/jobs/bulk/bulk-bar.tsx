import { X } from "lucide-react";
import { useState } from "react";
import { useMay } from "../../../api/me.ts";
import { formatCount } from "../../../components/numbers.ts";
import { Button } from "../../../components/button.tsx";
import type { JobFilter } from "../filter.ts";
import type { JobLine } from "../job-line.ts";
import type { Selection } from "../list/use-selection.ts";
import { BULK_ACTIONS, type BulkAction, type BulkTarget, matchingJobs, selectedJobs } from "./bulk-actions.ts";
import { BulkDialog } from "./bulk-dialog.tsx";

/** What can be done with the jobs that are picked, or with every one that matches. */
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
    isEverything ? filter.state === undefined || action.fits(filter.state) : picked.some(({ state }) => action.fits(state));
  return (
    <div className="bulk-bar" role="region" aria-label="Selection">
      <strong className="number">{isEverything ? "Every job that matches" : `${formatCount(selection.count)} selected`}</strong>
      <Button
        kind="quiet"
        icon={<X aria-hidden="true" />}
        aria-label="Clear the selection"
        onClick={() => {
          setAll(false);
          selection.clear();
        }}
      />
      {isEveryShown && hasMore && !isAll && (
        <Button kind="quiet" onClick={() => setAll(true)}>
          Select everything that matches
        </Button>
      )}
      {may &&
        BULK_ACTIONS.filter(fitting).map((action) => (
          <Button
            key={action.name}
            kind={action.kind === "danger" ? "danger" : "plain"}
            onClick={() => setAsked({ action, target: isEverything ? matchingJobs(filter) : selectedJobs([...selection.ids]) })}
          >
            {action.label}
          </Button>
        ))}
      {!may && <span className="muted">Your token may look and not act.</span>}
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
