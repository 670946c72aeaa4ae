import { HIDDEN, hideSecrets, hideSecretsInText } from "../hide-secrets.ts";

/** Tokens that are recognizable by themselves: Legwork's own, JWTs and tokens of well-known services. */
const BARE_TOKEN =
  /\blw_[\w-]{16,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\b(?:sk|pk|rk|ghp|gho|github_pat|xoxb|xoxp)[_-][A-Za-z0-9_-]{12,}/g;

/** Converts a value to text without secrets: removes fields with secret names at any depth, passwords in texts, and tokens anywhere. */
export function withoutSecrets(value: unknown): string {
  const text =
    typeof value === "string"
      ? hideSecretsInText(value)
      : // Convert to plain JSON first, because times are objects.
        JSON.stringify(hideSecrets(JSON.parse(JSON.stringify(value ?? null))), null, 2);
  return text.replaceAll(BARE_TOKEN, HIDDEN);
}

/** Only the structure of users' JSON: its keys, with the type and size of each value. */
function shapeOf(value: unknown): unknown {
  if (typeof value === "string") return `string of ${value.length}`;
  if (Array.isArray(value)) return value.length === 0 ? [] : [`${value.length} items, the first:`, shapeOf(value[0])];
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]));
  }
  return value === null ? null : typeof value;
}

/** Fields that hold users' values. */
const USERS: ReadonlySet<string> = new Set(["payload", "result", "fields", "before", "after", "progressMessage"]);

/** Rows in which users' values are replaced by their structure. */
export function withoutValues(value: unknown, name = ""): unknown {
  if (USERS.has(name)) return shapeOf(value);
  if (Array.isArray(value)) return value.map((inner) => withoutValues(inner, name));
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutValues(inner, key)]));
}
