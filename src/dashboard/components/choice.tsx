import { lazy, Suspense } from "react";

/** With more options than this, a list can be searched by typing. */
const LONGEST_LIST = 20;

const SearchableChoice = lazy(() => import("./searchable-choice.tsx"));

export interface ChoiceProps {
  /** Given by the field around it. */
  id?: string;
  label: string;
  /** The text of the empty option, which stands for no choice; undefined if one of the options has to be chosen. */
  any: string | undefined;
  value: string | undefined;
  options: readonly string[];
  /** The text of an option, if it is not the option itself. */
  textOf?: (option: string) => string;
  /** Called with the chosen option; undefined for the empty one. */
  onChange: (value: string | undefined) => void;
}

/** A choice of one of several options: a list, which can be searched by typing if it is long. */
export function Choice(props: ChoiceProps) {
  const list = <ShortChoice {...props} />;
  if (props.options.length <= LONGEST_LIST) return list;
  return (
    <Suspense fallback={list}>
      <SearchableChoice {...props} />
    </Suspense>
  );
}

function ShortChoice({ id, label, any, value = "", options, textOf = String, onChange }: ChoiceProps) {
  return (
    <select
      id={id}
      aria-label={label}
      value={value}
      onChange={({ target }) => onChange(target.value === "" ? undefined : target.value)}
    >
      {any !== undefined && <option value="">{any}</option>}
      {value !== "" && !options.includes(value) && <option value={value}>{textOf(value)}</option>}
      {options.map((option) => (
        <option key={option} value={option}>
          {textOf(option)}
        </option>
      ))}
    </select>
  );
}
