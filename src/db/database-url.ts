import pg from "pg";
import { LegworkError, toError } from "../errors.ts";

/** node-postgres treats these modes as verify-full, and warns on stderr that this will change. */
const STRICT_MODES = /([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|#|$)/;

/** Shorter secrets are not removed from messages, because they also occur in ordinary words. */
const MIN_SECRET_LENGTH = 4;

/**
 * Returns a connection string as node-postgres should receive it. node-postgres verifies certificates in all SSL modes except disable and no-verify;
 * this function replaces them with the only mode that causes no warning. With `uselibpqcompat=true`, the string stays unchanged. If the string is
 * ambiguous or cannot be parsed, throws LW514 with a message that contains no part of it.
 */
export function connectionString(databaseUrl: string): string {
  const strict = /[?&]uselibpqcompat=true(?=&|#|$)/.test(databaseUrl)
    ? databaseUrl
    : databaseUrl.replace(STRICT_MODES, "$1verify-full");
  if (!isUnambiguous(strict)) throw unreadable();
  try {
    if (Number.isInteger(new pg.Client({ connectionString: strict }).port)) return strict;
  } catch (thrown) {
    const { code, path } = toError(thrown) as Error & { code?: unknown; path?: unknown };
    if (typeof code === "string" && typeof path === "string") {
      throw new LegworkError("LW514", `A file that DATABASE_URL names cannot be read: ${path} (${code}).`, {
        hint: "Correct sslrootcert, sslcert or sslkey.",
      });
    }
  }
  throw unreadable();
}

function unreadable(): LegworkError {
  return new LegworkError("LW514", "DATABASE_URL is not a valid connection string.", {
    hint: "Write it as postgres://user:password@host:5432/database, with one host. Percent-encode the user and the password: write @ : / ? # % as %40 %3A %2F %3F %23 %25.",
  });
}

/**
 * Whether it is certain where the password ends. If a password contains an unescaped / or ?, the part before it would be read as a host, and the part
 * after it as a database name or a parameter. Parsers ignore text after a #, and remove line breaks.
 */
function isUnambiguous(databaseUrl: string): boolean {
  if (databaseUrl.startsWith("/")) return true;
  // oxlint-disable-next-line no-control-regex -- this expression looks for control characters
  if (/[\u0000-\u001F#]/.test(databaseUrl)) return false;
  const [, authority, rest] = /^(?:postgres(?:ql)?:\/\/|socket:)([^/?]*)(.*)$/s.exec(databaseUrl) ?? [];
  if (authority === undefined || rest === undefined) return false;
  const hosts = authority.slice(authority.lastIndexOf("@") + 1);
  return !hosts.includes(",") && !rest.includes("@");
}

/** Removes secrets from a message: the passwords in the connection string, the password from the environment, and the values in `options`. */
export function withoutSecrets(message: string, databaseUrl: string | undefined): string {
  const [, written] = /^[^/?]*\/\/[^/?:]*:([^/?]*)@/.exec(databaseUrl ?? "") ?? [];
  const parameters = new URLSearchParams(databaseUrl?.split("?")[1]);
  const { password } = new pg.Client({ connectionString: databaseUrl });
  const secrets = [
    written,
    typeof password === "string" ? password : undefined,
    parameters.get("password"),
    parameters.get("sslpassword"),
    ...[...(parameters.get("options") ?? "").matchAll(/=(\S+)/g)].map(([, value]) => value),
  ];
  return secrets
    .filter((secret) => typeof secret === "string" && secret.length >= MIN_SECRET_LENGTH)
    .toSorted((a, b) => (b?.length ?? 0) - (a?.length ?? 0))
    .reduce<string>((text, secret) => text.replaceAll(String(secret), "***"), message);
}
