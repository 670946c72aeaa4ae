import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startStubProvider, type StubProvider } from "../../examples/assistant/stub-provider.ts";

export const ASSISTANT = resolve(import.meta.dirname, "../../examples/assistant");

export interface AssistantWorld {
  one: StubProvider;
  two: StubProvider;
  /** The folder for the assistant's backups. */
  backups: string;
  /** The environment variables for a worker. */
  environment: Record<string, string>;
  stop(): Promise<void>;
}

/** The assistant's environment: two stub providers and a folder for backups. */
export async function assistantWorld(): Promise<AssistantWorld> {
  const backups = await mkdtemp(join(tmpdir(), "legwork-assistant-"));
  const [one, two] = [await startStubProvider(), await startStubProvider()];
  return {
    one,
    two,
    backups,
    environment: {
      ASSISTANT_PROVIDERS: JSON.stringify([
        { name: "one", url: one.url, model: "large", key: "sk-secret-one", quota: 1_000_000, period: "day" },
        { name: "two", url: two.url, model: "small", quota: 1_000_000, period: "day" },
      ]),
      ASSISTANT_BACKUPS: backups,
      LEGWORK_ALLOWED_FOLDERS: backups,
      LEGWORK_REPORTS_FOLDER: join(ASSISTANT, "reports"),
    },
    stop: async () => {
      await one.stop();
      await two.stop();
      await rm(backups, { recursive: true, force: true });
    },
  };
}
