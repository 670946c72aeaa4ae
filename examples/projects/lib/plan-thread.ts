import { parentPort, workerData } from "node:worker_threads";
import { parsePlan } from "./plan.ts";

// What runs in the thread that parse-plan.ts starts: the text comes in, its tasks go out.
parentPort?.postMessage(parsePlan(String(workerData)));
