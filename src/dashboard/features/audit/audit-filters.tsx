import { X } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useSearchParams } from "wouter";
import { useMay } from "../../api/me.ts";
import { Button } from "../../components/button.tsx";
import { common } from "../../components/words.ts";
import { AUDIT_TARGETS } from "../../../contract/states.ts";
import { words } from "./words.ts";

/** The filters, as named in the URL and the REST route. */
export const FILTERS = ["targetType", "target", "operation", "actor", "tenant"] as const;

/** The lengths of the periods (ms). */
export const PERIODS: Readonly<Record<string, number>> = {
  "1h": 3_600_000,
  "24h": 86_400_000,
  "7d": 604_800_000,
  "30d": 2_592_000_000,
};

/** The filters of the audit log. Typed text takes effect on Enter, a choice immediately. All filters are in the URL. */
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
      // The name of a target is meaningful only together with its type.
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
      <select
        aria-label={words.period}
        value={search.get("period") ?? ""}
        onChange={(event) => set({ period: event.target.value })}
      >
        <option value="">{words.allTime}</option>
        {Object.keys(PERIODS).map((value) => (
          <option key={value} value={value}>
            {words.periods[value]}
          </option>
        ))}
      </select>
      <select
        aria-label={words.targetType}
        value={type}
        onChange={(event) => set({ targetType: event.target.value, target: "" })}
      >
        <option value="">{words.anyTarget}</option>
        {[...new Set([...AUDIT_TARGETS, ...(type === "" ? [] : [type])])].map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
      <Texts key={key} names={texts} values={search} onChange={set} />
      {[...search.keys()].length > 0 && (
        <Button kind="quiet" icon={<X aria-hidden="true" />} onClick={() => setSearch({})}>
          {common.clearFilters}
        </Button>
      )}
    </div>
  );
}

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
          aria-label={words.texts[name]}
          placeholder={words.texts[name]}
          value={typed[name] ?? ""}
          maxLength={256}
          size={18}
          onChange={(event) => setTyped({ ...typed, [name]: event.target.value })}
        />
      ))}
      <Button type="submit" disabled={!isChanged}>
        {words.filter}
      </Button>
    </form>
  );
}
