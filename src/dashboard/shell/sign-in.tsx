import { type FormEvent, useState } from "react";
import { Problem } from "../api/problem.ts";
import { rest } from "../api/request.ts";
import { signIn, useWasRefused } from "../api/session.ts";
import { Button } from "../components/button.tsx";
import { Field } from "../components/field.tsx";
import { Failure } from "../components/notice.tsx";

/** Asks for a token, and tries it before it is kept. */
export function SignIn() {
  const [token, setToken] = useState("");
  const [remember, setRemember] = useState(false);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const wasRefused = useWasRefused();

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await tryToken(token.trim());
      signIn(token.trim(), remember);
    } catch (thrown) {
      setError(inWordsOfSignIn(thrown));
    } finally {
      setBusy(false);
    }
  }

  return (
    <main className="sign-in">
      <form className="card" onSubmit={(event) => void submit(event)}>
        <h1>Legwork</h1>
        <p className="muted">
          Sign in with a token. <code>legwork dashboard</code> prints an address that does it for you;{" "}
          <code>legwork token create</code> makes tokens for others.
        </p>
        {wasRefused && error === undefined && (
          <Failure
            error={
              new Error("You were signed out: your token has expired, was revoked, or may not read. Sign in with another one.")
            }
          />
        )}
        <Field label="Token">
          <input
            type="password"
            autoComplete="current-password"
            autoFocus
            required
            spellCheck={false}
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
        </Field>
        <label className="check">
          <input type="checkbox" checked={remember} onChange={(event) => setRemember(event.target.checked)} />
          Keep it in this browser
        </label>
        {error !== undefined && <Failure error={error} />}
        <Button type="submit" kind="primary" busy={busy}>
          Sign in
        </Button>
      </form>
    </main>
  );
}

async function tryToken(token: string): Promise<void> {
  await rest("GET", "/me", undefined, undefined, token);
}

/** What the server says of a token is for programs; who signs in has typed one. */
function inWordsOfSignIn(error: unknown): unknown {
  if (!(error instanceof Problem) || error.status !== 401) return error;
  return new Problem("This token is not valid.", {
    code: error.code,
    status: error.status,
    hint: "Check that all of it was copied. It may also have expired or been revoked.",
    cause: error,
  });
}
