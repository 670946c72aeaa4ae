import { writePgBoss } from "./write-pg-boss.ts";

await writePgBoss(process.env["DATABASE_URL"] ?? "");
