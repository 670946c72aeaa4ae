import "reflect-metadata";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { Legwork } from "legwork";
import { LEGWORK, LegworkModule } from "./legwork.module.js";
import { UsersController } from "./users.controller.js";

@Module({ imports: [LegworkModule], controllers: [UsersController] })
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ["error"] });
  app.enableShutdownHooks();
  const legwork = app.get<Legwork>(LEGWORK);
  app.use("/jobs", legwork.handler); // before listen(), which adds the body parsers
  app.getHttpServer().on("upgrade", legwork.upgrade);
  await app.listen(Number(process.env["PORT"] ?? 3000));
}

void main();
