/** The problems that prevent this process's worker from running jobs, for `/ready` of the server in the same process. */
export class Problems {
  readonly #byPart = new Map<string, string>();

  /** Sets the problem of a part, such as `worker`; undefined when the problem is resolved. */
  set(part: string, problem: string | undefined): void {
    if (problem === undefined) this.#byPart.delete(part);
    else this.#byPart.set(part, problem);
  }

  /** Lists the current problems, one sentence each. */
  list(): string[] {
    return [...this.#byPart.values()];
  }
}
