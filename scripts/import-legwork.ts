// node --import ./scripts/import-legwork.ts <file>: the import "legwork" resolves to this checkout, as in a worker's task files.
import { importLegworkFromHere } from "../src/worker/module-hooks.ts";

importLegworkFromHere();
