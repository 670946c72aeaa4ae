import { startRedis } from "../../support/redis.ts";
import { writeBullmq } from "./write-bullmq.ts";
import { writePgBoss } from "./write-pg-boss.ts";

await writePgBoss(process.env["DATABASE_URL"] ?? "");
const redis = await startRedis();
try {
  await writeBullmq(redis.url);
} finally {
  await redis.stop();
}
// BullMQ's worker would keep trying to connect.
process.exit(0);
