import { Bookmark, Trash2 } from "lucide-react";
import { useId, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { FormDialog } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { tell } from "../../../components/toasts.tsx";
import { formatFilter, type JobFilter, readFilter, writeFilter } from "../filter.ts";
import { words } from "../words.ts";

const KEY = "legwork.views";

/** The saved views by name, as query strings. Stored in this browser. */
function readViews(): Record<string, string> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    if (typeof kept !== "object" || kept === null) return {};
    return Object.fromEntries(Object.entries(kept).filter((each): each is [string, string] => typeof each[1] === "string"));
  } catch {
    return {};
  }
}

/** The built-in views. */
const BUILT_IN: Readonly<Record<string, JobFilter>> = {
  [words.list.builtIn.running]: { state: "running" },
  [words.list.builtIn.failedToday]: { state: "failed", since: "24h" },
  [words.list.builtIn.retrying]: { state: "retrying" },
  [words.list.builtIn.blocked]: { state: "blocked" },
};

export function SavedViews({ filter, onOpen }: { filter: JobFilter; onOpen: (filter: JobFilter) => void }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button icon={<Bookmark aria-hidden="true" />} onClick={() => setOpen(true)}>
        {words.list.views}
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
      title={words.list.views}
      submit={words.list.saveView}
      onClose={onClose}
      busy={false}
      error={undefined}
      disabled={name.trim() === "" || isEmpty}
      onSubmit={() => {
        keep({ ...views, [name.trim()]: writeFilter(filter).toString() });
        tell(words.list.viewSaved(name.trim()));
        onClose();
      }}
    >
      <div role="group" aria-labelledby={heading}>
        <h3 id={heading} className="visually-hidden">
          {words.list.openView}
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
                aria-label={words.list.deleteView(title)}
                icon={<Trash2 aria-hidden="true" />}
                onClick={() => keep(Object.fromEntries(Object.entries(views).filter(([each]) => each !== title)))}
              />
            </li>
          ))}
        </ul>
      </div>
      <Field
        label={words.list.viewName}
        hint={isEmpty ? words.list.viewNeedsFilter : words.list.viewNameHint(formatFilter(filter))}
      >
        <input value={name} maxLength={60} disabled={isEmpty} onChange={(event) => setName(event.target.value)} />
      </Field>
    </FormDialog>
  );
}
