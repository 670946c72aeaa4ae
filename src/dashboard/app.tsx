import { QueryClient, QueryClientProvider, replaceEqualDeep } from "@tanstack/react-query";
import { Suspense, useEffect, useState } from "react";
import { Route, Switch, useLocation } from "wouter";
import { holdsRawNumber } from "./api/exact-json.ts";
import { disconnect } from "./api/subscribe.ts";
import { isPassing } from "./api/problem.ts";
import { useToken } from "./api/session.ts";
import { PAGES } from "./router/pages.ts";
import { Guard } from "./shell/guard.tsx";
import { Permitted } from "./shell/permitted.tsx";
import { Shell } from "./shell/shell.tsx";
import { SignIn } from "./shell/sign-in.tsx";
import { Loading } from "./components/notice.tsx";
import { Page } from "./components/page.tsx";
import { Toasts } from "./components/toasts.tsx";

export function App() {
  const token = useToken();
  return (
    <>
      {token === null ? <SignIn /> : <Session key={token} />}
      <Toasts />
    </>
  );
}

/** What one token has read is not for the next: each has answers and a connection of its own. */
function Session() {
  const [client] = useState(createClient);
  useEffect(() => disconnect, []);
  return (
    <QueryClientProvider client={client}>
      <Pages />
    </QueryClientProvider>
  );
}

function createClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // What the server refused it will refuse again; what did not get through may the next time.
        retry: (count, error) => isPassing(error) && count < 5,
        retryDelay: (attempt) => Math.min(8_000, 500 * 2 ** attempt),
        staleTime: 2_000,
        refetchOnWindowFocus: true,
        // What is equal to the last answer keeps its identity, so that little is drawn again.
        structuralSharing: (before, after) => (holdsRawNumber(after) ? after : replaceEqualDeep(before, after)),
      },
    },
  });
}

function Pages() {
  const [path] = useLocation();
  useEffect(() => {
    // A new page begins at its top, and with its heading for whoever listens to it.
    document.querySelector("main")?.scrollTo(0, 0);
    document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [path]);
  return (
    <Shell>
      <Guard key={path}>
        <Suspense fallback={<Loading />}>
          <Switch>
            {PAGES.map((page) => (
              <Route key={page.path} path={page.path}>
                {(parameters: Record<string, string | undefined>) => (
                  <Permitted page={page}>
                    <page.Component parameters={parameters} />
                  </Permitted>
                )}
              </Route>
            ))}
            <Route>
              <Page title="Nothing here">
                <p>
                  There is no page at <code>{path}</code>. The menu has all there are.
                </p>
              </Page>
            </Route>
          </Switch>
        </Suspense>
      </Guard>
    </Shell>
  );
}
