/** What keeps the worker of this process from working, for `/ready` of the server beside it. */
export class Problems {
  readonly #byPart = new Map<string, string>();

  /** Says what is wrong with a part, such as `worker`; undefined when it is well again. */
  set(part: string, problem: string | undefined): void {
    if (problem === undefined) this.#byPart.delete(part);
    else this.#byPart.set(part, problem);
  }

  /** The problems there are now, each a sentence. */
  list(): string[] {
    return [...this.#byPart.values()];
  }
}
