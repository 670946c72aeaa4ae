import type { FailedGroup } from "../../api/monitoring.ts";
import { usePreferences } from "../../components/preferences.ts";
import { formatExact } from "../../components/time/format-times.ts";
import { words } from "./words.ts";

const WIDTH = 4;
const GAP = 1;
const HEIGHT = 26;

/** A chart of how many jobs of a group failed over time. It shows when the failures began and whether they continue. */
export function FailedSpark({ group }: { group: Pick<FailedGroup, "counts" | "countedFrom" | "countedTo"> }) {
  const { zone } = usePreferences();
  const peak = Math.max(1, ...group.counts);
  const text = words.overTime(formatExact(group.countedFrom, zone), formatExact(group.countedTo, zone), peak);
  return (
    <svg
      className="failed-spark"
      role="img"
      aria-label={text}
      viewBox={`0 0 ${group.counts.length * (WIDTH + GAP)} ${HEIGHT}`}
      width={group.counts.length * (WIDTH + GAP)}
      height={HEIGHT}
    >
      <title>{text}</title>
      {group.counts.map((count, place) => {
        const height = count === 0 ? 1 : Math.max(3, Math.round((HEIGHT * count) / peak));
        return (
          <rect
            // oxlint-disable-next-line react/no-array-index-key -- the places are the intervals
            key={place}
            data-none={count === 0}
            x={place * (WIDTH + GAP)}
            y={HEIGHT - height}
            width={WIDTH}
            height={height}
          />
        );
      })}
    </svg>
  );
}
