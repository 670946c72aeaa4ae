import { SlidersHorizontal } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Button } from "./button.tsx";
import { PHONE, useMedia } from "./use-media.ts";
import { common } from "./words.ts";

/** The filters of a list. On a phone they are behind a button, which shows how many of them are set, so that the list starts near the top. */
export function FoldableFilters({ count, children }: { count: number; children: ReactNode }) {
  const isPhone = useMedia(PHONE);
  const [isOpen, setOpen] = useState(false);
  if (!isPhone) return children;
  return (
    <>
      <Button icon={<SlidersHorizontal aria-hidden="true" />} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {common.filters(count)}
      </Button>
      {isOpen && children}
    </>
  );
}
