import { type ReactNode, useState } from "react";
import { Button } from "./button.tsx";
import { common } from "./words.ts";

const asText = (text: string): ReactNode => text;

/** A text of any length: only its beginning is shown at first, so that an error of many kilobytes does not push everything else off the page. */
export function LongText({
  text,
  most = 1_000,
  render = asText,
}: {
  text: string;
  /** The number of characters that are shown at first. */
  most?: number;
  render?: (shown: string) => ReactNode;
}) {
  const [isOpen, setOpen] = useState(false);
  if (isOpen || text.length <= most) return render(text);
  return (
    <>
      {render(`${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…`)}{" "}
      <Button kind="quiet" onClick={() => setOpen(true)}>
        {common.showAllCharacters(text.length)}
      </Button>
    </>
  );
}
