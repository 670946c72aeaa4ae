import { defineTask, Discard } from "legwork";
import { z } from "zod";
import { chatConfig } from "../../config.ts";

export default defineTask({
  description: "Deletes the chat's messages, logs or files that are older than an age.",
  queue: "cleanup",
  payload: z.strictObject({
    type: z.enum(["messages", "files", "logs"]),
    age: z.string().min(1).max(100).describe("A Postgres interval such as 90 days."),
  }),
  result: z.strictObject({ task: z.string(), jobId: z.string() }),
  async run({ type, age }, { enqueue, job }) {
    const { files } = chatConfig();
    if (type === "files" && files === undefined)
      throw new Discard("No folder configured: CHAT_FILES is not set in the worker's environment.");
    const [task, payload] =
      type === "files"
        ? (["retention/files", { folder: files, olderThan: age, recursive: true }] as const)
        : (["retention/expire", { table: `chat.${type}`, olderThan: age }] as const);
    // The key makes a second attempt find the job that the first attempt enqueued.
    return { task, jobId: await enqueue(task, payload, { uniqueFor: "1 day", uniqueKey: `chat:${job.id}` }) };
  },
});
