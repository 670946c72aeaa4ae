import { tableLines } from "../src/cli/table.ts";

/** The results of a benchmark, as a table. */
export class ResultTable {
  readonly #head: readonly string[];
  readonly #rows: string[][] = [];

  constructor({ head }: { head: readonly string[] }) {
    this.#head = head;
  }

  push(...rows: readonly (readonly (string | number)[])[]): void {
    this.#rows.push(...rows.map((row) => row.map(String)));
  }

  toString(): string {
    return tableLines(this.#head, this.#rows).join("\n");
  }
}
