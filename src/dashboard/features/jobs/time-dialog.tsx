import { useState } from "react";
import { usePreferences } from "../../components/preferences.ts";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";

/** A time as the control shows it, in the zone that the viewer chose. */
function toControl(at: string | undefined, isUtc: boolean): string {
  if (at === undefined || Number.isNaN(Date.parse(at))) return "";
  const date = new Date(at);
  const shifted = isUtc ? date : new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

export function fromControl(value: string, isUtc: boolean): string | undefined {
  if (value === "") return undefined;
  return new Date(isUtc ? `${value}Z` : value).toISOString();
}

/** When jobs were created, from and to. */
export function TimeDialog({
  after,
  before,
  onClose,
  onChoose,
}: {
  after: string | undefined;
  before: string | undefined;
  onClose: () => void;
  onChoose: (after: string | undefined, before: string | undefined) => void;
}) {
  const isUtc = usePreferences().zone === "utc";
  const [from, setFrom] = useState(toControl(after, isUtc));
  const [to, setTo] = useState(toControl(before, isUtc));
  const hint = isUtc ? "In UTC." : "In your zone.";
  return (
    <FormDialog
      title="Created between"
      submit="Show"
      onClose={onClose}
      busy={false}
      error={undefined}
      onSubmit={() => onChoose(fromControl(from, isUtc), fromControl(to, isUtc))}
    >
      <Field label="From" hint={hint}>
        <input type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />
      </Field>
      <Field label="To" hint={hint}>
        <input type="datetime-local" value={to} onChange={(event) => setTo(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
