import express from "express";
import { createLegwork, enqueue } from "legwork";
import { pool, transaction } from "../database.js";

async function main(): Promise<void> {
  const legwork = await createLegwork({ worker: true, tasks: ["tasks"], server: "mount", prefix: "/jobs" });

  const app = express();
  app.use("/jobs", legwork.handler); // before body parsers and compression
  app.use(express.json());

  app.post("/users", async (request, response) => {
    const { name } = request.body as { name: string };
    const id = await transaction(async (client) => {
      await client.query("insert into users (name) values ($1)", [name]);
      return await enqueue(client, "greet", { name });
    });
    response.status(201).json({ job: id });
  });

  const server = app.listen(Number(process.env["PORT"] ?? 3000)).on("upgrade", legwork.upgrade);
  process.once("SIGTERM", async () => {
    server.close();
    await legwork.stop(); // running jobs may finish
    await pool.end();
  });
}

void main();
