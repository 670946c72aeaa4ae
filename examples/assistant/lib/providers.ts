import { Snooze, type Sql } from "legwork";
import { z } from "zod";
import { guardedFetch } from "../../../tasks/@lib/guarded-fetch.ts";
import { assistantConfig, type Provider } from "../config.ts";

/** The largest answer that is read (bytes). */
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
  /** What it is for, in assistant.ai_usage. */
  purpose: string;
  maxTokens: number;
  /** How long the answer may take (ms). */
  timeout: number;
}

/**
 * Asks one provider by the chat completions of the OpenAI API, and records the request, also when it fails. Throws an Error that says what was
 * wrong and holds no key.
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
      // The address is the operator's own.
      trusted: true,
    });
    const parts: Uint8Array[] = [];
    for await (const part of answer.chunks(MOST_BYTES)) parts.push(part);
    if (answer.status !== 200) throw new Error(`it answered with status ${answer.status}.`);
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
  if (error instanceof z.ZodError || error instanceof SyntaxError) return "its answer is no chat completion.";
  if (!(error instanceof Error)) return String(error);
  return error.name === "TimeoutError" ? `no answer within ${timeout} ms.` : error.message;
}

/**
 * Asks the provider that the rate-limit monitor has made active; when it does not answer, the next by priority, those that are down last.
 * One that is blocked is not asked. Throws an AggregateError when nobody answers; when all are blocked, a Snooze that puts the job off until the first quota resets.
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
  throw new AggregateError(errors, `No AI provider answers: ${errors.map(({ message }) => message).join(" ")}`);
}
