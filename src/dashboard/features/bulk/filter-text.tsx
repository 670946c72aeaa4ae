import { usePreferences } from "../../components/preferences.ts";
import { formatExact } from "../../components/time/format-times.ts";
import { words } from "./words.ts";

/** A filter in the format of a database row: its fields and their values. */
export function FilterText({ filter }: { filter: Readonly<Record<string, unknown>> }) {
  const { zone } = usePreferences();
  const fields = Object.entries(filter);
  if (fields.length === 0) return <span className="muted">{words.allJobs}</span>;
  return (
    <>
      {fields.map(([name, value]) => (
        <span key={name} className="chip">
          <span className="muted">{name.replaceAll("_", " ")}</span>
          <span>
            {Array.isArray(value)
              ? words.jobs(value.length)
              : /_(after|before)$/.test(name)
                ? formatExact(String(value), zone)
                : String(value)}
          </span>
        </span>
      ))}
    </>
  );
}
