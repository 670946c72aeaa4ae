import { useState } from "react";
import { usePreferences } from "../../components/preferences.ts";
import { FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** A time in the format of the input control, in the time zone that the user chose. */
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

/** A dialog for choosing a range of creation times. */
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
  const hint = isUtc ? common.inUtc : common.inLocalTime;
  return (
    <FormDialog
      title={words.list.createdBetween}
      submit={words.list.show}
      onClose={onClose}
      busy={false}
      error={undefined}
      onSubmit={() => onChoose(fromControl(from, isUtc), fromControl(to, isUtc))}
    >
      <Field label={words.list.from} hint={hint}>
        <input type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />
      </Field>
      <Field label={words.list.to} hint={hint}>
        <input type="datetime-local" value={to} onChange={(event) => setTo(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
