import { callEndpoint, defineTask, type EndpointRequest, type EndpointResponse } from "legwork";
import { z } from "zod";
import { type Answer, guardedFetch, plainAddress } from "../@lib/guarded-fetch.ts";
import { hidingSecrets, secretsOf } from "../@lib/hide-secrets.ts";
import { requiredSetting } from "../@lib/settings.ts";
import { millisecondsOf, timeLimit } from "../@lib/time-limit.ts";

type Json = z.infer<ReturnType<typeof z.json>>;

export default defineTask({
  description:
    "Runs a job by calling an HTTP endpoint, signed as in Standard Webhooks. The endpoint's JSON response is the job's result.",
  payload: z.strictObject({
    url: plainAddress.describe("The endpoint's URL. A host that is not public must be in LEGWORK_ALLOWED_ADDRESSES."),
    body: z.json().optional().describe("The JSON to post; {} by default."),
    timeout: timeLimit("30s").default("1m").describe("The time limit for the whole request."),
    maxBytes: z.int().min(1).max(250_000).default(250_000).describe("The maximum size of a response (bytes)."),
  }),
  result: z.strictObject({
    answer: z.json().describe("The endpoint's response if it is JSON, otherwise null."),
    milliseconds: z.number(),
  }),
  async run({ url, body, timeout, maxBytes }, { job, signal }) {
    const secrets = requiredSetting("LEGWORK_ENDPOINT_SECRET", "No signing secret configured");
    const limited = AbortSignal.any([signal, AbortSignal.timeout(millisecondsOf(timeout))]);
    const startedAt = performance.now();
    return await hidingSecrets(secretsOf(url), async () => {
      let answer: Answer | undefined;
      try {
        const fetch = async (address: string, request: EndpointRequest): Promise<EndpointResponse> => {
          answer = await guardedFetch(address, request);
          return { status: answer.status, headers: answer.headers, body: answer.chunks(maxBytes + 1) };
        };
        // The URL comes from the payload; the client that enqueued the job may not be allowed to see its content.
        const options = { secrets, maxBytes, fetch, showsReason: false };
        const content = await callEndpoint(url, body, { job, signal: limited }, options);
        return { answer: content as Json, milliseconds: Math.round(performance.now() - startedAt) };
      } finally {
        await answer?.[Symbol.asyncDispose]();
      }
    });
  },
});
