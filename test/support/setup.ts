import { importLegworkFromHere } from "../../src/worker/module-hooks.ts";

// Task files import "legwork" by name, as a user's do.
importLegworkFromHere();
