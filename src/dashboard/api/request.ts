import { parseExactly } from "./exact-json.ts";
import { Problem } from "./problem.ts";
import { reportAway, reportResponse, setProbe } from "./reach.ts";
import { currentToken, refuseSession } from "./session.ts";
import { words } from "./words.ts";

/** A URL of the server, relative to the page's base. */
export function serverUrl(path: string): URL {
  return new URL(path.replace(/^\//, ""), document.baseURI);
}

/** A response with one of these statuses and without a Legwork error code comes from a proxy that cannot reach the server. */
const PROXY_STATUSES = new Set([502, 503, 504]);

/** Sends a request with the token. Resolves to the JSON response; throws a Problem for any error. */
async function request(
  path: string,
  init: { method?: string; body?: unknown; signal?: AbortSignal | undefined; token?: string | undefined },
): Promise<unknown> {
  const token = init.token ?? currentToken();
  let response: Response;
  try {
    response = await fetch(serverUrl(path), {
      method: init.method ?? "GET",
      signal: init.signal ?? null,
      headers: {
        accept: "application/json",
        "x-legwork-surface": "dashboard",
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(init.body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    reportAway();
    throw new Problem(words.unreachable, { code: "offline", status: 0, cause: error });
  }
  const answer = await read(response);
  if (response.ok) {
    reportResponse();
    return answer;
  }
  const { code = "", detail, message, hint, errors } = (answer ?? {}) as Record<string, never>;
  if (PROXY_STATUSES.has(response.status) && code === "") {
    reportAway();
    throw new Problem(words.unreachable, { code: "offline", status: 0 });
  }
  reportResponse();
  if (response.status === 401 && token !== null && token === currentToken()) refuseSession();
  throw new Problem(detail ?? message ?? words.answered(response.status), {
    code,
    status: response.status,
    hint,
    fields: errors,
  });
}

async function read(response: Response): Promise<unknown> {
  try {
    return parseExactly(await response.text());
  } catch {
    return undefined;
  }
}

/** Calls a REST route under /api/v1 with the session's token, or with another token that is to be checked. */
export async function rest<T>(
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  token?: string,
): Promise<T> {
  return (await request(`api/v1${path}`, { method, body, signal, token })) as T;
}

/** A REST path with a query string. Undefined, null and empty values are omitted. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | boolean | null | undefined>>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Runs a GraphQL query. */
export async function graphql<T>(query: string, variables?: Readonly<Record<string, unknown>>, signal?: AbortSignal): Promise<T> {
  const answer = (await request("graphql", { method: "POST", body: { query, variables }, signal })) as {
    data?: T;
    errors?: { message: string; extensions?: { code?: string; hint?: string } }[];
  };
  const error = answer.errors?.[0];
  if (error !== undefined) {
    throw new Problem(error.message, {
      code: error.extensions?.code ?? "",
      status: error.extensions?.code === "LW504" ? 504 : 400,
      hint: error.extensions?.hint,
    });
  }
  return answer.data as T;
}

setProbe(async () => await rest("GET", "/me"));
