import type { Queryable } from "legwork";
import { scheduleAllActiveUsers, triggerArchive } from "../calendar/jobs.ts";
import { startCalendar } from "../calendar/start.ts";
import type { Work } from "./examples.ts";

export const start = (databaseUrl: string): Promise<unknown> => startCalendar(databaseUrl);

export const first = (client: Queryable): Promise<unknown> =>
  scheduleAllActiveUsers(client, { schedule_type: "daily", hour: 23, minute: 59 });

const TITLES = ["Stand-up", "Design review", "Interview", "Customer call", "Lunch", "Retrospective"];

export const work: readonly Work[] = [
  {
    every: 45,
    run: (client) =>
      client.query(
        `insert into calendar.events (calendar_id, title, starts_at, ends_at)
         select id, $1, now() - interval '30 minutes', now() from calendar.calendars where name = 'Work'`,
        [TITLES[Math.floor(Math.random() * TITLES.length)]],
      ),
  },
  {
    every: 90,
    // One user triggers two jobs: the second waits for the first.
    run: async (client) => {
      const today = new Date().toISOString().slice(0, 10);
      for (const userId of [1, 1, 2]) await triggerArchive(client, userId, { start_date: today, end_date: today });
    },
  },
];
