import { type FormEvent, useState } from "react";
import { rest } from "../api/request.ts";
import { signIn, signOut } from "../api/session.ts";
import { Button } from "../ui/button.tsx";
import { Field } from "../ui/field.tsx";
import { Failure } from "../ui/notice.tsx";

/** Asks for a token, and tries it before it is kept. */
export function SignIn() {
  const [token, setToken] = useState("");
  const [remember, setRemember] = useState(false);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await tryToken(token.trim());
      signIn(token.trim(), remember);
    } catch (thrown) {
      signOut();
      setError(thrown);
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
