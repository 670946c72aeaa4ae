import { Body, Controller, Inject, Post } from "@nestjs/common";
import type { Legwork } from "legwork";
import { transaction } from "../database.js";
import { LEGWORK } from "./legwork.module.js";

@Controller("users")
export class UsersController {
  constructor(@Inject(LEGWORK) private readonly legwork: Legwork) {}

  @Post()
  async create(@Body() { name }: { name: string }): Promise<{ job: string }> {
    const job = await transaction(async (client) => {
      await client.query("insert into users (name) values ($1)", [name]);
      return await this.legwork.with(client).jobs.enqueue("greet", { name });
    });
    return { job };
  }
}
