comment on table legwork.settings is 'Settings that every process on this database shares. Change a value with an update; it holds from the next maintenance on.';
comment on column legwork.settings.name is 'What is set.';
comment on column legwork.settings.value is 'The value, as text.';
comment on column legwork.settings.description is 'What the setting means, its unit and its default.';

-- Settings are no secrets; who may read the table at all is said by grants.
create policy read on legwork.settings for select to public using (true);
