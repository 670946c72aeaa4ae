// node --import ./scripts/import-legwork.ts <file>: "legwork" means this checkout, as it does for the task files of a worker.
import { importLegworkFromHere } from "../src/worker/module-hooks.ts";

importLegworkFromHere();
