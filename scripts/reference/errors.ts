import { ERRORS } from "../../src/errors.ts";
import { table } from "./markdown.ts";

export const errors = (): string =>
  table(
    ["code", "meaning", "HTTP", "exit"],
    Object.entries(ERRORS).map(([name, { title, status, exitCode }]) => [name, title, String(status), String(exitCode)]),
  );
