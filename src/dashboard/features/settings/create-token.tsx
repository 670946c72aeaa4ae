import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMe } from "../../api/me.ts";
import { Problem } from "../../api/problem.ts";
import { rest } from "../../api/request.ts";
import { Button } from "../../components/button.tsx";
import { Dialog, FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { CopyButton } from "../../components/json.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** Creates a token and shows it, once. */
export function CreateToken({ onClose }: { onClose: () => void }) {
  const me = useMe();
  const client = useQueryClient();
  const [form, setForm] = useState({ name: "", role: "viewer", tenant: "", expiresIn: "90d" });
  const create = useMutation({
    mutationFn: () =>
      rest<{ token: string }>("POST", "/tokens", {
        name: form.name.trim(),
        role: form.role,
        expiresIn: form.expiresIn,
        ...(form.tenant.trim() === "" ? {} : { tenant: form.tenant.trim() }),
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["tokens"] }),
  });
  const problems = create.error instanceof Problem ? create.error.fields : [];
  const problem = (field: string): string | undefined => problems.find((each) => each.field === field)?.message;
  if (create.data !== undefined) return <Shown token={create.data.token} name={form.name.trim()} onClose={onClose} />;
  return (
    <FormDialog
      title={words.newToken}
      submit={words.createToken}
      onClose={onClose}
      onSubmit={() => create.mutate()}
      busy={create.isPending}
      error={create.error}
      disabled={form.name.trim() === ""}
    >
      <Field label={common.name} hint={words.nameHint} problem={problem("name")}>
        <input value={form.name} maxLength={128} required onChange={(event) => setForm({ ...form, name: event.target.value })} />
      </Field>
      <Field label={words.role} problem={problem("role")}>
        <select value={form.role} onChange={(event) => setForm({ ...form, role: event.target.value })}>
          {Object.entries(words.roleChoices).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </Field>
      {me?.tenant === null && (
        <Field label={words.tenant} hint={words.tenantHint} problem={problem("tenant")}>
          <input value={form.tenant} maxLength={256} onChange={(event) => setForm({ ...form, tenant: event.target.value })} />
        </Field>
      )}
      <Field label={words.validFor} hint={words.validForHint} problem={problem("expiresIn")}>
        <input value={form.expiresIn} maxLength={32} onChange={(event) => setForm({ ...form, expiresIn: event.target.value })} />
      </Field>
    </FormDialog>
  );
}

function Shown({ token, name, onClose }: { token: string; name: string; onClose: () => void }) {
  return (
    <Dialog title={words.tokenTitle(name)} onClose={onClose}>
      <div className="dialog-body">
        <p>
          <strong>{words.shownOnce}</strong> {words.shownOnceHint}
        </p>
        <div className="settings-token">
          <input readOnly value={token} aria-label={words.token} onFocus={(event) => event.target.select()} />
          <CopyButton text={token} label={words.copyToken} />
        </div>
      </div>
      <footer>
        <Button kind="primary" onClick={onClose}>
          {words.done}
        </Button>
      </footer>
    </Dialog>
  );
}
