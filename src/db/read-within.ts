import pg from "pg";
import { LegworkError } from "../errors.ts";
import { formatNumber } from "../wording.ts";
import { sameViews } from "./confinement.ts";
import { types as ownTypes } from "./parse-timestamp.ts";
import type { PoolClient } from "./pool.ts";

/** Limits how much one response may read from the database (bytes). */
export class ReadBudget {
  readonly #bytes: number;
  readonly #hint: string;
  #left: number;

  constructor(bytes: number, hint: string) {
    this.#bytes = bytes;
    this.#hint = hint;
    this.#left = bytes;
  }

  /**
   * Returns type parsers that add up the size of the values as rows arrive, and throw LW413 when the budget is exceeded. The statement fails with
   * that error.
   */
  counting(types: pg.CustomTypesConfig = ownTypes): pg.CustomTypesConfig {
    return {
      getTypeParser: (oid: number, format?: "text" | "binary") => {
        const parse = types.getTypeParser(oid, format) as (value: string) => unknown;
        return (value: string) => {
          this.#left -= value.length;
          if (this.#left < 0) throw this.#exceeded();
          return parse(value);
        };
      },
    };
  }

  #exceeded(): LegworkError {
    return new LegworkError("LW413", `The response would have more than ${formatNumber(this.#bytes)} bytes.`, {
      hint: this.#hint,
    });
  }
}

/** Returns a client whose statements count against the budget. Rows that exceed it are dropped as they arrive, so they use no memory. */
export function readWithin(client: PoolClient, budget: ReadBudget): PoolClient {
  const types = budget.counting();
  const counted = new Proxy(client, {
    get(target, property) {
      if (property === "query")
        return async (text: string, values?: unknown[]) => await target.query({ text, values: values ?? [], types });
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return sameViews(client, counted);
}
