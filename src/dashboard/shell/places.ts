import { PAGES } from "../router/pages.ts";

/** g followed by one of these keys opens a page. */
const KEYS: Readonly<Record<string, string>> = {
  o: "/",
  j: "/jobs",
  f: "/failed",
  q: "/queues",
  t: "/tasks",
  s: "/schedules",
  w: "/workflows",
  k: "/workers",
  a: "/alerts",
  d: "/database",
  l: "/audit",
  ",": "/settings",
};

/** The pages of the menu that can be opened by keys, with their second key. */
export const PLACES = Object.entries(KEYS).flatMap(([key, path]) => {
  const page = PAGES.find((each) => each.path === path);
  return page?.label === undefined ? [] : [{ key, page, label: page.label }];
});

/** The keys that open a page of the menu. */
export function keysOf(path: string): readonly string[] | undefined {
  const place = PLACES.find(({ page }) => page.path === path);
  return place && ["g", place.key];
}
