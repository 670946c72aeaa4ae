import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMe } from "../../api/me.ts";
import { Problem } from "../../api/problem.ts";
import { rest } from "../../api/request.ts";
import { Button } from "../../components/button.tsx";
import { Dialog, FormDialog } from "../../components/dialog.tsx";
import { Field } from "../../components/field.tsx";
import { CopyButton } from "../../components/json.tsx";

const ROLES = {
  viewer: "viewer: reads",
  enqueuer: "enqueuer: enqueues, reads nothing",
  operator: "operator: reads, enqueues, acts",
  admin: "admin: everything",
} as const;

/** Makes a token, and shows it: the only time that anybody can. */
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
      title="New token"
      submit="Make it"
      onClose={onClose}
      onSubmit={() => create.mutate()}
      busy={create.isPending}
      error={create.error}
      disabled={form.name.trim() === ""}
    >
      <Field label="Name" hint="What it is for; the audit log names who uses it by this." problem={problem("name")}>
        <input value={form.name} maxLength={128} required onChange={(event) => setForm({ ...form, name: event.target.value })} />
      </Field>
      <Field label="Role" problem={problem("role")}>
        <select value={form.role} onChange={(event) => setForm({ ...form, role: event.target.value })}>
          {Object.entries(ROLES).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </Field>
      {me?.tenant === null && (
        <Field label="Only for the tenant" hint="Empty for all." problem={problem("tenant")}>
          <input value={form.tenant} maxLength={256} onChange={(event) => setForm({ ...form, tenant: event.target.value })} />
        </Field>
      )}
      <Field label="Valid for" hint="Such as 12h, 30d or 1y." problem={problem("expiresIn")}>
        <input value={form.expiresIn} maxLength={32} onChange={(event) => setForm({ ...form, expiresIn: event.target.value })} />
      </Field>
    </FormDialog>
  );
}

function Shown({ token, name, onClose }: { token: string; name: string; onClose: () => void }) {
  return (
    <Dialog title={`The token ${name}`} onClose={onClose}>
      <div className="dialog-body">
        <p>
          <strong>This is the only time that it is shown.</strong> Keep it where secrets are kept; only its hash is stored here.
        </p>
        <div className="settings-token">
          <input readOnly value={token} aria-label="The token" onFocus={(event) => event.target.select()} />
          <CopyButton text={token} label="Copy the token" />
        </div>
      </div>
      <footer>
        <Button kind="primary" onClick={onClose}>
          I have it
        </Button>
      </footer>
    </Dialog>
  );
}
