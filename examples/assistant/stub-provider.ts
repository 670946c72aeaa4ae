import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

export interface StubProvider {
  /** What ASSISTANT_PROVIDERS names. */
  readonly url: string;
  /** The bodies it was sent. */
  readonly asked: { model: string; messages: { content: string }[] }[];
  /** What it answers with from now on; 200 with a completion by default. */
  status: number;
  stop(): Promise<void>;
}

/** A server that speaks as much of the OpenAI API as the example asks for, and says what it is. For tests and the demo. */
export async function startStubProvider(port = 0): Promise<StubProvider> {
  const asked: StubProvider["asked"] = [];
  const stub = { status: 200 };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const part of request) text += String(part);
    response.setHeader("content-type", "application/json");
    const status = request.method === "POST" && request.url === "/v1/chat/completions" ? stub.status : 404;
    if (status !== 200) {
      response.writeHead(status).end('{"error": {"message": "The stub does not answer that."}}');
      return;
    }
    const body = JSON.parse(text) as StubProvider["asked"][number];
    asked.push(body);
    const message = {
      role: "assistant",
      content: `A stub answers: ${body.messages.at(-1)?.content.length} characters were sent.`,
    };
    response.end(
      JSON.stringify({ object: "chat.completion", model: body.model, choices: [{ message }], usage: { total_tokens: 10 } }),
    );
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(stub, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  });
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await startStubProvider(Number(argv[2] ?? 4500));
  process.stdout.write(`A stub of an AI provider is at ${url}\n`);
}
