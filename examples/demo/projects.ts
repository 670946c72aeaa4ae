import type { Queryable } from "legwork";
import { SAMPLE_USER, startProjects } from "../projects/start.ts";
import type { Work } from "./examples.ts";

const BOB = "00000000-0000-4000-8000-000000000002";

export const start = (databaseUrl: string): Promise<unknown> => startProjects(databaseUrl);

/** Adds a user whose repository no longer exists, so that the project's jobs all fail with the same error. */
export async function first(client: Queryable): Promise<void> {
  await client.query("insert into projects.users (id, email) values ($1, 'bob@example.com') on conflict do nothing", [BOB]);
  await client.query(
    "insert into projects.projects (user_id, repository_url) values ($1, '/var/lib/legwork-demo/moved-away') on conflict do nothing",
    [BOB],
  );
}

const refresh = (userId: string) => (client: Queryable) =>
  client.query("update projects.projects set refresh_requested_at = now() where user_id = $1", [userId]);

export const work: readonly Work[] = [
  { every: 240, run: refresh(SAMPLE_USER) },
  { every: 3_600, run: refresh(BOB) },
];
