import { useCombobox } from "downshift";
import { Filter } from "lucide-react";
import { type FormEvent, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { words } from "../words.ts";
import { isFirstChosen, type KnownValues, suggest, type Suggestion } from "./suggestions.ts";

const TYPES = useCombobox.stateChangeTypes;

/** The box for typed filters, with completion of fields and values. `onFilter` is called with the text when it is complete. */
export function FilterBox({ known, onFilter }: { known: KnownValues; onFilter: (text: string) => void }) {
  const [text, setText] = useState("");
  const [, navigate] = useLocation();
  const items = useMemo(() => suggest(text, known), [text, known]);

  function apply(complete: string): void {
    onFilter(complete);
    setText("");
  }
  function choose(chosen: Suggestion): void {
    if (chosen.kind === "job") navigate(`/jobs/${chosen.id}`);
    else if (chosen.kind === "filter") apply(chosen.text);
    else setText(chosen.text);
  }
  const { isOpen, highlightedIndex, closeMenu, getInputProps, getItemProps, getMenuProps } = useCombobox<Suggestion>({
    items,
    inputValue: text,
    selectedItem: null,
    itemToString: (item) => item?.label ?? "",
    stateReducer: (state, { type, changes }) => {
      switch (type) {
        case TYPES.InputChange: {
          const typed = changes.inputValue ?? "";
          return { ...changes, highlightedIndex: isFirstChosen(typed, suggest(typed, known)) ? 0 : -1 };
        }
        case TYPES.InputKeyDownEnter:
        case TYPES.ItemClick:
          // After a field has been chosen, the list stays open and offers its values.
          return {
            ...changes,
            inputValue: state.inputValue,
            isOpen: changes.selectedItem?.kind === "field",
            highlightedIndex: -1,
          };
        case TYPES.InputBlur:
          // Leaving the box does not choose a suggestion.
          return { ...changes, inputValue: state.inputValue, selectedItem: null };
        case TYPES.InputKeyDownEscape:
          return { ...changes, inputValue: state.inputValue };
        default:
          return changes;
      }
    },
    onStateChange: ({ type, selectedItem }) => {
      const isChosen = type === TYPES.InputKeyDownEnter || type === TYPES.ItemClick;
      if (isChosen && selectedItem !== null && selectedItem !== undefined) choose(selectedItem);
    },
  });
  const isShown = isOpen && items.length > 0;

  return (
    <form
      className="search filter-box"
      role="search"
      aria-label={words.list.filterJobs}
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        closeMenu();
        if (text.trim() !== "") apply(text);
      }}
    >
      <Filter aria-hidden="true" />
      <input
        {...getInputProps({
          "aria-label": words.list.filter,
          onChange: ({ currentTarget }) => setText(currentTarget.value),
          onKeyDown: (event) => {
            const native = event.nativeEvent as KeyboardEvent & { preventDownshiftDefault?: boolean };
            // Enter without a highlighted suggestion submits what was typed.
            if (event.key === "Enter" && (!isShown || highlightedIndex < 0)) native.preventDownshiftDefault = true;
            if (event.key !== "Escape" || isShown) return;
            // Escape closes the suggestions, then empties the box, then leaves it.
            native.preventDownshiftDefault = true;
            if (text === "") event.currentTarget.blur();
            else setText("");
          },
        })}
        placeholder={words.list.filterExample}
        spellCheck={false}
        dir="auto"
      />
      <ul {...getMenuProps({ "aria-label": words.list.suggestions })} className="filter-menu" hidden={!isShown}>
        {isShown &&
          items.map((item, index) => (
            <li
              key={item.key}
              {...getItemProps({ item, index })}
              className="filter-item"
              data-active={index === highlightedIndex}
            >
              <span className="truncate" dir="auto">
                {item.label}
              </span>
              <span className="muted">{item.hint}</span>
            </li>
          ))}
      </ul>
    </form>
  );
}
