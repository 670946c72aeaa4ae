import { createHmac } from "node:crypto";
import { Discard, LegworkError, RetryAfter } from "../errors.ts";
import type { TaskContext } from "./define-task.ts";

/** The largest response that is read by default (bytes). It is also the largest result that the history keeps in full. */
const MAX_BYTES = 256 * 1024;

/** The maximum length of an endpoint's own explanation in the error (characters). */
const MAX_REASON = 500;

/** The longest wait that an endpoint may request (ms). */
const MAX_WAIT_MS = 86_400_000;

/** Statuses below 500 after which another attempt may succeed, because they do not mean that the request is wrong. */
const PASSING = new Set([408, 409, 425, 429]);

/** A request of `callEndpoint`, as it is passed to `fetch`. */
export interface EndpointRequest {
  readonly method: "POST";
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly signal: AbortSignal;
}

/** The part of a response that `callEndpoint` reads. The global `fetch` fits this type. */
export interface EndpointResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: AsyncIterable<Uint8Array> | null;
}

export interface CallEndpointOptions {
  /**
   * The secrets to sign with: `whsec_` followed by at least 24 bytes in base64. A request has one signature for each, so that secrets can be rotated.
   */
  secrets: readonly string[];
  /** The largest response that is read (bytes); 262,144 by default. */
  maxBytes?: number;
  /** Sends the request, without following redirects. By default, any URL may be called. */
  fetch?: (url: string, request: EndpointRequest) => Promise<EndpointResponse>;
  /** Whether the error contains the endpoint's own explanation (`detail`, `message` or `error` in its JSON); true by default. */
  showsReason?: boolean;
}

/**
 * Runs a job by calling an HTTP endpoint: posts the payload as JSON, signed according to Standard Webhooks, and returns the response if it is JSON,
 * otherwise null. Headers identify the job: `webhook-id` and `idempotency-key` (the same in every attempt), `legwork-job-id`, `legwork-task`,
 * `legwork-attempt` and `legwork-max-attempts`. The task's timeout and a cancellation close the connection.
 *
 * Throws a Discard, so that the job is not retried, for a status below 500 other than 408, 409, 425 and 429, and for a response that is too large, or
 * that is not JSON despite its content type. Throws a RetryAfter for 429 and 503 with a Retry-After header, at most a day ahead, and an Error for
 * other statuses. Throws LW400 if there is no secret.
 *
 * @example
 * import { callEndpoint, defineTask } from "legwork";
 *
 * export default defineTask({
 *   timeout: "30s",
 *   run: (payload, context) =>
 *     callEndpoint("https://app.example.com/jobs/welcome", payload, context, { secrets: [process.env.WELCOME_SECRET ?? ""] }),
 * });
 */
export async function callEndpoint(
  url: string,
  payload: unknown,
  { job, signal }: Pick<TaskContext, "job" | "signal">,
  { secrets, maxBytes = MAX_BYTES, fetch = fetchEndpoint, showsReason = true }: CallEndpointOptions,
): Promise<unknown> {
  const id = `msg_${job.id}_${job.createdAt.getTime().toString(36)}`;
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const body = JSON.stringify(payload ?? {});
  const headers = {
    "content-type": "application/json",
    accept: "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signaturesOf(secrets, `${id}.${timestamp}.${body}`),
    "idempotency-key": id,
    "legwork-job-id": job.id,
    "legwork-task": encodeURI(job.task),
    "legwork-attempt": String(job.attempts),
    "legwork-max-attempts": String(job.maxAttempts),
  };
  const response = await fetch(url, { method: "POST", headers, body, signal });
  const { status } = response;
  const { origin, pathname } = new URL(url);
  // The URL without credentials and query.
  const who = `${origin}${pathname}`;
  const text = await textOf(response, maxBytes);
  const isJson = /\bjson\b/i.test(response.headers.get("content-type") ?? "");
  if (status >= 200 && status < 300) {
    if (text === undefined) throw new Discard(`The response from ${who} is larger than ${maxBytes} bytes.`);
    if (!isJson || text === "") return null;
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw new Discard(`The response from ${who} is not JSON, although its content type says so.`, { cause: error });
    }
  }
  const reason = showsReason && isJson ? reasonIn(text) : undefined;
  const message = `${who} returned status ${status}${reason === undefined ? "." : `: ${reason}`}`;
  const at = status === 429 || status === 503 ? retryTime(response.headers.get("retry-after")) : undefined;
  if (at !== undefined) throw new RetryAfter(at, message);
  if (status < 500 && !PASSING.has(status)) throw new Discard(message);
  throw new Error(message);
}

/** Signs according to Standard Webhooks 1: HMAC-SHA256 with the secret's bytes, in base64. */
function signaturesOf(secrets: readonly string[], content: string): string {
  const wrong = secrets.length === 0 || secrets.some((secret) => !/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(secret));
  if (wrong) {
    throw new LegworkError("LW400", "Calling an endpoint requires a secret: whsec_ followed by at least 24 bytes in base64.", {
      hint: 'Create one: node -p \'"whsec_" + crypto.randomBytes(32).toString("base64")\'.',
    });
  }
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice("whsec_".length), "base64");
      return `v1,${createHmac("sha256", key).update(content).digest("base64")}`;
    })
    .join(" ");
}

/** Returns the body as text; undefined if it is larger than allowed. */
async function textOf({ body }: EndpointResponse, maxBytes: number): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.length;
    // Leaving the loop closes the connection.
    if (bytes > maxBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function reasonIn(text: string | undefined): string | undefined {
  try {
    const said = JSON.parse(text ?? "") as Record<string, unknown> | null;
    const reason = [said?.["detail"], said?.["message"], said?.["error"]].find((one) => typeof one === "string" && one !== "");
    return reason === undefined ? undefined : (reason as string).slice(0, MAX_REASON);
  } catch {
    return undefined;
  }
}

function retryTime(header: string | null): Date | undefined {
  if (header === null) return undefined;
  const at = /^\d+$/.test(header) ? Date.now() + Number(header) * 1_000 : Date.parse(header);
  return Number.isNaN(at) ? undefined : new Date(Math.min(Math.max(at, Date.now()), Date.now() + MAX_WAIT_MS));
}

/** Calls any URL. The task's timeout limits the request, instead of undici's own limit of five minutes. */
async function fetchEndpoint(url: string, request: EndpointRequest): Promise<EndpointResponse> {
  const { Agent, fetch } = await import("undici");
  const target = new URL(url);
  const { username, password } = target;
  target.username = "";
  target.password = "";
  const headers: Record<string, string> = { "user-agent": "legwork", ...request.headers };
  if (username !== "" || password !== "") {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`;
  }
  try {
    return await fetch(target.href, {
      ...request,
      headers,
      redirect: "manual",
      dispatcher: (agent ??= new Agent({ headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 4_000 })),
    });
  } catch (error) {
    // The message of fetch's error is only "fetch failed"; the reason is in its cause.
    throw error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
  }
}

/** Shared by all calls, so that connections are reused. */
let agent: import("undici").Agent | undefined;
