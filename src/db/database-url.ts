import pg from "pg";
import { LegworkError } from "../errors.ts";

/** These modes mean verify-full to node-postgres, which warns on stderr that they will not some day. */
const STRICT_MODES = /([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|#|$)/;

const ESCAPES = "with @ : / ? # in the user and the password written as %40 %3A %2F %3F %23";

/**
 * A connection string as it is given to node-postgres: certificates are verified in each of its SSL modes but disable and no-verify, which is said
 * here in the one word that needs no warning. With `uselibpqcompat=true` it is left as it is. Throws LW514, without a part of the string, for one
 * that cannot be read.
 */
export function connectionString(databaseUrl: string): string {
  const strict = /[?&]uselibpqcompat=true(?=&|#|$)/.test(databaseUrl)
    ? databaseUrl
    : databaseUrl.replace(STRICT_MODES, "$1verify-full");
  if (!isReadable(strict)) {
    throw new LegworkError("LW514", "DATABASE_URL is not a connection string that can be read.", {
      hint: `Give it as postgres://user:password@host:5432/database: one host, ${ESCAPES}.`,
    });
  }
  return strict;
}

function isReadable(databaseUrl: string): boolean {
  if (databaseUrl.startsWith("/")) return true;
  const [, scheme = "", authority = "", path = "", rest = ""] = /^(\w+):(?:\/\/)?([^/?#]*)([^?#]*)(.*)$/s.exec(databaseUrl) ?? [];
  if (!["postgres", "postgresql", "socket"].includes(scheme) || authority.includes(",")) return false;
  // Behind an unescaped / ? or # in a password comes its end, which would be taken for the database's name and shown.
  if (path.includes("@") || /^[^#]*[?&][^=&#]*@|#.*@/s.test(rest)) return false;
  try {
    return Number.isInteger(new pg.Client({ connectionString: databaseUrl }).port);
  } catch {
    return false;
  }
}
