-- Two workspaces with a few documents, created together with the tables. The last document's source does not exist, so that the example shows a
-- failure.

with workspaces as (
  insert into documents.workspaces (id) values ('acme'), ('globex') returning id
)
insert into documents.documents (workspace_id, source_url, kind, quality, content, expires_at)
select w.id, d.url, d.kind, d.quality, d.content, now() + d.expires
from workspaces w, (values
  ('https://www.postgresql.org/docs/current/explicit-locking.html', 'reference', 0.9, null, interval '5 days'),
  ('https://www.postgresql.org/docs/release/', 'changelog', 0.7, null, interval '2 days'),
  ('https://www.postgresql.org/docs/6.1/', 'news', 0.2, 'Out of date.', interval '-2 days'),
  ('https://docs.example.invalid/gone', 'tutorial', 0.4, null, interval '6 days')) as d (url, kind, quality, content, expires);
