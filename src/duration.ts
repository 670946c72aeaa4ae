import ms from "ms";

/** A length of time: "250ms", "30s", "5m", "1h", "2d", or a number of milliseconds. */
export type Duration = number | string;

/** In milliseconds; undefined for what is no duration or is negative. */
export function parseDuration(value: unknown): number | undefined {
  let milliseconds: unknown = value;
  if (typeof value === "string") milliseconds = value === "" || value.length > 100 ? undefined : ms(value as ms.StringValue);
  return typeof milliseconds === "number" && Number.isFinite(milliseconds) && milliseconds >= 0 ? milliseconds : undefined;
}

/** As Postgres reads an interval. */
export function toInterval(milliseconds: number): string {
  return `${milliseconds} milliseconds`;
}
