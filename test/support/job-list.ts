import type { Locator, Page } from "playwright-core";

/** The dashboard's list of jobs. */
export const grid = (page: Page): Locator => page.getByRole("grid", { name: "Jobs" });

/** The row of a job in the list. */
export const rowOf = (page: Page, id: string): Locator =>
  grid(page).locator(".job-row", { has: page.getByRole("link", { name: id, exact: true }) });

/** The ids of the rendered rows, top to bottom. */
export const shownIds = async (page: Page): Promise<string[]> => await grid(page).locator(".job-id a").allTextContents();
