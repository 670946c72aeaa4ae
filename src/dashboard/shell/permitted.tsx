import type { ReactNode } from "react";
import { may, useMe } from "../api/me.ts";
import { Problem } from "../api/problem.ts";
import type { PageEntry } from "../router/pages.ts";
import { Failure, Loading } from "../components/notice.tsx";
import { Page } from "../components/page.tsx";
import { words } from "./words.ts";

/** Shows a page to users who may read it. Other users see why they may not, instead of a page that waits for responses it never gets. */
export function Permitted({ page, children }: { page: PageEntry; children: ReactNode }) {
  const { role = "viewer", everybody = false, label = words.notAllowed } = page;
  const me = useMe();
  const isForAnyone = page.role === undefined && !everybody;
  if (isForAnyone || (me !== undefined && may(me, role, everybody))) return children;
  if (me === undefined) return <Loading />;
  const isConfined = may(me, role, false);
  return (
    <Page title={label}>
      <Failure
        error={
          new Problem(isConfined ? words.tenantConfined(me.subject, me.tenant) : words.roleNeeded(role, me.subject, me.role), {
            code: "LW403",
            status: 403,
            hint: words.askAdmin,
          })
        }
      />
    </Page>
  );
}
