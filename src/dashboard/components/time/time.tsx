import { useNow } from "./clock.ts";
import { usePreferences } from "../preferences.ts";
import { formatDuration, formatExact, formatRelative, isFinite, secondsBetween } from "./format-times.ts";

/** A time relative to now, with the exact time as a tooltip; shows `absent` if there is no time. */
export function Time({ at, absent = "–" }: { at: string | null | undefined; absent?: string }) {
  const minute = useNow(30_000);
  const isNear = isFinite(at) && Math.abs(Date.parse(at) - minute) < 120_000;
  const now = useNow(isNear ? 1_000 : 30_000);
  const { zone } = usePreferences();
  if (!isFinite(at)) return <span className="muted">{absent}</span>;
  return (
    // Keeps screen readers from announcing each change when the time is inside a live region.
    <time dateTime={at} title={formatExact(at, zone)} aria-live="off">
      {formatRelative(at, now)}
    </time>
  );
}

/** The exact time, in the time zone that the user chose. */
export function ExactTime({ at, absent = "–" }: { at: string | null | undefined; absent?: string }) {
  const now = useNow(30_000);
  const { zone } = usePreferences();
  if (!isFinite(at)) return <span className="muted">{absent}</span>;
  return (
    <time dateTime={at} title={formatRelative(at, now)}>
      {formatExact(at, zone)}
    </time>
  );
}

/** How long something took or, if it has not ended, how long it has taken so far. */
export function Duration({ from, to }: { from: string | null | undefined; to?: string | null | undefined }) {
  const now = useNow(1_000);
  if (!isFinite(from)) return <span className="muted">–</span>;
  const seconds = Math.max(0, secondsBetween(from, isFinite(to) ? to : now));
  return (
    <span className="number" aria-live="off">
      {formatDuration(isFinite(to) ? seconds : Math.floor(seconds))}
    </span>
  );
}
