/** The result of an isolated task. */
export class IsolatedResult {
  /** The result in the form in which it is stored; undefined without a result. */
  readonly json: string | undefined;

  constructor(json: string | undefined) {
    this.json = json;
  }
}
