import { Columns3 } from "lucide-react";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { choose, usePreferences } from "../../../components/preferences.ts";
import { common } from "../../../components/words.ts";
import { words } from "../words.ts";
import { COLUMN, COLUMNS, type ColumnName } from "./columns.tsx";

/** The columns of the list that the user chose. */
export function useColumns(): readonly ColumnName[] {
  const { jobColumns } = usePreferences();
  return COLUMNS.filter((name) => jobColumns.includes(name));
}

/** Chooses the columns of the list. */
export function ColumnMenu() {
  const [isOpen, setOpen] = useState(false);
  const chosen = useColumns();
  return (
    <>
      <Button icon={<Columns3 aria-hidden="true" />} onClick={() => setOpen(true)}>
        {words.list.columns}
      </Button>
      {isOpen && (
        <Dialog title={words.list.columns} onClose={() => setOpen(false)}>
          <div className="dialog-body">
            <p className="muted">{words.list.columnsExplained}</p>
            <ul>
              {COLUMNS.map((name) => (
                <li key={name}>
                  <label className="check">
                    <input
                      type="checkbox"
                      checked={chosen.includes(name)}
                      onChange={({ target }) =>
                        choose({
                          jobColumns: COLUMNS.filter((each) => (each === name ? target.checked : chosen.includes(each))),
                        })
                      }
                    />
                    {COLUMN[name].title}
                  </label>
                </li>
              ))}
            </ul>
          </div>
          <footer>
            <Button kind="primary" onClick={() => setOpen(false)}>
              {common.close}
            </Button>
          </footer>
        </Dialog>
      )}
    </>
  );
}
