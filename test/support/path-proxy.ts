import { onTestFinished } from "vitest";
import { type PathProxyOptions, startPathProxy } from "./start-path-proxy.ts";

/** Calls `startPathProxy`, and closes the proxy when the test has finished. Returns its URL. */
export async function pathProxy(serverUrl: string, options: PathProxyOptions): Promise<string> {
  const { url, close } = await startPathProxy(serverUrl, options);
  onTestFinished(close);
  return url;
}
