import { Fragment, useState } from "react";
import { JOB_STATES } from "../../contract/states.ts";
import { may, useMe } from "../api/me.ts";
import { Dialog } from "../components/dialog.tsx";
import { State } from "../components/state-badge.tsx";
import { common } from "../components/words.ts";
import { PLACES } from "./places.ts";
import { words } from "./words.ts";

/**
 * The keyboard shortcuts of all pages and of the current page. It also lists the meanings of the job states, because their tooltips are only
 * available with a mouse.
 */
export function ShortcutList({ onClose }: { onClose: () => void }) {
  const me = useMe();
  const [own] = useState(ownKeys);
  const places = PLACES.filter(({ page }) => me !== undefined && may(me, page.role ?? "viewer", page.everybody ?? false));
  return (
    <Dialog title={words.shortcuts} onClose={onClose} size="wide">
      <div className="dialog-body keys-columns">
        <section>
          <h3>{words.anyPage}</h3>
          <Keys
            keys={[
              [words.paletteKeys, words.palette.title],
              [["/"], words.findJob],
              [["?"], words.shortcuts],
              ...places.map(({ key, label }): [string[], string] => [["g", key], label]),
            ]}
          />
        </section>
        <div>
          {own.length > 0 && (
            <section>
              <h3>{words.thisPage}</h3>
              <Keys keys={own} />
            </section>
          )}
          <section>
            <h3>{words.inLists}</h3>
            <Keys
              keys={[
                [["j", "k", "x", "Enter", "o"], words.inList],
                [["r", "c", "e"], words.onJob],
              ]}
            />
          </section>
          <section>
            <h3>{words.states}</h3>
            <dl className="keys">
              {JOB_STATES.map((state) => (
                <div key={state}>
                  <dt>
                    <State state={state} />
                  </dt>
                  <dd>{common.stateMeanings[state]}</dd>
                </div>
              ))}
            </dl>
          </section>
        </div>
      </div>
    </Dialog>
  );
}

function Keys({ keys }: { keys: readonly (readonly [keys: readonly string[], does: string])[] }) {
  return (
    <dl className="keys">
      {keys.map(([pressed, does]) => (
        <div key={pressed.join(" ")}>
          <dt>
            {pressed.map((key, index) => (
              <Fragment key={key}>
                {index > 0 && " "}
                <kbd>{key}</kbd>
              </Fragment>
            ))}
          </dt>
          <dd>{does}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The keys of the buttons that are currently on the page. */
function ownKeys(): [string[], string][] {
  return [...document.querySelectorAll<HTMLButtonElement>("main button[aria-keyshortcuts]:not(:disabled)")].map((button) => [
    [button.getAttribute("aria-keyshortcuts") ?? ""],
    button.getAttribute("aria-label") ?? button.innerText,
  ]);
}
