import { type FormEvent, useState } from "react";
import { Problem } from "../api/problem.ts";
import { rest } from "../api/request.ts";
import { signIn, useWasRefused } from "../api/session.ts";
import icon from "../icon.svg";
import { Button } from "../components/button.tsx";
import { Field } from "../components/field.tsx";
import { Failure } from "../components/notice.tsx";
import { Sentence } from "../components/sentence.tsx";
import { words } from "./words.ts";

/** The form that asks for a token, and checks it before it is stored. */
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
        <h1 className="sign-in-brand">
          <img src={icon} alt="" width="32" height="32" />
          {words.product}
        </h1>
        <p className="muted">
          <Sentence
            text={words.signInExplained}
            slots={{ dashboard: <code>legwork dashboard</code>, create: <code>legwork token create</code> }}
          />
        </p>
        {wasRefused && error === undefined && <Failure error={new Error(words.signedOut)} />}
        <Field label={words.token}>
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
          {words.remember}
        </label>
        {error !== undefined && <Failure error={error} />}
        <Button type="submit" kind="primary" busy={busy}>
          {words.signIn}
        </Button>
      </form>
    </main>
  );
}

async function tryToken(token: string): Promise<void> {
  await rest("GET", "/me", undefined, undefined, token);
}

/** The server's messages about tokens are meant for API clients. This message is meant for the user who typed the token. */
function inWordsOfSignIn(error: unknown): unknown {
  if (!(error instanceof Problem) || error.status !== 401) return error;
  return new Problem(words.invalidToken, {
    code: error.code,
    status: error.status,
    hint: words.invalidTokenHint,
    cause: error,
  });
}
