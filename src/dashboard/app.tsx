import { QueryClient, QueryClientProvider, replaceEqualDeep } from "@tanstack/react-query";
import { Suspense, useEffect, useState } from "react";
import { Link, Route, Switch, useLocation } from "wouter";
import { holdsRawNumber } from "./api/exact-json.ts";
import { onReturn } from "./api/reach.ts";
import { disconnect, onReopened } from "./api/subscribe.ts";
import { isPassing } from "./api/problem.ts";
import { useToken } from "./api/session.ts";
import { PAGES } from "./router/pages.ts";
import { useScrollPlace } from "./router/place.ts";
import { Guard } from "./shell/guard.tsx";
import { PageLoading } from "./shell/page-loading.tsx";
import { Permitted } from "./shell/permitted.tsx";
import { Shell } from "./shell/shell.tsx";
import { SignIn } from "./shell/sign-in.tsx";
import { Page } from "./components/page.tsx";
import { Toasts } from "./components/toasts.tsx";
import { Sentence } from "./components/sentence.tsx";
import { words } from "./shell/words.ts";

export function App() {
  const token = useToken();
  return (
    <>
      {token === null ? <SignIn /> : <Session key={token} />}
      <Toasts />
    </>
  );
}

/** Each token gets its own cache and connection, so that one user never sees another user's data. */
function Session() {
  const [client] = useState(createClient);
  useEffect(() => {
    // When the server is reachable again, all data is refetched at once, including on pages that do not poll.
    const refetch = (): void => void client.invalidateQueries();
    const stops = [onReturn(refetch), onReopened(refetch), disconnect];
    return () => {
      for (const stop of stops) stop();
    };
  }, [client]);
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
        // A request that the server rejected would be rejected again; a request that did not reach the server may succeed next time.
        retry: (count, error) => isPassing(error) && count < 5,
        retryDelay: (attempt) => Math.min(8_000, 500 * 2 ** attempt),
        staleTime: 2_000,
        refetchOnWindowFocus: true,
        // Unchanged parts of a response keep their identity, so that few components are rendered again.
        structuralSharing: (before, after) => (holdsRawNumber(after) ? after : replaceEqualDeep(before, after)),
      },
    },
  });
}

function Pages() {
  const [path] = useLocation();
  useScrollPlace(path);
  return (
    <Shell>
      <Guard key={path}>
        <Suspense fallback={<PageLoading />}>
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
              <Page title={words.notFound}>
                <p>
                  <Sentence text={words.notFoundAt} slots={{ path: <code>{path}</code> }} />{" "}
                  <Link href="/">{words.toOverview}</Link>
                </p>
              </Page>
            </Route>
          </Switch>
        </Suspense>
      </Guard>
    </Shell>
  );
}
