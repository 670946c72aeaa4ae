import { BULK_ACTIONS, failedJobs } from "../jobs/bulk/bulk-actions.ts";
import { BulkDialog } from "../jobs/bulk/bulk-dialog.tsx";
import { words } from "./words.ts";

const RETRY = BULK_ACTIONS.find(({ name }) => name === "retry")!;

/** Previews and retries all failed jobs of a task. */
export default function RetryDialog({ task, onClose }: { task: string; onClose: () => void }) {
  return <BulkDialog action={RETRY} target={failedJobs({ task }, words.failedJobsOf(task))} onClose={onClose} />;
}
