import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { Button } from "./button.tsx";
import { common } from "./words.ts";

/** Shows JSON or a text with a copy button. Long values scroll; no part of the value is ever treated as markup. */
export function Json({ value, label }: { value: unknown; label: string }) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return (
    <div className="json">
      <CopyButton text={text} label={common.copy(label)} />
      <pre tabIndex={0} role="region" aria-label={typeof value === "string" ? common.textOf(label) : common.jsonOf(label)}>
        {text}
      </pre>
    </div>
  );
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <Button
      kind="quiet"
      className="copy"
      aria-label={copied ? common.copied : label}
      title={label}
      icon={copied ? <Check aria-hidden="true" /> : <Copy aria-hidden="true" />}
      onClick={() => {
        void navigator.clipboard.writeText(text).then(() => {
          setCopied(true);
          setTimeout(() => setCopied(false), 2_000);
        });
      }}
    />
  );
}
