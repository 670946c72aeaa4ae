import type { ReactNode } from "react";
import { may, useMe } from "../api/me.ts";
import { Problem } from "../api/problem.ts";
import type { PageEntry } from "../router/pages.ts";
import { Failure, Loading } from "../components/notice.tsx";
import { Page } from "../components/page.tsx";

/** A page for who may read it; for anybody else what the server would say, in place of a page that waits for answers it never gets. */
export function Permitted({ page, children }: { page: PageEntry; children: ReactNode }) {
  const { role = "viewer", everybody = false, label = "Not allowed" } = page;
  const me = useMe();
  const isForAnyone = page.role === undefined && !everybody;
  if (isForAnyone || (me !== undefined && may(me, role, everybody))) return children;
  if (me === undefined) return <Loading />;
  const isConfined = may(me, role, false);
  return (
    <Page title={label}>
      <Failure
        error={
          new Problem(
            isConfined
              ? `This page is about every tenant; ${me.subject} acts for ${me.tenant}.`
              : `This needs the role ${role}; ${me.subject} has the role ${me.role}.`,
            { code: "LW403", status: 403, hint: "Ask an admin for a token that may read it." },
          )
        }
      />
    </Page>
  );
}
