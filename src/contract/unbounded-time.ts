/**
 * A time that no Date can hold, because it was stored without a check: infinity, -infinity, or one beyond the year 275760. As text it is what
 * Postgres writes ("infinity", "290000-01-01T00:00:00+00"), and as JSON too, except that infinity, which never comes, is null there. As a
 * number it is NaN, and so neither before nor after any other.
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
    // What JSON.stringify writes may be null, whatever Date's type says.
    return this.#text === "infinity" ? (null as unknown as string) : this.#text;
  }

  override toString(): string {
    return this.#text;
  }
}
