import { importLegworkFromHere } from "../../src/worker/module-hooks.ts";

// Task files import "legwork" by name, like a user's.
importLegworkFromHere();
