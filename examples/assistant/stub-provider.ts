import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface StubProvider {
  /** What ASSISTANT_PROVIDERS names. */
  readonly url: string;
  /** What it was asked, and with which key. */
  readonly asked: { model: string; messages: { content: string }[]; authorization: string | undefined }[];
  /** What it answers with from now on; 200 with a completion by default. */
  status: number;
  stop(): Promise<void>;
}

/** A server that speaks as much of the OpenAI API as the example asks for, and says what it is. For tests and the demonstration. */
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
    asked.push({ ...body, authorization: request.headers.authorization });
    const length = body.messages.at(-1)?.content.length ?? 0;
    const message = { role: "assistant", content: `A stub answers: ${length} characters were sent.` };
    const answer = { object: "chat.completion", model: body.model, choices: [{ message }], usage: { total_tokens: 10 } };
    response.end(JSON.stringify(answer));
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
