import { lazy, Suspense } from "react";

/** A list with more options than this can be searched by typing. */
const LONGEST_LIST = 20;

const SearchableChoice = lazy(() => import("./searchable-choice.tsx"));

export interface ChoiceProps {
  /** Set by the surrounding field. */
  id?: string;
  label: string;
  /** The label of the empty option, which means "no choice"; undefined if one of the options must be chosen. */
  any: string | undefined;
  value: string | undefined;
  options: readonly string[];
  /** Returns the label of an option. Default: the option itself. */
  textOf?: (option: string) => string;
  /** Called with the chosen option; undefined for the empty one. */
  onChange: (value: string | undefined) => void;
}

/** A list from which one option is chosen. A long list can be searched by typing. */
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
