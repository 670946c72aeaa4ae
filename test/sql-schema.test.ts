import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { describeSchema } from "../scripts/describe-schema.ts";
import { testDatabase } from "./support/database.ts";

const database = testDatabase();

it("test/snapshots/schema.sql is the schema of this version; `npm run schema` updates it", async () => {
  const written = await readFile(new URL("./snapshots/schema.sql", import.meta.url), "utf8");
  expect(written).toBe(await describeSchema(database.pool));
});
