import { useMemo } from "react";
import "../table/table.css";
import { differences, dotted, MAX_DIFFERENCES, textOf } from "./paths.ts";
import { words } from "./words.ts";

/** Lists the differences between two values by path. */
export function Differences({ before, after, label }: { before: unknown; after: unknown; label: string }) {
  const found = useMemo(() => differences(before, after), [before, after]);
  if (found.length === 0) return <p className="card-body muted">{words.noDifference}</p>;
  return (
    <div className="table-scroll" role="region" aria-label={label} tabIndex={0}>
      <table className="table json-differences">
        <thead>
          <tr>
            <th scope="col">{words.path}</th>
            <th scope="col">{words.before}</th>
            <th scope="col">{words.after}</th>
          </tr>
        </thead>
        <tbody>
          {found.map(({ path, before: was, after: is }) => (
            <tr key={dotted(path)}>
              <th scope="row">{path.length === 0 ? words.whole : dotted(path)}</th>
              <td>{was === undefined ? <span className="muted">{words.absent}</span> : <del>{textOf(was)}</del>}</td>
              <td>{is === undefined ? <span className="muted">{words.absent}</span> : <ins>{textOf(is)}</ins>}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {found.length === MAX_DIFFERENCES && <p className="card-body muted">{words.moreDifferences(MAX_DIFFERENCES)}</p>}
    </div>
  );
}
