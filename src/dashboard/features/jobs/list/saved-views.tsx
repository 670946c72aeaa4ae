import { Bookmark, Trash2 } from "lucide-react";
import { useId, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { FormDialog } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { tell } from "../../../components/toasts.tsx";
import { formatFilter, type JobFilter, readFilter, writeFilter } from "../filter.ts";

const KEY = "legwork.views";

/** Views by their names, as the address has them. Kept in this browser. */
function readViews(): Record<string, string> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    if (typeof kept !== "object" || kept === null) return {};
    return Object.fromEntries(Object.entries(kept).filter((each): each is [string, string] => typeof each[1] === "string"));
  } catch {
    return {};
  }
}

/** What is always there. */
const BUILT_IN: Readonly<Record<string, JobFilter>> = {
  "Running now": { state: "running" },
  "Failed today": { state: "failed", since: "24h" },
  "Waits for its next attempt": { state: "retrying" },
  "Held back": { state: "blocked" },
};

export function SavedViews({ filter, onOpen }: { filter: JobFilter; onOpen: (filter: JobFilter) => void }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button icon={<Bookmark aria-hidden="true" />} onClick={() => setOpen(true)}>
        Views
      </Button>
      {isOpen && (
        <ViewsDialog
          filter={filter}
          onClose={() => setOpen(false)}
          onOpen={(chosen) => {
            setOpen(false);
            onOpen(chosen);
          }}
        />
      )}
    </>
  );
}

function ViewsDialog({
  filter,
  onClose,
  onOpen,
}: {
  filter: JobFilter;
  onClose: () => void;
  onOpen: (filter: JobFilter) => void;
}) {
  const [views, setViews] = useState(readViews);
  const [name, setName] = useState("");
  const heading = useId();
  const isEmpty = Object.keys(filter).length === 0;
  const keep = (next: Record<string, string>): void => {
    localStorage.setItem(KEY, JSON.stringify(next));
    setViews(next);
  };
  return (
    <FormDialog
      title="Views"
      submit="Save this view"
      onClose={onClose}
      busy={false}
      error={undefined}
      disabled={name.trim() === "" || isEmpty}
      onSubmit={() => {
        keep({ ...views, [name.trim()]: writeFilter(filter).toString() });
        tell(`The view “${name.trim()}” is kept in this browser.`);
        onClose();
      }}
    >
      <div role="group" aria-labelledby={heading}>
        <h3 id={heading} className="visually-hidden">
          Open a view
        </h3>
        <ul className="views">
          {Object.entries(BUILT_IN).map(([title, view]) => (
            <li key={title}>
              <Button kind="quiet" onClick={() => onOpen(view)}>
                {title}
              </Button>
              <code className="muted truncate">{formatFilter(view)}</code>
            </li>
          ))}
          {Object.entries(views).map(([title, view]) => (
            <li key={`own ${title}`}>
              <Button kind="quiet" onClick={() => onOpen(readFilter(new URLSearchParams(view)))}>
                {title}
              </Button>
              <code className="muted truncate">{formatFilter(readFilter(new URLSearchParams(view)))}</code>
              <Button
                kind="quiet"
                aria-label={`Forget the view ${title}`}
                icon={<Trash2 aria-hidden="true" />}
                onClick={() => keep(Object.fromEntries(Object.entries(views).filter(([each]) => each !== title)))}
              />
            </li>
          ))}
        </ul>
      </div>
      <Field
        label="Name of this view"
        hint={
          isEmpty ? "Filter the list first; then what it shows can be kept." : `Keeps ${formatFilter(filter)} in this browser.`
        }
      >
        <input value={name} maxLength={60} disabled={isEmpty} onChange={(event) => setName(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
