import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { directoryOf } from "../support/worker.ts";

it("the example in docs/guides/testing.md passes under node:test, on a Postgres that it starts itself", async () => {
  const source = (path: string): string => new URL(`../../src/${path}`, import.meta.url).href;
  const zod = import.meta.resolve("zod");
  const page = await readFile(new URL("../../docs/guides/testing.md", import.meta.url), "utf8");
  const files: Record<string, string> = {};
  for (const [, code = ""] of page.matchAll(/```ts\n([\s\S]+?)```/g)) {
    const path = /^\/\/ (\S+)/.exec(code)?.[1];
    if (path === undefined) continue;
    files[path] = code
      .replaceAll('from "legwork/testing"', `from "${source("testing.ts")}"`)
      .replaceAll('from "legwork"', `from "${source("index.ts")}"`)
      .replaceAll('from "zod"', `from "${zod}"`);
  }
  expect(Object.keys(files)).toEqual(["tasks/welcome.ts", "welcome.test.ts"]);
  const directory = await directoryOf({ ...files, "package.json": '{"type": "module"}' });
  const child = spawn(process.execPath, ["--test", "--test-reporter=spec", join(directory, "welcome.test.ts")], {
    env: { ...process.env, NODE_OPTIONS: "", VITEST: undefined },
  });
  const [stdout, code] = await Promise.all([text(child.stdout), new Promise((resolve) => child.once("exit", resolve))]);
  expect(stdout).toContain("pass 3");
  expect(code).toBe(0);
});
