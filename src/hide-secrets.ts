import { parseExactly } from "./json.ts";

/** The marker that replaces secret values, as `legwork.redact` writes it. */
export const HIDDEN = "[redacted]";

/**
 * The names of secret values. They also match at the end of longer names such as `accessToken` and `x-api-key`.
 */
const SECRET = String.raw`password|passwd|passphrase|pwd|secret|token|jwt|authorization|api[-_]?key|access[-_]?key|private[-_]?key|cookie|credential|connection[-_]?string|database[-_]?url`;

/** Matches the key of a secret value. A plural key holds several secrets, or a count. */
const SECRET_KEY = new RegExp(`(?:${SECRET})(s?)$|^pass$`, "i");

/** Matches a log line that may contain a secret; only such lines are parsed. A false match only costs time. */
const SUSPICIOUS = new RegExp(String.raw`${SECRET}|"pass"|:\/\/[^\s"/@]*@|\bbearer\s|\bbasic\s|ERR_INVALID_URL`, "i");

/** The user and password of a URL. A password may contain any unencoded character, so the last @ before the path ends it. */
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"'<>]*):[^\s/"'<>]+@/gi;
/** `name=value`, as in the query of a URL, in libpq's connection strings and in cookies. */
const PAIR = new RegExp(String.raw`((?:${SECRET})s?=)(?:'[^']*'|[^\s&;"',]+)`, "gi");
/** JSON within a text, whose quotes may be escaped. */
const JSON_PAIR = new RegExp(String.raw`((?:${SECRET}s?|\bpass)(\\*"))(\s*:\s*)\2(?:(?!\2)(?:\\.|[^\\]))*\2`, "gi");
const HEADER = /\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi;

/** Hides the secrets in a line of JSON, at any depth. Returns the line itself if it has none; this check costs a fraction of a microsecond. */
export function hideSecretsInLine(line: string): string {
  if (!SUSPICIOUS.test(line)) return line;
  try {
    return `${JSON.stringify(hideSecrets(parseExactly(line)))}\n`;
  } catch {
    return `${JSON.stringify({ level: "error", msg: "A log line could not be searched for secrets and is not shown." })}\n`;
  }
}

/**
 * Returns a value of plain JSON without secrets: values whose key names one (password, token, authorization, apiKey, cookie and the like), at
 * any depth, and passwords in the URLs and connection strings of its texts.
 */
export function hideSecrets(value: unknown): unknown {
  if (typeof value === "string") return hideSecretsInText(value);
  if (value === null || typeof value !== "object" || "rawJSON" in value) return value;
  if (Array.isArray(value)) return value.map(hideSecrets);
  const isUrlError = "code" in value && value.code === "ERR_INVALID_URL";
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      key,
      isSecret(key, entry) || (isUrlError && key === "input") ? HIDDEN : hideSecrets(entry),
    ]),
  );
}

/** Hides passwords in URLs, `name=value` pairs and JSON with the name of a secret, and the credentials of an Authorization header. */
export function hideSecretsInText(text: string): string {
  if (!SUSPICIOUS.test(text)) return text;
  return text
    .replaceAll(URL_PASSWORD, `$1:${HIDDEN}@`)
    .replaceAll(PAIR, `$1${HIDDEN}`)
    .replaceAll(JSON_PAIR, `$1$3$2${HIDDEN}$2`)
    .replaceAll(HEADER, `$1 ${HIDDEN}`);
}

function isSecret(key: string, value: unknown): boolean {
  const found = SECRET_KEY.exec(key);
  if (found === null || value === null || value === undefined || typeof value === "boolean") return false;
  // `tokens: 512` is a count, `token: 512` may be a code from a text message.
  return typeof value !== "number" || found[1] === "";
}
