/** JSON texts that Postgres's `json` accepts, but that may break something between a client and a list. The keys say what is special about each. */
export const HOSTILE_JSON: Readonly<Record<string, string>> = {
  "a NUL escape": String.raw`{"user": 5, "note": "a\u0000b"}`,
  "a NUL escape in a key": String.raw`{"user": 5, "\u0000": 1}`,
  "the first half of a surrogate pair": String.raw`{"user": "\ud800"}`,
  "the second half of a surrogate pair": String.raw`{"user": "\udc00x"}`,
  "half a surrogate pair after an escaped backslash": String.raw`{"user": "\\ud83d\ude00"}`,
  "a backslash and the letters of an escape": String.raw`{"user": "\\u0000"}`,
  "1,000 levels": `{"user": ${"[".repeat(999)}${"]".repeat(999)}}`,
  "5,000 levels of arrays": `${"[".repeat(5_000)}${"]".repeat(5_000)}`,
  "5,000 levels of objects": `${'{"user":'.repeat(5_000)}1${"}".repeat(5_000)}`,
  "1e400": '{"user": 1e400}',
  "a number beyond numeric": '{"user": 1e200000}',
  "a number of 20,000 digits": `{"user": ${"7".repeat(20_000)}}`,
  "19 digits": '{"user": 1970670598291982290}',
  "trailing zeros": '{"user": 0.10, "n": [1.0, -0, 1E5]}',
  __proto__: '{"user": 1, "__proto__": {"x": 1}, "constructor": 2}',
  "control characters": String.raw`{"user": "\u001b[31m\u009b\u202e"}`,
  "a duplicate key": '{"user": 1, "user": 2}',
  "a bare string": '"user"',
  null: "null",
};

/** Whether two JSON texts have the same meaning. Numbers are compared by value in all digits, and of duplicate keys, the last one counts. */
export function meansTheSame(one: string, other: string): boolean {
  return canonical(one) === canonical(other);
}

/** Sorts the keys, and writes each number as its significant digits and its exponent. */
function canonical(text: string): string {
  const parse = JSON.parse as (
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ) => unknown;
  return JSON.stringify(
    parse(text, (_key, value, { source }) => {
      if (typeof value === "number") return `number ${digits(source as string)}`;
      if (typeof value === "string") return `text ${value}`;
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
      return Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    }),
  );
}

function digits(number: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const all = `${whole}${fraction}`.replace(/^0+/, "");
  const significant = all.replace(/0+$/, "");
  if (significant === "") return "0";
  return `${sign}${significant}e${BigInt(exponent) - BigInt(fraction.length) + BigInt(all.length - significant.length)}`;
}
