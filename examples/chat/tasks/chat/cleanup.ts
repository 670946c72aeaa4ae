import { defineTask, Discard } from "legwork";
import { z } from "zod";
import { chatConfig } from "../../config.ts";

export default defineTask({
  description: "Cleans up what the chat has kept for longer than an age: messages, logs, or files on disk.",
  queue: "cleanup",
  payload: z.strictObject({
    type: z.enum(["messages", "files", "logs"]),
    age: z.string().min(1).max(100).describe("An interval of Postgres, such as 90 days."),
  }),
  result: z.strictObject({ task: z.string(), jobId: z.string() }),
  async run({ type, age }, { enqueue, job }) {
    const { files } = chatConfig();
    if (type === "files" && files === undefined) throw new Discard("No folder is configured: CHAT_FILES is not set.");
    const [task, payload] =
      type === "files"
        ? (["retention/files", { folder: files, olderThan: age, recursive: true }] as const)
        : (["retention/expire", { table: `chat.${type}`, olderThan: age }] as const);
    // A second attempt finds the job of the first.
    return { task, jobId: await enqueue(task, payload, { uniqueFor: "1 day", uniqueKey: `chat:${job.id}` }) };
  },
});
