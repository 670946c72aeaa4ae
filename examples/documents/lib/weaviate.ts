import { Discard } from "legwork";
import { guardedFetch } from "../../../tasks/@lib/guarded-fetch.ts";
import { documentsConfig } from "../config.ts";

/** The vector store did not do it; another attempt may. */
class WeaviateError extends Error {
  override readonly name = "WeaviateError";
}

const TIMEOUT_MS = 30_000;

/** Weaviate's REST interface, version 1: the two operations that this app needs, each safe to do twice. */
export class Weaviate {
  readonly #url: string;
  readonly #key: string | undefined;
  readonly #class: string;
  readonly #signal: AbortSignal;

  /** Throws a Discard when no vector store is configured: nothing is made up in its place. */
  constructor(signal: AbortSignal) {
    const config = documentsConfig();
    if (config.CTX7_WEAVIATE_URL === undefined) throw new Discard("No vector store is configured: CTX7_WEAVIATE_URL is not set.");
    this.#url = config.CTX7_WEAVIATE_URL.replace(/\/+$/, "");
    this.#key = config.CTX7_WEAVIATE_KEY;
    this.#class = config.CTX7_WEAVIATE_CLASS;
    this.#signal = signal;
  }

  /** Stores an object in place of one with that id. */
  async put(id: string, properties: Record<string, unknown>): Promise<void> {
    const { status, body } = await this.#ask("POST", "/v1/batch/objects", { objects: [{ class: this.#class, id, properties }] });
    if (status !== 200) throw new WeaviateError(`Weaviate answers with status ${status}.`);
    // A batch is answered with 200 whatever became of its objects.
    const [stored] = body as [{ result?: { status?: string; errors?: { error?: { message?: string }[] } } }?];
    const messages = stored?.result?.errors?.error?.map(({ message }) => message) ?? [];
    if (stored === undefined || stored.result?.status === "FAILED" || messages.length > 0) {
      throw new WeaviateError(`Weaviate has not stored ${id}: ${messages.join(", ") || "it does not say why"}.`);
    }
  }

  /** Removes an object, if it is there. */
  async remove(id: string): Promise<void> {
    const { status } = await this.#ask("DELETE", `/v1/objects/${this.#class}/${id}`);
    if (status !== 204 && status !== 404) throw new WeaviateError(`Weaviate answers with status ${status}.`);
  }

  async #ask(method: "POST" | "DELETE", path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    await using answer = await guardedFetch(`${this.#url}${path}`, {
      method,
      headers: {
        "content-type": "application/json",
        ...(this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(TIMEOUT_MS)]),
      trusted: true,
    });
    const parts: Uint8Array[] = [];
    for await (const part of answer.chunks(10_000_000)) parts.push(part);
    const text = Buffer.concat(parts).toString();
    return { status: answer.status, body: answer.status === 200 ? JSON.parse(text) : undefined };
  }
}
