/**
 * A time outside the range of Date that was stored without a check: infinity, -infinity, or a time after the year 275760. As text and in JSON, it has
 * the format of Postgres ("infinity", "290000-01-01T00:00:00+00"), except that infinity, a time that never comes, is null in JSON. As a number, it is
 * NaN, so that it is neither before nor after any other time.
 */
export class UnboundedTime extends Date {
  readonly #text: string;

  constructor(text: string) {
    super(Number.NaN);
    this.#text = text.replace(" ", "T");
  }

  override toISOString(): string {
    return this.#text;
  }

  override toJSON(): string {
    // JSON.stringify accepts null here, although Date's type does not.
    return this.#text === "infinity" ? (null as unknown as string) : this.#text;
  }

  override toString(): string {
    return this.#text;
  }
}
