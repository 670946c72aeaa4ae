import type { Locator, Page } from "playwright-core";

/** The list of jobs of the dashboard. */
export const grid = (page: Page): Locator => page.getByRole("grid", { name: "Jobs" });

/** The row of a job in it. */
export const rowOf = (page: Page, id: string): Locator =>
  grid(page).locator(".job-row", { has: page.getByRole("link", { name: id, exact: true }) });

/** The ids of the rows that are drawn, from above. */
export const shownIds = async (page: Page): Promise<string[]> => await grid(page).locator(".job-id a").allTextContents();
