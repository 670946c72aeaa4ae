import { createHash } from "node:crypto";
import { Discard, RetryAfter, type Sql } from "legwork";
import { assertAnswered } from "../../../tasks/@lib/assert-answered.ts";
import { guardedFetch, shown } from "../../../tasks/@lib/guarded-fetch.ts";

/** The maximum size of a response from a source (bytes), and the time limit (ms). */
const MOST_BYTES = 2_000_000;
const TIMEOUT_MS = 30_000;

/** A source could not respond. Another attempt may succeed. */
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
 * Fetches a document, stores it if its checksum has changed, and extends its expiry from now, depending on its kind, quality and stability. Throws a
 * SourceError if the source cannot respond now, a RetryAfter if it names a time for the next request, and a Discard if it rejects the request.
 * Failures are recorded in the document's row.
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
    // A failure because the worker is stopping is not the source's fault.
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    await sql`update documents.documents set refresh_failures = refresh_failures + 1, refresh_error = ${reason} where id = ${id}`;
    throw error;
  }
}

interface Found {
  /** Undefined if the source reports no change. */
  content: string | undefined;
  checksum: string | null;
  etag: string | null;
  lastModified: string | null;
}

async function fetchSource(source: Source, signal: AbortSignal): Promise<Found> {
  const { source_url: url, checksum, etag, last_modified: lastModified } = source;
  const headers: Record<string, string> = {};
  // Without stored content, the full response is needed.
  if (checksum !== null && etag !== null) headers["if-none-match"] = etag;
  if (checksum !== null && lastModified !== null) headers["if-modified-since"] = lastModified;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  await using answer = await guardedFetch(url, { headers, redirects: 3, signal: limited });
  if (answer.status === 304) return { content: undefined, checksum, etag, lastModified };
  try {
    assertAnswered(answer, shown(new URL(url)));
  } catch (error) {
    if (error instanceof Discard || error instanceof RetryAfter) throw error;
    // BG_JOBS_RETRY_ON refers to the error's name.
    throw new SourceError(error instanceof Error ? error.message : String(error));
  }
  const parts: Uint8Array[] = [];
  for await (const part of answer.chunks(MOST_BYTES)) parts.push(part);
  const bytes = Buffer.concat(parts);
  return {
    // Postgres cannot store NUL characters in text.
    content: new TextDecoder().decode(bytes).replaceAll("\0", "\u{fffd}"),
    checksum: createHash("sha256").update(bytes).digest("hex"),
    etag: answer.headers.get("etag"),
    lastModified: answer.headers.get("last-modified"),
  };
}
