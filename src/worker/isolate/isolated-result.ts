import { type DescribedThrown, reviveThrown } from "./thrown.ts";

/** What an isolated task has returned. */
export class IsolatedResult {
  /** As it is stored; undefined for none. */
  readonly json: string | undefined;
  /** The entries of a batch job: a rejected promise for each that has failed. */
  readonly entries: readonly unknown[] | undefined;

  constructor(json: string | undefined, entries: readonly (DescribedThrown | undefined)[] | undefined) {
    this.json = json;
    this.entries = entries?.map((entry) => {
      if (entry === undefined) return undefined;
      const rejected = Promise.reject(reviveThrown(entry));
      rejected.catch(() => undefined);
      return rejected;
    });
  }
}
