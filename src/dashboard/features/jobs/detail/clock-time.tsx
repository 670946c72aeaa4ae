import { usePreferences } from "../../../components/preferences.ts";
import { useNow } from "../../../components/time/clock.ts";
import { formatExact, isFinite } from "../../../components/time/format-times.ts";

/** The time of day to the millisecond, with the date unless it is today, and the exact time as a tooltip. */
export function ClockTime({ at }: { at: string | null }) {
  const { zone } = usePreferences();
  const now = useNow(60_000);
  if (!isFinite(at)) return <span className="muted">–</span>;
  const date = new Date(at);
  const timeZone = zone === "utc" ? { timeZone: "UTC" } : {};
  const day = date.toLocaleDateString("en-GB", { ...timeZone, day: "numeric", month: "short" });
  const isToday = day === new Date(now).toLocaleDateString("en-GB", { ...timeZone, day: "numeric", month: "short" });
  return (
    <time dateTime={at} title={formatExact(at, zone)} className="timeline-time">
      {isToday ? "" : `${day}, `}
      {date.toLocaleTimeString("en-GB", {
        ...timeZone,
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
        fractionalSecondDigits: 3,
      })}
    </time>
  );
}
