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
import { Table } from "../../components/table/table.tsx";
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
            <Table
              label={common.tableOf(words.tokens)}
              rows={tokens}
              rowKey={({ id }) => id}
              isOff={({ isValid }) => !isValid}
              columns={[
                { id: "name", head: common.name, kind: "name", render: ({ name }) => name },
                { id: "role", head: words.role, render: ({ role }) => role },
                {
                  id: "tenant",
                  head: common.tenant,
                  render: ({ tenant }) => tenant ?? <span className="muted">{words.allOf}</span>,
                },
                {
                  id: "created",
                  head: common.created,
                  render: ({ createdAt, createdBy }) => (
                    <>
                      <Time at={createdAt} /> <span className="muted">{words.createdBy(createdBy)}</span>
                    </>
                  ),
                },
                { id: "used", head: words.lastUsed, render: ({ lastUsedAt }) => <Time at={lastUsedAt} absent={common.never} /> },
                { id: "valid", head: words.validUntil, render: (token) => <Validity token={token} /> },
                {
                  id: "actions",
                  head: common.actions,
                  kind: "actions",
                  render: (token) =>
                    token.isValid && (
                      <Button kind="quiet" aria-label={words.revokeOf(token.name)} onClick={() => setRevoking(token)}>
                        {words.revoke}
                      </Button>
                    ),
                },
              ]}
            />
          )
        }
      </QueryResult>
      {isCreating && <CreateToken onClose={() => setCreating(false)} />}
      {revoking !== undefined && <RevokeToken token={revoking} onClose={() => setRevoking(undefined)} />}
    </Card>
  );
}

function Validity({ token: { revokedAt, expiresAt, isValid } }: { token: Token }) {
  if (revokedAt !== null) return <Sentence text={words.revoked} slots={{ at: <Time at={revokedAt} /> }} />;
  return (
    <>
      <ExactTime at={expiresAt} absent={words.noEnd} />
      {!isValid && <span className="chip settings-over">{words.expired}</span>}
    </>
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
