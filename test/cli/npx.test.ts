import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { directoryOf } from "../support/worker.ts";

const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));

it("npx runs the command of this checkout, also several times at once, and installs nothing", async () => {
  const { version } = JSON.parse(await readFile(`${CHECKOUT}/package.json`, "utf8")) as { version: string };
  const cache = await directoryOf({});
  const { PATH = "", HOME = "" } = process.env;
  const npx = () =>
    promisify(execFile)("npx", ["legwork", "--version"], { cwd: CHECKOUT, env: { PATH, HOME, npm_config_cache: cache } });
  const printed = await Promise.all([npx(), npx(), npx()]);
  expect(printed.map(({ stdout }) => stdout.trim())).toEqual([version, version, version]);
  expect(await readdir(cache)).not.toContain("_npx");
});
