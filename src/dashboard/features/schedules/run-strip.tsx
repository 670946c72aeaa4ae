import { Link } from "wouter";
import { usePreferences } from "../../components/preferences.ts";
import { Card } from "../../components/page.tsx";
import { State } from "../../components/state-badge.tsx";
import { formatExact } from "../../components/time/format-times.ts";
import { Time } from "../../components/time/time.tsx";
import { type Run, useRuns } from "./use-runs.ts";
import { words } from "./words.ts";

/** How many of the last runs are shown. */
const SHOWN = 30;

/**
 * The last runs as squares, the newest on the right, so that users see at a glance whether the schedule works. Renders nothing before the first run.
 */
export function RunStrip({ name }: { name: string }) {
  const { zone } = usePreferences();
  const runs = (useRuns(name).data?.pages[0]?.items ?? []).slice(0, SHOWN);
  const [last] = runs;
  if (last === undefined) return null;
  const title = (run: Run): string => words.runTitle(formatExact(run.dueAt, zone), stateOf(run));
  return (
    <Card title={words.lastRuns(runs.length)}>
      <div className="card-body run-strip-body">
        <ol className="run-strip" reversed>
          {runs.toReversed().map((run) => (
            <li key={`${run.dueAt} ${run.state} ${run.jobId}`} className="state" data-state={run.outcome ?? run.state}>
              {run.jobId === null ? (
                <span title={title(run)}>
                  <span className="visually-hidden">{title(run)}</span>
                </span>
              ) : (
                <Link href={`/jobs/${run.jobId}`} title={title(run)}>
                  <span className="visually-hidden">{title(run)}</span>
                </Link>
              )}
            </li>
          ))}
        </ol>
        <p>
          {words.lastRun} <State state={last.outcome ?? last.state} /> <Time at={last.dueAt} />
          {last.reason !== null && <span className="muted"> · {last.reason}</span>}
        </p>
      </div>
    </Card>
  );
}

/** How the job of the run ended, or the outcome of the occurrence if it has no job. */
function stateOf({ state, outcome }: Run): string {
  return outcome ?? words.occurrences[state] ?? state;
}
