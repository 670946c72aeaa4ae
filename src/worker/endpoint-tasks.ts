import { LegworkError } from "../errors.ts";
import { callEndpoint } from "../jobs/call-endpoint.ts";
import { defineTask, type Task } from "../jobs/define-task.ts";

/** The endpoint that runs the jobs of a task. */
export interface Endpoint {
  readonly url: string;
  readonly description?: string | undefined;
  readonly queue?: string | undefined;
  /** How long an attempt may take (ms). */
  readonly timeout?: number | undefined;
}

export interface Endpoints {
  /** The endpoints, by task name. */
  readonly byTask: Readonly<Record<string, Endpoint>>;
  readonly secrets: readonly string[];
}

/**
 * How long an endpoint may take by default (ms). Tasks that run in the worker have no limit by default. Endpoints have one because a connection can
 * die silently.
 */
const TIMEOUT_MS = 5 * 60_000;

/** Creates a task for each endpoint. Throws LW514 if there is no secret for signing requests. */
export function endpointTasks({ byTask, secrets }: Endpoints): [name: string, task: Task][] {
  const entries = Object.entries(byTask);
  if (entries.length > 0 && secrets.length === 0) {
    throw new LegworkError("LW514", "LEGWORK_ENDPOINTS needs LEGWORK_ENDPOINT_SECRET to sign requests.", {
      hint: 'Create one: node -p \'"whsec_" + crypto.randomBytes(32).toString("base64")\'.',
    });
  }
  return entries.map(([name, { url, description, queue, timeout = TIMEOUT_MS }]) => {
    const { origin, pathname } = new URL(url);
    const task = defineTask({
      description: description ?? `Calls ${origin}${pathname}.`,
      ...(queue === undefined ? {} : { queue }),
      timeout,
      run: async (payload, context) => await callEndpoint(url, payload, context, { secrets }),
    });
    return [name, task];
  });
}
