import { execFileSync } from "node:child_process";
import type { ServerResponse } from "node:http";
import type { Asked } from "./http-server.ts";

/** Responds as a git server would, using git's own CGI program. Sets the status and headers, and returns the rest of the body. */
export function answerAsGit(response: ServerResponse, { method, path, headers, body }: Asked, repository: string): Buffer {
  const { pathname, searchParams } = new URL(path ?? "", "http://x");
  const output = execFileSync("git", ["http-backend"], {
    input: body,
    maxBuffer: 100_000_000,
    env: {
      ...process.env,
      GIT_PROJECT_ROOT: repository,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
      REQUEST_METHOD: method,
      PATH_INFO: pathname,
      QUERY_STRING: searchParams.toString(),
      CONTENT_TYPE: headers["content-type"] ?? "",
      GIT_PROTOCOL: String(headers["git-protocol"] ?? ""),
      HTTP_CONTENT_ENCODING: headers["content-encoding"] ?? "",
    },
  });
  const end = output.indexOf("\r\n\r\n");
  for (const line of output.subarray(0, end).toString().split("\r\n")) {
    const [name = "", value = ""] = line.split(": ");
    if (name === "Status") response.statusCode = Number(value.slice(0, 3));
    else response.setHeader(name, value);
  }
  return output.subarray(end + 4);
}
