import { createHash } from "node:crypto";
import { Discard, RetryAfter, type Sql } from "legwork";
import { assertAnswered } from "../../../tasks/@lib/assert-answered.ts";
import { guardedFetch, shown } from "../../../tasks/@lib/guarded-fetch.ts";

/** The most that is read of a source (bytes), and how long it may take (ms). */
const MOST_BYTES = 2_000_000;
const TIMEOUT_MS = 30_000;

/** A source that could not answer; another attempt may do. */
class SourceError extends Error {
  override readonly name = "SourceError";
}

export type Refreshed = "changed" | "unchanged" | "gone";

interface Source {
  source_url: string;
  checksum: string | null;
  etag: string | null;
  last_modified: string | null;
}

/**
 * Fetches a document again, stores it if its checksum is another one, and makes it live on from now by its traits. Throws a SourceError for a source that
 * cannot answer now, a RetryAfter for one that says when it can, a Discard for one that refuses; each is noted in the document's row.
 */
export async function refreshDocument({ sql, signal }: { sql: Sql; signal: AbortSignal }, id: string): Promise<Refreshed> {
  const [document] =
    await sql<Source>`select source_url, checksum, etag, last_modified from documents.documents where id = ${id}`;
  if (document === undefined) return "gone";
  try {
    const found = await fetchSource(document, signal);
    const isChanged = found.content !== undefined && found.checksum !== document.checksum;
    const stored = await sql`
      update documents.documents d
      set content = case when ${isChanged} then ${isChanged ? found.content : null} else d.content end, checksum = ${found.checksum},
        etag = ${found.etag}, last_modified = ${found.lastModified}, unchanged_count = n.unchanged, fetched_at = now(),
        expires_at = greatest(d.expires_at, now() + documents.ttl(d.kind, d.quality, n.unchanged)), refresh_failures = 0, refresh_error = null
      from (select case when ${isChanged} then 0 else unchanged_count + 1 end as unchanged from documents.documents where id = ${id}) n
      where d.id = ${id}
      returning d.id`;
    if (stored.length === 0) return "gone";
    return isChanged ? "changed" : "unchanged";
  } catch (error) {
    // A worker that stops says nothing about the source.
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    await sql`update documents.documents set refresh_failures = refresh_failures + 1, refresh_error = ${reason} where id = ${id}`;
    throw error;
  }
}

interface Found {
  /** Undefined when the source says that nothing has changed. */
  content: string | undefined;
  checksum: string | null;
  etag: string | null;
  lastModified: string | null;
}

async function fetchSource(source: Source, signal: AbortSignal): Promise<Found> {
  const { source_url: url, checksum, etag, last_modified: lastModified } = source;
  const headers: Record<string, string> = {};
  // Only what is there can have stayed the same.
  if (checksum !== null && etag !== null) headers["if-none-match"] = etag;
  if (checksum !== null && lastModified !== null) headers["if-modified-since"] = lastModified;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  await using answer = await guardedFetch(url, { headers, redirects: 3, signal: limited });
  if (answer.status === 304) return { content: undefined, checksum, etag, lastModified };
  try {
    assertAnswered(answer, shown(new URL(url)));
  } catch (error) {
    if (error instanceof Discard || error instanceof RetryAfter) throw error;
    // By its name BG_JOBS_RETRY_ON knows it.
    throw new SourceError(error instanceof Error ? error.message : String(error));
  }
  const parts: Uint8Array[] = [];
  for await (const part of answer.chunks(MOST_BYTES)) parts.push(part);
  const bytes = Buffer.concat(parts);
  return {
    // Postgres stores no NUL in a text.
    content: new TextDecoder().decode(bytes).replaceAll("\0", "\u{fffd}"),
    checksum: createHash("sha256").update(bytes).digest("hex"),
    etag: answer.headers.get("etag"),
    lastModified: answer.headers.get("last-modified"),
  };
}
