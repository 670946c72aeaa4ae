import type { Json } from "../../../contract/rows.ts";
import type { tokenSchema } from "../../../contract/tokens.ts";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { rest } from "../../api/request.ts";
import { ExactTime, Time } from "../../components/time/time.tsx";
import { Button } from "../../components/button.tsx";
import { FormDialog } from "../../components/dialog.tsx";
import { Empty } from "../../components/notice.tsx";
import { Card } from "../../components/page.tsx";
import { QueryResult } from "../../components/query-result.tsx";
import { tell } from "../../components/toasts.tsx";
import { CreateToken } from "./create-token.tsx";

/** A row of GET /tokens. */
type Token = Json<typeof tokenSchema>;

/** The tokens, without their secrets: who has which rights, when it was used, until when it is valid. */
export function Tokens() {
  const query = useQuery({
    queryKey: ["tokens"],
    queryFn: async ({ signal }) => (await rest<{ items: Token[] }>("GET", "/tokens", undefined, signal)).items,
  });
  const [isCreating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Token>();
  return (
    <Card
      title="Tokens"
      actions={
        <Button icon={<Plus aria-hidden="true" />} onClick={() => setCreating(true)}>
          New token
        </Button>
      }
    >
      <QueryResult query={query}>
        {(tokens) =>
          tokens.length === 0 ? (
            <Empty title="No token was made yet.">The one of the server&apos;s own configuration is not in this list.</Empty>
          ) : (
            <div className="table-scroll" tabIndex={0} role="region" aria-label="Tokens, table">
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">Name</th>
                    <th scope="col">Role</th>
                    <th scope="col">Tenant</th>
                    <th scope="col">Made</th>
                    <th scope="col">Used</th>
                    <th scope="col">Valid until</th>
                    <th scope="col">Do</th>
                  </tr>
                </thead>
                <tbody>
                  {tokens.map((token) => (
                    <tr key={token.id} data-off={!token.isValid}>
                      <td>{token.name}</td>
                      <td>{token.role}</td>
                      <td>{token.tenant ?? <span className="muted">all</span>}</td>
                      <td>
                        <Time at={token.createdAt} /> <span className="muted">by {token.createdBy}</span>
                      </td>
                      <td>
                        <Time at={token.lastUsedAt} absent="never" />
                      </td>
                      <td>
                        {token.revokedAt === null ? (
                          <ExactTime at={token.expiresAt} absent="no end" />
                        ) : (
                          <span>
                            revoked <Time at={token.revokedAt} />
                          </span>
                        )}
                        {token.revokedAt === null && !token.isValid && <span className="chip settings-over">over</span>}
                      </td>
                      <td>
                        {token.isValid && (
                          <Button kind="quiet" aria-label={`Revoke ${token.name}`} onClick={() => setRevoking(token)}>
                            Revoke
                          </Button>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </QueryResult>
      {isCreating && <CreateToken onClose={() => setCreating(false)} />}
      {revoking !== undefined && <RevokeToken token={revoking} onClose={() => setRevoking(undefined)} />}
    </Card>
  );
}

function RevokeToken({ token, onClose }: { token: Token; onClose: () => void }) {
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => rest("POST", `/tokens/${token.id}/revoke`),
    onSuccess: async () => {
      tell(`${token.name} is not valid any more.`);
      onClose();
      await client.invalidateQueries({ queryKey: ["tokens"] });
    },
  });
  return (
    <FormDialog
      title={`Revoke ${token.name}?`}
      submit="Revoke"
      kind="danger"
      onClose={onClose}
      onSubmit={() => revoke.mutate()}
      busy={revoke.isPending}
      error={revoke.error}
    >
      <p>
        Whoever uses it is refused from now on; live views end within half a minute. It cannot be taken back: a new token would be
        another one.
      </p>
      <p className="muted">
        It was last used <Time at={token.lastUsedAt} absent="never" />.
      </p>
    </FormDialog>
  );
}
