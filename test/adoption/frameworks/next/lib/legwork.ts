import { createLegwork, type Legwork } from "legwork";

// One instance per process: Next.js loads this module again for each bundle and, in development, after each change.
const shared = globalThis as { legwork?: Promise<Legwork> };

export const legwork = (): Promise<Legwork> => (shared.legwork ??= createLegwork({ server: "mount", prefix: "/api/jobs" }));
