import { type Debugger, Session, url } from "node:inspector";
import { CURRENT_JOB } from "./current-job.ts";

/** How long the main thread may take to pause for the query (ms). While it is in native code, such as execSync, it does not pause at all. */
const ANSWER_TIMEOUT_MS = 2_000;

/** Whether this process is being debugged: a breakpoint blocks the event loop too. */
export function isBeingDebugged(): boolean {
  return url() !== undefined;
}

/**
 * Determines which job the main thread's code belongs to while it blocks the event loop. Pauses the main thread for a few milliseconds. Returns
 * undefined if the code does not belong to a known job, or if the main thread cannot be paused.
 */
export async function askForCurrentJob(): Promise<string | undefined> {
  if (isBeingDebugged()) return undefined;
  const session = new Session();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  // A session alone does not keep the thread's event loop alive.
  const timer = setTimeout(() => resolve(undefined), ANSWER_TIMEOUT_MS);
  try {
    session.connectToMainThread();
    session.on("Debugger.paused", ({ params }) => {
      const frame = params.callFrames[0];
      if (frame === undefined) return resolve(undefined);
      evaluate(session, frame.callFrameId, resolve);
    });
    session.post("Debugger.enable", (error) => {
      if (error === null) session.post("Debugger.pause");
      else resolve(undefined);
    });
    return await promise;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
    // Disconnecting resumes the main thread.
    session.disconnect();
  }
}

function evaluate(session: Session, callFrameId: string, resolve: (id: string | undefined) => void): void {
  const expression = `globalThis[Symbol.for(${JSON.stringify(CURRENT_JOB)})]?.()`;
  session.post(
    "Debugger.evaluateOnCallFrame",
    { callFrameId, expression, silent: true, returnByValue: true },
    (error: Error | null, answer?: Debugger.EvaluateOnCallFrameReturnType) => {
      const value: unknown = error === null ? answer?.result.value : undefined;
      resolve(typeof value === "string" && value !== "" ? value : undefined);
    },
  );
}
