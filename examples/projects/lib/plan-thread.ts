import { parentPort, workerData } from "node:worker_threads";
import { parsePlan } from "./plan.ts";

// Runs in the thread that parse-plan.ts starts: receives the text and posts its tasks.
parentPort?.postMessage(parsePlan(String(workerData)));
