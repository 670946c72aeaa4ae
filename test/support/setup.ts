import { importLegworkFromHere } from "../../src/worker/module-hooks.ts";

// Task files in tests import "legwork" by name, as a user's task files do.
importLegworkFromHere();
