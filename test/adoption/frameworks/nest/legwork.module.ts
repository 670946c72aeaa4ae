import { BeforeApplicationShutdown, Global, Inject, Module } from "@nestjs/common";
import { createLegwork, type Legwork } from "legwork";

export const LEGWORK = Symbol("Legwork");

@Global()
@Module({
  providers: [
    {
      provide: LEGWORK,
      useFactory: () => createLegwork({ worker: true, tasks: ["tasks"], server: "mount", prefix: "/jobs" }),
    },
  ],
  exports: [LEGWORK],
})
export class LegworkModule implements BeforeApplicationShutdown {
  constructor(@Inject(LEGWORK) private readonly legwork: Legwork) {}

  async beforeApplicationShutdown(): Promise<void> {
    await this.legwork.stop(); // running jobs may finish
  }
}
