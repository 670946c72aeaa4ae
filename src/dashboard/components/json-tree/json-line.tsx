import { ChevronRight } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Link } from "wouter";
import { isRawNumber } from "../../api/exact-json.ts";
import { Button } from "../button.tsx";
import { childrenOf, dotted, filterOf, isContainer, keyOf, type Path, textOf } from "./paths.ts";
import { words } from "./words.ts";

/** The state that all lines of a tree share. */
export interface TreeState {
  open: ReadonlySet<string>;
  toggle: (key: string) => void;
  /** The line whose actions are shown. */
  selected: string | undefined;
  select: (key: string | undefined) => void;
  /** The current match of a search. It is drawn even if it is far down in a list. */
  wanted: Path | undefined;
  filterPage: ((filter: string) => string) | undefined;
}

/** How many values of an object or list are drawn at a time. */
const CHUNK = 100;

/** How many characters of a text are drawn at first. */
const TEXT_LIMIT = 400;

interface JsonLineProps {
  /** The key or position of the value; undefined for the whole value. */
  name: string | number | undefined;
  value: unknown;
  path: Path;
  state: TreeState;
}

/** One value and, while it is expanded, the values inside it. */
export function JsonLine({ name, value, path, state }: JsonLineProps) {
  const key = keyOf(path);
  const isSelected = state.selected === key;
  const inner = isContainer(value) ? childrenOf(value) : undefined;
  const isOpen = inner !== undefined && state.open.has(key);
  const [isArray, count] = [Array.isArray(value), inner?.length ?? 0];
  const label = name === undefined ? words.whole : String(name);
  return (
    <li>
      <div className="json-line" data-selected={isSelected}>
        {inner !== undefined && count > 0 ? (
          <button type="button" className="json-fold" aria-expanded={isOpen} aria-label={label} onClick={() => state.toggle(key)}>
            <ChevronRight aria-hidden="true" />
          </button>
        ) : (
          <span className="json-fold" />
        )}
        <button
          type="button"
          className="json-value"
          aria-pressed={isSelected}
          onClick={() => state.select(isSelected ? undefined : key)}
        >
          {name !== undefined && (
            <span className={typeof name === "number" ? "json-index" : "json-key"} dir="auto">
              {name}:{" "}
            </span>
          )}
          {inner === undefined ? <Scalar value={value} /> : <Summary isArray={isArray} count={count} />}
        </button>
        {typeof value === "string" && value.length > TEXT_LIMIT && <LongText value={value} />}
      </div>
      {isSelected && <LineActions path={path} value={value} state={state} />}
      {isOpen && inner !== undefined && count > 0 && <Inner inner={inner} path={path} state={state} />}
    </li>
  );
}

function Inner({ inner, path, state }: { inner: [string | number, unknown][]; path: Path; state: TreeState }) {
  const [count, setCount] = useState(CHUNK);
  const wanted =
    state.wanted !== undefined && keyOf(state.wanted.slice(0, path.length)) === keyOf(path)
      ? state.wanted[path.length]
      : undefined;
  const position = wanted === undefined ? -1 : inner.findIndex(([key]) => key === wanted);
  // A match further down is drawn with its neighbors, not with the thousands before it.
  const from = Math.max(count, Math.floor(position / CHUNK) * CHUNK);
  const lines = (entries: readonly [string | number, unknown][]): ReactNode =>
    entries.map(([key, child]) => <JsonLine key={key} name={key} value={child} path={[...path, key]} state={state} />);
  return (
    <ul>
      {lines(inner.slice(0, count))}
      {inner.length > count && (
        <li>
          <Button kind="quiet" onClick={() => setCount(count + 10 * CHUNK)}>
            {words.more(Math.min(10 * CHUNK, inner.length - count))}
          </Button>
        </li>
      )}
      {position >= count && lines(inner.slice(from, from + CHUNK))}
    </ul>
  );
}

function Summary({ isArray, count }: { isArray: boolean; count: number }) {
  return (
    <span className="json-summary">
      {isArray ? "[" : "{"}
      {count > 0 && <span className="muted"> {isArray ? words.items(count) : words.fields(count)} </span>}
      {isArray ? "]" : "}"}
    </span>
  );
}

function Scalar({ value }: { value: unknown }) {
  if (typeof value === "string") {
    return (
      <span className="json-text" dir="auto">
        {textOf(value.length > TEXT_LIMIT ? `${value.slice(0, TEXT_LIMIT)}…` : value)}
      </span>
    );
  }
  const type = isRawNumber(value) || typeof value === "number" ? "json-number" : "json-literal";
  return <span className={type}>{textOf(value)}</span>;
}

function LongText({ value }: { value: string }) {
  const [isWhole, setWhole] = useState(false);
  if (isWhole) return <pre className="json-long">{value}</pre>;
  return (
    <Button kind="quiet" onClick={() => setWhole(true)}>
      {words.wholeText(value.length)}
    </Button>
  );
}

/** The buttons for the actions on a value. */
function LineActions({ path, value, state }: { path: Path; value: unknown; state: TreeState }) {
  const filter = state.filterPage === undefined ? undefined : filterOf(path, value);
  return (
    <div className="json-actions">
      {path.length > 0 && <CopyButton label={words.copyPath} text={() => dotted(path)} />}
      <CopyButton label={words.copyValue} text={() => (typeof value === "string" ? value : textOf(value, 2))} />
      {filter !== undefined && <Link href={state.filterPage?.(filter) ?? ""}>{words.filterJobs}</Link>}
    </div>
  );
}

function CopyButton({ label, text }: { label: string; text: () => string }) {
  const [isCopied, setCopied] = useState(false);
  return (
    <Button
      kind="quiet"
      onClick={() => {
        void navigator.clipboard.writeText(text()).then(() => {
          setCopied(true);
          setTimeout(() => setCopied(false), 2_000);
        });
      }}
    >
      {isCopied ? words.copied : label}
    </Button>
  );
}
