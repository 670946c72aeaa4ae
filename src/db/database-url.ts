import pg from "pg";
import { LegworkError, toError } from "../errors.ts";

/** These modes mean verify-full to node-postgres, which warns on stderr that they will not some day. */
const STRICT_MODES = /([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|#|$)/;

/** What is shorter is part of too many words to be taken out of a message. */
const MIN_SECRET_LENGTH = 4;

/**
 * A connection string as it is given to node-postgres: certificates are verified in each of its SSL modes but disable and no-verify, which is said
 * here in the one word that needs no warning. With `uselibpqcompat=true` it is left as it is. Throws LW514, without a part of the string, for one
 * that cannot be read, or that can be read in two ways.
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
  return new LegworkError("LW514", "DATABASE_URL is not a connection string that can be read.", {
    hint: "Give it as postgres://user:password@host:5432/database: one host, and percent-encode the user and the password, with @ : / ? # % written as %40 %3A %2F %3F %23 %25.",
  });
}

/**
 * Whether it is certain where the password ends. Behind an unescaped / or ? in a password comes the rest of it, which would be taken for a database's name or a parameter, and
 * what stands before for a host; parsers drop what follows a #, and drop line breaks.
 */
function isUnambiguous(databaseUrl: string): boolean {
  if (databaseUrl.startsWith("/")) return true;
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u001F#]/.test(databaseUrl)) return false;
  const [, authority, rest] = /^(?:postgres(?:ql)?:\/\/|socket:)([^/?]*)(.*)$/s.exec(databaseUrl) ?? [];
  if (authority === undefined || rest === undefined) return false;
  const hosts = authority.slice(authority.lastIndexOf("@") + 1);
  return !hosts.includes(",") && !rest.includes("@");
}

/** A message without the secrets of a connection string: its passwords, the one of the environment, and what its `options` set. */
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
