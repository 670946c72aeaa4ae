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
import { Sentence } from "../../components/sentence.tsx";
import { common } from "../../components/words.ts";
import { words } from "./words.ts";

/** A row of GET /tokens. */
type Token = Json<typeof tokenSchema>;

/** The tokens without their secrets: roles, last use and validity. */
export function Tokens() {
  const query = useQuery({
    queryKey: ["tokens"],
    queryFn: async ({ signal }) => (await rest<{ items: Token[] }>("GET", "/tokens", undefined, signal)).items,
  });
  const [isCreating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Token>();
  return (
    <Card
      title={words.tokens}
      actions={
        <Button icon={<Plus aria-hidden="true" />} onClick={() => setCreating(true)}>
          {words.newToken}
        </Button>
      }
    >
      <QueryResult query={query}>
        {(tokens) =>
          tokens.length === 0 ? (
            <Empty title={words.noTokens}>{words.noTokensHint}</Empty>
          ) : (
            <div className="table-scroll" tabIndex={0} role="region" aria-label={common.tableOf(words.tokens)}>
              <table className="table">
                <thead>
                  <tr>
                    <th scope="col">{common.name}</th>
                    <th scope="col">{words.role}</th>
                    <th scope="col">{common.tenant}</th>
                    <th scope="col">{common.created}</th>
                    <th scope="col">{words.lastUsed}</th>
                    <th scope="col">{words.validUntil}</th>
                    <th scope="col">{common.actions}</th>
                  </tr>
                </thead>
                <tbody>
                  {tokens.map((token) => (
                    <tr key={token.id} data-off={!token.isValid}>
                      <td>{token.name}</td>
                      <td>{token.role}</td>
                      <td>{token.tenant ?? <span className="muted">{words.allOf}</span>}</td>
                      <td>
                        <Time at={token.createdAt} /> <span className="muted">{words.createdBy(token.createdBy)}</span>
                      </td>
                      <td>
                        <Time at={token.lastUsedAt} absent={common.never} />
                      </td>
                      <td>
                        {token.revokedAt === null ? (
                          <ExactTime at={token.expiresAt} absent={words.noEnd} />
                        ) : (
                          <span>
                            <Sentence text={words.revoked} slots={{ at: <Time at={token.revokedAt} /> }} />
                          </span>
                        )}
                        {token.revokedAt === null && !token.isValid && (
                          <span className="chip settings-over">{words.expired}</span>
                        )}
                      </td>
                      <td>
                        {token.isValid && (
                          <Button kind="quiet" aria-label={words.revokeOf(token.name)} onClick={() => setRevoking(token)}>
                            {words.revoke}
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
      tell(words.revokedNow(token.name));
      onClose();
      await client.invalidateQueries({ queryKey: ["tokens"] });
    },
  });
  return (
    <FormDialog
      title={words.revokeQuestion(token.name)}
      submit={words.revoke}
      kind="danger"
      onClose={onClose}
      onSubmit={() => revoke.mutate()}
      busy={revoke.isPending}
      error={revoke.error}
    >
      <p>{words.revokeExplained}</p>
      <p className="muted">
        <Sentence text={words.lastUsedAt} slots={{ at: <Time at={token.lastUsedAt} absent={common.never} /> }} />
      </p>
    </FormDialog>
  );
}
