import { Snooze, type Sql } from "legwork";
import { z } from "zod";
import { guardedFetch } from "../../../tasks/@lib/guarded-fetch.ts";
import { assistantConfig, type Provider } from "../config.ts";

/** The maximum size of a response (bytes). */
const MOST_BYTES = 1_000_000;

const answerSchema = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullable() }) })).min(1),
  usage: z.object({ total_tokens: z.int().nonnegative() }).optional(),
});

export interface Completion {
  provider: string;
  text: string;
  tokens: number;
  milliseconds: number;
}

interface Request {
  prompt: string;
  /** The purpose that is recorded in assistant.ai_usage. */
  purpose: string;
  maxTokens: number;
  /** The time limit for the response (ms). */
  timeout: number;
}

/**
 * Sends a request to one provider through the OpenAI API's chat completions, and records the request, even if it fails. Throws an Error with
 * the reason and without the key.
 */
export async function ask(sql: Sql, provider: Provider, request: Request, signal: AbortSignal): Promise<Completion> {
  const startedAt = performance.now();
  let found: z.output<typeof answerSchema> | undefined;
  try {
    const limit = AbortSignal.timeout(request.timeout);
    await using answer = await guardedFetch(`${provider.url.replace(/\/$/, "")}/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(provider.key === undefined ? {} : { authorization: `Bearer ${provider.key}` }),
      },
      body: JSON.stringify({
        model: provider.model,
        max_tokens: request.maxTokens,
        messages: [{ role: "user", content: request.prompt }],
      }),
      signal: AbortSignal.any([signal, limit]),
      // The URL comes from the operator's configuration.
      trusted: true,
    });
    const parts: Uint8Array[] = [];
    for await (const part of answer.chunks(MOST_BYTES)) parts.push(part);
    if (answer.status !== 200) throw new Error(`the provider returned status ${answer.status}.`);
    found = answerSchema.parse(JSON.parse(Buffer.concat(parts).toString("utf8")));
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(`${provider.name}: ${reasonOf(error, request.timeout)}`, { cause: error });
  } finally {
    const tokens = found?.usage?.total_tokens ?? 0;
    await sql`
      insert into assistant.ai_usage (provider, purpose, tokens, milliseconds, ok)
      values (${provider.name}, ${request.purpose}, ${tokens}, ${performance.now() - startedAt}, ${found !== undefined})`;
  }
  return {
    provider: provider.name,
    text: found.choices[0]?.message.content ?? "",
    tokens: found.usage?.total_tokens ?? 0,
    milliseconds: performance.now() - startedAt,
  };
}

function reasonOf(error: unknown, timeout: number): string {
  if (error instanceof z.ZodError || error instanceof SyntaxError) return "the response is not a chat completion.";
  if (!(error instanceof Error)) return String(error);
  return error.name === "TimeoutError" ? `no response within ${timeout} ms.` : error.message;
}

/**
 * Sends a request to the provider that the rate-limit monitor has made active. If it does not respond, tries the other providers by priority, those
 * that are down last. Blocked providers are skipped. Throws an AggregateError if no provider responds. If all are blocked, throws a Snooze that
 * postpones the job until the first quota resets.
 */
export async function askAny(sql: Sql, request: Request, signal: AbortSignal): Promise<Completion> {
  const configured = assistantConfig().providers;
  const order = await sql<{ provider: string }>`
    select provider from assistant.providers where state is distinct from 'blocked'
    order by is_up is false, active is true desc, state is not distinct from 'switched', priority`;
  const providers = order.flatMap(({ provider }) => configured.filter(({ name }) => name === provider));
  if (providers.length === 0) {
    const [next] = await sql<{ at: Date | null }>`select min(resets_at) as at from assistant.providers`;
    throw new Snooze(next?.at ?? "1h", "Every AI provider is blocked until its quota resets.");
  }
  const errors: Error[] = [];
  for (const provider of providers) {
    try {
      return await ask(sql, provider, request, signal);
    } catch (error) {
      signal.throwIfAborted();
      errors.push(error as Error);
    }
  }
  throw new AggregateError(errors, `No AI provider responded: ${errors.map(({ message }) => message).join(" ")}`);
}
