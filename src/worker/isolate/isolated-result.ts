/** What an isolated task has returned. */
export class IsolatedResult {
  /** As it is stored; undefined for none. */
  readonly json: string | undefined;

  constructor(json: string | undefined) {
    this.json = json;
  }
}
