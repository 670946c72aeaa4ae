import { Discard } from "legwork";
import { guardedFetch } from "../../../tasks/@lib/guarded-fetch.ts";
import { documentsConfig } from "../config.ts";

/** A request to the vector store failed. Another attempt may succeed. */
class WeaviateError extends Error {
  override readonly name = "WeaviateError";
}

const TIMEOUT_MS = 30_000;

/** A client for version 1 of Weaviate's REST API, with the two operations that this app needs. Both are safe to repeat. */
export class Weaviate {
  readonly #url: string;
  readonly #key: string | undefined;
  readonly #class: string;
  readonly #signal: AbortSignal;

  /** Throws a Discard if no vector store is configured. There is no default. */
  constructor(signal: AbortSignal) {
    const config = documentsConfig();
    if (config.CTX7_WEAVIATE_URL === undefined)
      throw new Discard("No vector store configured: CTX7_WEAVIATE_URL is not set in the worker's environment.");
    this.#url = config.CTX7_WEAVIATE_URL.replace(/\/+$/, "");
    this.#key = config.CTX7_WEAVIATE_KEY;
    this.#class = config.CTX7_WEAVIATE_CLASS;
    this.#signal = signal;
  }

  /** Stores an object. Replaces an object with the same id. */
  async put(id: string, properties: Record<string, unknown>): Promise<void> {
    const { status, body } = await this.#ask("POST", "/v1/batch/objects", { objects: [{ class: this.#class, id, properties }] });
    if (status !== 200) throw new WeaviateError(`Weaviate returned status ${status}.`);
    // Batches return 200 even if storing an object failed.
    const [stored] = body as [{ result?: { status?: string; errors?: { error?: { message?: string }[] } } }?];
    const messages = stored?.result?.errors?.error?.map(({ message }) => message) ?? [];
    if (stored === undefined || stored.result?.status === "FAILED" || messages.length > 0) {
      throw new WeaviateError(`Weaviate did not store ${id}: ${messages.join(", ") || "it gave no reason"}.`);
    }
  }

  /** Removes an object, if it exists. */
  async remove(id: string): Promise<void> {
    const { status } = await this.#ask("DELETE", `/v1/objects/${this.#class}/${id}`);
    if (status !== 204 && status !== 404) throw new WeaviateError(`Weaviate returned status ${status}.`);
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
