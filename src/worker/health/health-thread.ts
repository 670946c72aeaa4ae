import { createServer, type ServerResponse } from "node:http";
import { parentPort, workerData } from "node:worker_threads";
import { ERRORS, type ErrorCode } from "../../errors.ts";
import { SharedState } from "../heartbeat/shared-state.ts";
import { type Observed, whyNotReady, whyRestart, type WorkerStatus, workerMetrics } from "./answers.ts";

// The health port of a worker. It is a separate thread because a CPU-bound task blocks the main thread. The worker is then busy, not dead, and must
// not be killed because of its liveness probe. The thread's only data are the messages from the main thread and two times in shared memory.

export interface HealthThreadOptions {
  readonly host: string;
  readonly port: number;
  /** How long a task may block the event loop before the process kills itself (ms); 0 for no limit. */
  readonly maxBlocked: number;
}

/** A message to the thread: the worker's status, or the memory to which the running worker writes its times. */
export type ToHealthThread =
  | { readonly kind: "status"; readonly status: WorkerStatus }
  | { readonly kind: "memory"; readonly state: ArrayBufferLike };

/** The single message from the thread: it is listening, or it cannot listen. */
export type FromHealthThread =
  | { readonly kind: "listening"; readonly host: string; readonly port: number }
  | { readonly kind: "failed"; readonly code: string | undefined; readonly message: string };

/**
 * How long a client may take to send its request (ms), and how many clients may be connected. There are limits because the port has no
 * authentication.
 */
const REQUEST_MS = 5_000;
const MOST_CONNECTIONS = 100;

const port = parentPort!;
const options = workerData as HealthThreadOptions;
let state: SharedState | undefined;
let status: WorkerStatus = {
  stage: "starting",
  problem: undefined,
  silentBecause: undefined,
  slots: 0,
  running: 0,
  completed: 0,
  failed: 0,
};

function observe(): Observed {
  if (state === undefined || status.stage !== "running") return { blockedFor: 0, silentFor: 0 };
  return { blockedFor: Math.max(0, state.since("turnedAt")), silentFor: Math.max(0, state.since("beatAt")) };
}

function send(response: ServerResponse, code: number, type: string, content: string): void {
  response.writeHead(code, { "content-type": type, "cache-control": "no-store", "content-length": Buffer.byteLength(content) });
  response.end(content);
}

function sendJson(response: ServerResponse, content: object): void {
  send(response, 200, "application/json; charset=utf-8", `${JSON.stringify(content)}\n`);
}

/** Sends a problem in the format of the server's REST API. */
function refuse(response: ServerResponse, status: number, code: ErrorCode, detail: string): void {
  const problem = { type: `urn:legwork:error:${code}`, title: ERRORS[code].title, status, detail, code };
  send(response, status, "application/problem+json", `${JSON.stringify(problem)}\n`);
}

function unavailable(response: ServerResponse, reason: string): void {
  refuse(response, 503, "LW503", reason);
}

const server = createServer(
  { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, keepAliveTimeout: REQUEST_MS, maxHeaderSize: 8_192 },
  (request, response) => {
    request.resume();
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return refuse(response, 405, "LW400", "Only GET and HEAD are allowed.");
    }
    const observed = observe();
    switch (request.url?.split("?")[0]) {
      case "/health": {
        const reason = whyRestart(status, observed, options.maxBlocked);
        return reason === undefined ? sendJson(response, { status: "ok" }) : unavailable(response, reason);
      }
      case "/ready": {
        const reason = whyNotReady(status, observed);
        const { slots, running } = status;
        return reason === undefined ? sendJson(response, { status: "ready", slots, running }) : unavailable(response, reason);
      }
      case "/metrics":
        return send(response, 200, "text/plain; version=0.0.4; charset=utf-8", workerMetrics(status, observed));
      default:
        return refuse(response, 404, "LW404", "This port serves only /health, /ready and /metrics.");
    }
  },
);
server.maxConnections = MOST_CONNECTIONS;

port.on("message", (message: ToHealthThread) => {
  if (message.kind === "status") ({ status } = message);
  else state = new SharedState(message.state as SharedArrayBuffer);
});

const tell = (message: FromHealthThread): void => port.postMessage(message);
server.on("error", (error: NodeJS.ErrnoException) => tell({ kind: "failed", code: error.code, message: error.message }));
server.listen({ host: options.host, port: options.port }, () => {
  const address = server.address();
  if (address !== null && typeof address === "object") tell({ kind: "listening", host: address.address, port: address.port });
});
