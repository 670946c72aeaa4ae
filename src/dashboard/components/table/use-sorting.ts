import { useState } from "react";
import { useSearchParams } from "wouter";
import type { Column } from "./column.ts";

export interface Sorting<Row> {
  by: string | undefined;
  isDescending: boolean;
  /** Sorts by a column; calling it again reverses the direction. Numbers start with the largest value, texts are in alphabetical order. */
  toggle(column: Column<Row>): void;
  apply(rows: readonly Row[]): readonly Row[];
}

/** The sort order of a table. It is stored in a search parameter if a name is given: `?sort=name`, or `?sort=-name` for descending order. */
export function useSorting<Row>(columns: readonly Column<Row>[], parameter: string | undefined): Sorting<Row> {
  const [search, setSearch] = useSearchParams();
  const [own, setOwn] = useState("");
  const order = parameter === undefined ? own : (search.get(parameter) ?? "");
  const isDescending = order.startsWith("-");
  const column = columns.find(({ id, sort }) => sort !== undefined && id === order.replace(/^-/, ""));
  return {
    by: column?.id,
    isDescending,
    toggle({ id, kind }) {
      const startsDescending = kind === "number";
      const descends = id === column?.id ? !isDescending : startsDescending;
      const next = `${descends ? "-" : ""}${id}`;
      if (parameter === undefined) setOwn(next);
      else {
        setSearch(
          (before) => {
            const after = new URLSearchParams(before);
            after.set(parameter, next);
            return after;
          },
          { replace: true },
        );
      }
    },
    apply(rows) {
      const valueOf = column?.sort;
      if (valueOf === undefined) return rows;
      return rows.toSorted((left, right) => compare(valueOf(left), valueOf(right), isDescending ? -1 : 1));
    },
  };
}

type Value = string | number | null | undefined;

function compare(left: Value, right: Value, sign: 1 | -1): number {
  if (left === right) return 0;
  if (left === null || left === undefined) return 1;
  if (right === null || right === undefined) return -1;
  if (typeof left === "number" && typeof right === "number") return sign * (left - right);
  return sign * String(left).localeCompare(String(right), "en", { numeric: true });
}
