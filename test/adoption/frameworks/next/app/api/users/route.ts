import { enqueue } from "legwork";
import { transaction } from "../../../lib/database";

export async function POST(request: Request): Promise<Response> {
  const { name } = (await request.json()) as { name: string };
  const job = await transaction(async (client) => {
    await client.query("insert into users (name) values ($1)", [name]);
    return await enqueue(client, "greet", { name });
  });
  return Response.json({ job }, { status: 201 });
}
