import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { REFERENCE, referencePages } from "../scripts/reference/pages.ts";
import type { Server } from "../src/server/server.ts";
import { testDatabase } from "./support/database.ts";
import { restToken, startRest } from "./support/rest.ts";

const database = testDatabase();
let server: Server;

beforeAll(async () => {
  server = await startRest(database);
});
afterAll(() => server.stop());

it("the generated parts of docs/reference are up to date; `npm run docs:reference` writes them", async () => {
  const pages = await referencePages({ client: database.pool, httpUrl: server.url, token: restToken });
  expect(pages.size).toBeGreaterThan(5);
  for (const [name, page] of pages) expect(await readFile(new URL(name, REFERENCE), "utf8"), name).toBe(page);
});
