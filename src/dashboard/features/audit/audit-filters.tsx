import { X } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useSearchParams } from "wouter";
import { useMay } from "../../api/me.ts";
import { Button } from "../../components/button.tsx";

/** What the address and the route call them. */
export const FILTERS = ["targetType", "target", "operation", "actor", "tenant"] as const;

export const PERIODS: Readonly<Record<string, { name: string; ms: number }>> = {
  "1h": { name: "The last hour", ms: 3_600_000 },
  "24h": { name: "The last 24 hours", ms: 86_400_000 },
  "7d": { name: "The last 7 days", ms: 604_800_000 },
  "30d": { name: "The last 30 days", ms: 2_592_000_000 },
};

/** Kinds of things that something is done to. */
const TYPES = [
  "job",
  "jobs",
  "queue",
  "task",
  "all",
  "schedule",
  "workflow",
  "alert",
  "alert_rule",
  "silence",
  "token",
  "login",
  "setting",
];

/** Which lines are shown. What is typed takes effect on Enter, what is chosen at once; all of it stands in the address. */
export function AuditFilters() {
  const [search, setSearch] = useSearchParams();
  const everybody = useMay("admin", { everybody: true });
  const set = (changes: Readonly<Record<string, string>>): void =>
    setSearch((old) => {
      const changed = new URLSearchParams(old);
      for (const [name, value] of Object.entries(changes)) {
        if (value.trim() === "") changed.delete(name);
        else changed.set(name, value.trim());
      }
      // A target is found by its kind and its name together.
      if (!changed.has("targetType")) changed.delete("target");
      return changed;
    });
  const type = search.get("targetType") ?? "";
  const texts = (["target", "operation", "actor", ...(everybody ? (["tenant"] as const) : [])] as const).filter(
    (name) => name !== "target" || type !== "",
  );
  const key = FILTERS.map((name) => search.get(name) ?? "").join("\u0000");
  return (
    <div className="tool-bar audit-filters">
      <select aria-label="When" value={search.get("period") ?? ""} onChange={(event) => set({ period: event.target.value })}>
        <option value="">Ever</option>
        {Object.entries(PERIODS).map(([value, { name }]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
      <select aria-label="To what" value={type} onChange={(event) => set({ targetType: event.target.value, target: "" })}>
        <option value="">Everything</option>
        {[...new Set([...TYPES, ...(type === "" ? [] : [type])])].map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
      <Texts key={key} names={texts} values={search} onChange={set} />
      {[...search.keys()].length > 0 && (
        <Button kind="quiet" icon={<X aria-hidden="true" />} onClick={() => setSearch({})}>
          All of it
        </Button>
      )}
    </div>
  );
}

const LABELS: Readonly<Record<string, string>> = {
  target: "Its id or name",
  operation: "Operation, such as pause",
  actor: "Who",
  tenant: "Tenant",
};

function Texts({
  names,
  values,
  onChange,
}: {
  names: readonly string[];
  values: URLSearchParams;
  onChange: (changes: Readonly<Record<string, string>>) => void;
}) {
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(names.map((name) => [name, values.get(name) ?? ""])),
  );
  const isChanged = names.some((name) => (typed[name] ?? "").trim() !== (values.get(name) ?? ""));
  return (
    <form
      className="tool-bar"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        onChange(typed);
      }}
    >
      {names.map((name) => (
        <input
          key={name}
          aria-label={LABELS[name]}
          placeholder={LABELS[name]}
          value={typed[name] ?? ""}
          maxLength={256}
          size={18}
          onChange={(event) => setTyped({ ...typed, [name]: event.target.value })}
        />
      ))}
      <Button type="submit" disabled={!isChanged}>
        Filter
      </Button>
    </form>
  );
}
