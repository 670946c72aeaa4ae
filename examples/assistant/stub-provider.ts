import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface StubProvider {
  /** The URL for ASSISTANT_PROVIDERS. */
  readonly url: string;
  /** The received requests with their API keys. */
  readonly asked: { model: string; messages: { content: string }[]; authorization: string | undefined }[];
  /** The status of future responses. Default: 200, with a completion. */
  status: number;
  stop(): Promise<void>;
}

/** Starts a server with the part of the OpenAI API that the example uses. Its responses state that they come from a stub. For tests and the demo. */
export async function startStubProvider(port = 0): Promise<StubProvider> {
  const asked: StubProvider["asked"] = [];
  const stub = { status: 200 };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const part of request) text += String(part);
    response.setHeader("content-type", "application/json");
    const status = request.method === "POST" && request.url === "/v1/chat/completions" ? stub.status : 404;
    if (status !== 200) {
      response.writeHead(status).end('{"error": {"message": "The stub does not support this request."}}');
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
