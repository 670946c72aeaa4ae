import { commandOf, curlOf, type Doable, statementOf } from "../../../../contract/action-texts.ts";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { words } from "../words.ts";

/** Copies the action of a dialog as a statement, a command or a request, so that it can be run elsewhere or sent to a colleague. */
export function CopyAs({ action }: { action: Doable }) {
  const texts = {
    sql: statementOf(action),
    command: commandOf(action),
    curl: curlOf(action, window.location.origin),
  };
  return (
    <p className="copy-as" role="group" aria-label={words.detail.copyAs}>
      <span className="muted">{words.detail.copyAs}</span>
      {Object.entries(texts).map(([name, text]) => (
        <CopyText key={name} label={words.detail.copyForms[name as keyof typeof texts]} text={text} />
      ))}
    </p>
  );
}

function CopyText({ label, text }: { label: string; text: string }) {
  const [isCopied, setCopied] = useState(false);
  return (
    <Button
      kind="quiet"
      title={text}
      onClick={() => {
        void navigator.clipboard.writeText(text).then(() => {
          setCopied(true);
          setTimeout(() => setCopied(false), 2_000);
        });
      }}
    >
      {isCopied ? words.detail.copiedForm : label}
    </Button>
  );
}
