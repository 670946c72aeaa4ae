import { Check, ChevronsDownUp, ChevronsUpDown, Copy, Download } from "lucide-react";
import { useDeferredValue, useMemo, useRef, useState } from "react";
import { Button } from "../button.tsx";
import { JsonLine, type TreeState } from "./json-line.tsx";
import { childrenOf, isContainer, keyOf, MAX_HITS, type Path, search, textOf } from "./paths.ts";
import { common } from "../words.ts";
import { words } from "./words.ts";
import "./json-tree.css";

/** How many values are expanded at first: as many as fit on a screen or two. */
const FIRST_LINES = 60;

export interface JsonTreeProps {
  value: unknown;
  /** Whether the value is a payload or a result. */
  label: string;
  /** The name of the downloaded file, without its extension. */
  fileName: string;
  /** Returns the URL of the jobs that match a filter of `filterOf`. Without this function, the tree offers no filters. */
  filterPage?: (filter: string) => string;
}

/**
 * A JSON viewer with folding, searching and copying. Only expanded values are drawn, a hundred at a time, so that JSON of several megabytes does not
 * freeze the page.
 */
export function JsonTree({ value, label, fileName, filterPage }: JsonTreeProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(() => firstOpen(value));
  const [selected, setSelected] = useState<string>();
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text);
  const hits = useMemo(() => search(value, wanted), [value, wanted]);
  const [hit, setHit] = useState(0);
  const tree = useRef<HTMLDivElement>(null);

  const show = (index: number): void => {
    const path = hits[index];
    if (path === undefined) return;
    setHit(index);
    setOpen((now) => new Set([...now, ...ancestorsOf(path)]));
    setSelected(keyOf(path));
    // Scrolls after the line has been drawn.
    setTimeout(() => tree.current?.querySelector('[data-selected="true"]')?.scrollIntoView({ block: "nearest" }));
  };
  const state: TreeState = {
    open,
    toggle: (key) =>
      setOpen((now) => {
        const next = new Set(now);
        if (!next.delete(key)) next.add(key);
        return next;
      }),
    selected,
    select: setSelected,
    wanted: hits[hit],
    filterPage,
  };
  const isFoldable = isContainer(value) && childrenOf(value).some(([, child]) => isContainer(child));
  return (
    <div className="json-tree">
      <div className="tool-bar">
        {isContainer(value) && (
          <input
            type="search"
            placeholder={words.find}
            aria-label={words.findIn(label)}
            value={text}
            onChange={({ target }) => {
              setText(target.value);
              setHit(-1);
            }}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              show((hit + 1) % Math.max(1, hits.length));
            }}
          />
        )}
        {wanted !== "" && (
          <>
            <span className="muted" role="status">
              {words.hits(Math.max(0, hit) + (hits.length === 0 ? 0 : 1), hits.length, hits.length === MAX_HITS)}
            </span>
            <Button kind="quiet" disabled={hits.length === 0} onClick={() => show((hit + 1) % hits.length)}>
              {words.nextHit}
            </Button>
          </>
        )}
        <span className="json-tree-tools">
          {isFoldable && (
            <>
              <IconButton
                icon={<ChevronsUpDown aria-hidden="true" />}
                label={words.expandAll}
                onClick={() => setOpen(allOpen(value))}
              />
              <IconButton
                icon={<ChevronsDownUp aria-hidden="true" />}
                label={words.collapseAll}
                onClick={() => setOpen(new Set([keyOf([])]))}
              />
            </>
          )}
          <CopyText label={words.copy(label)} text={() => textOf(value, 2)} />
          <IconButton
            icon={<Download aria-hidden="true" />}
            label={words.download(label)}
            onClick={() => download(textOf(value, 2), `${fileName}.json`)}
          />
        </span>
      </div>
      <div ref={tree} className="json-tree-lines" role="region" aria-label={common.jsonOf(label)} tabIndex={0}>
        <ul>
          <JsonLine name={undefined} value={value} path={[]} state={state} />
        </ul>
      </div>
    </div>
  );
}

function IconButton({ icon, label, onClick }: { icon: React.ReactNode; label: string; onClick: () => void }) {
  return <Button kind="quiet" aria-label={label} title={label} icon={icon} onClick={onClick} />;
}

function CopyText({ label, text }: { label: string; text: () => string }) {
  const [isCopied, setCopied] = useState(false);
  return (
    <IconButton
      icon={isCopied ? <Check aria-hidden="true" /> : <Copy aria-hidden="true" />}
      label={isCopied ? words.copied : label}
      onClick={() => {
        void navigator.clipboard.writeText(text()).then(() => {
          setCopied(true);
          setTimeout(() => setCopied(false), 2_000);
        });
      }}
    />
  );
}

function download(text: string, name: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

function ancestorsOf(path: Path): string[] {
  return path.map((_key, index) => keyOf(path.slice(0, index)));
}

/** The values that are expanded at first, level by level, up to `FIRST_LINES` lines. */
function firstOpen(value: unknown): ReadonlySet<string> {
  return unfold(value, FIRST_LINES);
}

/** The maximum number of lines that "Expand all" shows. */
const MAX_LINES = 2_000;

function allOpen(value: unknown): ReadonlySet<string> {
  return unfold(value, MAX_LINES);
}

function unfold(value: unknown, most: number): ReadonlySet<string> {
  const open = new Set<string>([keyOf([])]);
  let lines = 0;
  let level: [Path, unknown][] = [[[], value]];
  while (level.length > 0) {
    const next: [Path, unknown][] = [];
    for (const [path, at] of level) {
      if (!isContainer(at)) continue;
      const children = childrenOf(at);
      lines += children.length;
      if (lines > most && path.length > 0) return open;
      open.add(keyOf(path));
      for (const [key, child] of children) if (isContainer(child)) next.push([[...path, key], child]);
    }
    level = next;
  }
  return open;
}
