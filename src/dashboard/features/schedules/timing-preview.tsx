import { useEffect, useState } from "react";
import { Problem } from "../../api/problem.ts";
import { Time } from "../../components/time/time.tsx";
import { formatClock, formatDay, wallAt, zoneNameAt } from "../../components/time/zones.ts";
import { ClockChanges } from "./clock-changes.tsx";
import { type Timing, usePreview } from "../../api/schedules.ts";
import { words } from "./words.ts";

/** How long the user must stop typing before a request is sent to the server (ms). */
const REST_MS = 250;

/** How many runs are shown. */
const COUNT = 6;

function useRested(timing: Timing | undefined): Timing | undefined {
  const key = timing === undefined ? "" : JSON.stringify(timing);
  const [rested, setRested] = useState(key);
  useEffect(() => {
    const timer = setTimeout(() => setRested(key), REST_MS);
    return () => clearTimeout(timer);
  }, [key]);
  return rested === "" ? undefined : (JSON.parse(rested) as Timing);
}

/** The timing in words with its next runs, updated while the user types; the error if it is invalid. */
export function TimingPreview({ timing: typed }: { timing: Timing | undefined }) {
  const timing = useRested(typed);
  const query = usePreview(timing, { count: COUNT });
  const { error, data } = query;
  return (
    <section className="timing-preview" aria-label={words.preview}>
      {/* Screen readers announce this when it changes, but not the times below it, because they count down. */}
      <div aria-live="polite">
        {typed === undefined ? (
          <p className="muted">{words.previewEmpty}</p>
        ) : error !== null ? (
          <>
            <p className="field-problem">{error.message}</p>
            {error instanceof Problem && error.hint !== undefined && <p className="muted">{error.hint}</p>}
          </>
        ) : data === undefined || timing === undefined ? (
          <p className="muted">{words.previewLoading}</p>
        ) : (
          <>
            {data.sentence !== null && (
              <p>
                <strong>{data.sentence}</strong> <span className="muted">{words.inZone(timing.timezone)}</span>
              </p>
            )}
            {data.items.length === 0 && <p className="field-problem">{words.neverRuns}</p>}
          </>
        )}
      </div>
      {typed !== undefined && error === null && data !== undefined && timing !== undefined && (
        <>
          {data.items.length > 0 && (
            <ol>
              {data.items.map(({ at }) => {
                const instant = Date.parse(at);
                const wall = wallAt(instant, timing.timezone);
                return (
                  <li key={at}>
                    <span className="number">
                      {formatDay(wall)}, {formatClock(wall)} {zoneNameAt(instant, timing.timezone)}
                    </span>
                    <span className="muted">
                      <Time at={at} />
                    </span>
                  </li>
                );
              })}
            </ol>
          )}
          <ClockChanges timing={timing} />
        </>
      )}
    </section>
  );
}
