import { useEffect, useState } from "react";
import { Problem } from "../../api/problem.ts";
import { Time } from "../../components/time/time.tsx";
import { formatClock, formatDay, wallAt, zoneNameAt } from "../../components/time/zones.ts";
import { ClockChanges } from "./clock-changes.tsx";
import { type Timing, usePreview } from "../../api/schedules.ts";

/** How long nothing has to be typed before the server is asked (ms). */
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

/** What was typed, in words, with the next times, while it is being typed; what is wrong with it otherwise. */
export function TimingPreview({ timing: typed }: { timing: Timing | undefined }) {
  const timing = useRested(typed);
  const query = usePreview(timing, { count: COUNT });
  const { error, data } = query;
  return (
    <section className="timing-preview" aria-label="Preview" aria-live="polite">
      {typed === undefined ? (
        <p className="muted">Say when, and the next times are shown here.</p>
      ) : error !== null ? (
        <>
          <p className="field-problem">{error.message}</p>
          {error instanceof Problem && error.hint !== undefined && <p className="muted">{error.hint}</p>}
        </>
      ) : data === undefined || timing === undefined ? (
        <p className="muted">Looking up the next times.</p>
      ) : (
        <>
          {data.sentence !== null && (
            <p>
              <strong>{data.sentence}</strong> <span className="muted">in {timing.timezone}</span>
            </p>
          )}
          {data.items.length === 0 ? (
            <p className="field-problem">It would never occur.</p>
          ) : (
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
