import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { describeSchema } from "../scripts/describe-schema.ts";
import { testDatabase } from "./support/database.ts";

const database = testDatabase();

it("sql/schema.sql is what the migrations amount to; `npm run schema` writes it anew", async () => {
  const written = await readFile(new URL("../sql/schema.sql", import.meta.url), "utf8");
  expect(written).toBe(await describeSchema(database.pool));
});
