import { fastify } from "fastify";
import { createLegwork, enqueue, type Legwork } from "legwork";
import { pool, transaction } from "../database.js";

declare module "fastify" {
  interface FastifyInstance {
    legwork: Legwork;
  }
}

async function main(): Promise<void> {
  // Created before the app, because Fastify allows a plugin ten seconds, and migrating the database may take longer.
  const legwork = await createLegwork({ worker: true, tasks: ["tasks"], server: "mount", prefix: "/jobs" });

  const app = fastify();
  app.decorate("legwork", legwork);
  app.register(legwork.fastify, { prefix: "/jobs" });
  app.addHook("onClose", () => legwork.stop()); // running jobs may finish

  app.post<{ Body: { name: string } }>("/users", async ({ body: { name } }, reply) => {
    const id = await transaction(async (client) => {
      await client.query("insert into users (name) values ($1)", [name]);
      return await enqueue(client, "greet", { name });
    });
    return await reply.status(201).send({ job: id });
  });

  await app.listen({ port: Number(process.env["PORT"] ?? 3000) });
  process.once("SIGTERM", async () => {
    await app.close();
    await pool.end();
  });
}

void main();
