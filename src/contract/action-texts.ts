/** An action that a user can take on a job, as data. */
export type Doable =
  | { readonly do: "retry_job" | "discard_job"; readonly id: string }
  | { readonly do: "cancel_job"; readonly id: string; readonly reason?: string }
  | { readonly do: "rerun_job"; readonly id: string; readonly payload?: unknown; readonly discard?: boolean }
  | { readonly do: "set_priority"; readonly id: string; readonly priority: number }
  | { readonly do: "send_signal"; readonly id: string; readonly name: string; readonly payload?: unknown };

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const json = (value: unknown): string => JSON.stringify(value);

/** Quotes a word of a command for the shell, if necessary. */
const word = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);

/** The SQL statement for an action. */
export function statementOf(action: Doable): string {
  const call = (name: string, ...rest: (string | undefined)[]): string =>
    `select legwork.${name}(${[action.id, ...rest].filter((one) => one !== undefined).join(", ")});`;
  switch (action.do) {
    case "retry_job":
    case "discard_job":
      return call(action.do);
    case "cancel_job":
      return call(action.do, action.reason === undefined ? undefined : quoted(action.reason));
    case "rerun_job":
      return call(
        action.do,
        action.payload === undefined ? undefined : `payload => ${quoted(json(action.payload))}`,
        action.discard === true ? "discard => true" : undefined,
      );
    case "set_priority":
      return call(action.do, String(action.priority));
    default:
      return call(action.do, quoted(action.name), action.payload === undefined ? undefined : quoted(json(action.payload)));
  }
}

/** The command for an action. */
export function commandOf(action: Doable): string {
  const { id } = action;
  const words = (...parts: (string | undefined)[]): string => ["legwork", ...parts].filter((one) => one !== undefined).join(" ");
  switch (action.do) {
    case "retry_job":
      return words("retry", id);
    case "discard_job":
      return words("discard", id);
    case "cancel_job":
      return words("cancel", id, action.reason === undefined ? undefined : `--reason ${word(action.reason)}`);
    case "rerun_job":
      return words(
        "rerun",
        id,
        action.payload === undefined ? undefined : `--payload ${word(json(action.payload))}`,
        action.discard === true ? "--discard" : undefined,
      );
    case "set_priority":
      return words("priority", id, `--to ${action.priority}`);
    default:
      return words("signal", id, word(action.name), action.payload === undefined ? undefined : word(json(action.payload)));
  }
}

/** The REST request for an action. Its path begins with /api/v1. */
export function requestOf(action: Doable): { method: "POST" | "PUT"; path: string; body?: unknown } {
  const path = `/api/v1/jobs/${action.id}`;
  switch (action.do) {
    case "retry_job":
      return { method: "POST", path: `${path}/retry` };
    case "discard_job":
      return { method: "POST", path: `${path}/discard` };
    case "cancel_job":
      return {
        method: "POST",
        path: `${path}/cancel`,
        ...(action.reason === undefined ? {} : { body: { reason: action.reason } }),
      };
    case "rerun_job": {
      const body = {
        ...(action.payload === undefined ? {} : { payload: action.payload }),
        ...(action.discard === true ? { discard: true } : {}),
      };
      return { method: "POST", path: `${path}/rerun`, ...(Object.keys(body).length === 0 ? {} : { body }) };
    }
    case "set_priority":
      return { method: "PUT", path: `${path}/priority`, body: { priority: action.priority } };
    default:
      return {
        method: "POST",
        path: `${path}/signals/${encodeURIComponent(action.name)}`,
        ...(action.payload === undefined ? {} : { body: { payload: action.payload } }),
      };
  }
}

/**
 * The same request as a command for curl. The token is read from the environment variable LEGWORK_TOKEN, so that it is not in the shell's history.
 */
export function curlOf(action: Doable, origin: string): string {
  const { method, path, body } = requestOf(action);
  const sent = body === undefined ? "" : ` -H 'Content-Type: application/json' -d ${word(json(body))}`;
  return `curl -X ${method} ${word(origin + path)} -H "Authorization: Bearer $LEGWORK_TOKEN"${sent}`;
}
