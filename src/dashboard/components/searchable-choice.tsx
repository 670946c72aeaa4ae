import { useCombobox } from "downshift";
import { ChevronDown } from "lucide-react";
import { useMemo, useState } from "react";
import type { ChoiceProps } from "./choice.tsx";
import { common } from "./words.ts";

/** The maximum number of options that the list shows; the others can be found by typing. */
const MAX_SHOWN = 100;

const TYPES = useCombobox.stateChangeTypes;

/** A box for choosing among many options: typing narrows the list. Leaving the box or pressing Escape keeps the previous choice. */
export default function SearchableChoice({ id, label, any, value, options, textOf = String, onChange }: ChoiceProps) {
  const [typed, setTyped] = useState<string>();
  const chosen = value === undefined || value === "" ? "" : textOf(value);
  const matching = useMemo(() => {
    const wanted = (typed ?? "").trim().toLowerCase();
    const found = options.filter((option) => option.toLowerCase().includes(wanted));
    return any !== undefined && wanted === "" ? ["", ...found] : found;
  }, [typed, options, any]);
  const items = matching.slice(0, MAX_SHOWN);
  const { isOpen, highlightedIndex, getInputProps, getItemProps, getMenuProps } = useCombobox<string>({
    items,
    ...(id === undefined ? {} : { inputId: id }),
    inputValue: typed ?? chosen,
    selectedItem: value ?? "",
    itemToString: (item) => (item === null || item === "" ? "" : textOf(item)),
    stateReducer: (state, { type, changes }) => {
      // Leaving the box does not choose an option; only Enter and a click do.
      if (type === TYPES.InputBlur) return { ...changes, selectedItem: state.selectedItem };
      if (type === TYPES.InputKeyDownEscape) return { ...state, isOpen: false, highlightedIndex: -1 };
      if (type === TYPES.InputChange) return { ...changes, highlightedIndex: 0 };
      return changes;
    },
    onStateChange: ({ type, selectedItem }) => {
      const isChosen = type === TYPES.InputKeyDownEnter || type === TYPES.ItemClick;
      if (isChosen && selectedItem !== null && selectedItem !== undefined && selectedItem !== (value ?? "")) {
        onChange(selectedItem === "" ? undefined : selectedItem);
      }
    },
    onIsOpenChange: (changes) => {
      if (!changes.isOpen) setTyped(undefined);
    },
  });
  return (
    <span className="choice">
      <input
        {...getInputProps({
          "aria-label": label,
          title: chosen,
          onChange: ({ currentTarget }) => setTyped(currentTarget.value),
          onFocus: ({ currentTarget }) => currentTarget.select(),
          onKeyDown: (event) => {
            // Escape closes the list, but not the surrounding dialog.
            if (event.key === "Escape" && isOpen) event.preventDefault();
          },
        })}
        placeholder={any ?? common.chooseOne}
        spellCheck={false}
        autoComplete="off"
        dir="auto"
      />
      <ChevronDown aria-hidden="true" />
      <div className="filter-menu" hidden={!isOpen}>
        <ul {...getMenuProps({ "aria-label": label })}>
          {isOpen &&
            items.map((item, index) => (
              <li key={item} {...getItemProps({ item, index })} className="filter-item" data-active={index === highlightedIndex}>
                <span className="truncate" dir="auto">
                  {item === "" ? any : textOf(item)}
                </span>
              </li>
            ))}
        </ul>
        {isOpen && items.length === 0 && <p className="filter-item muted">{common.noOption}</p>}
        {isOpen && matching.length > items.length && (
          <p className="filter-item muted">{common.moreOptions(matching.length - items.length)}</p>
        )}
      </div>
    </span>
  );
}
