comment on table legwork.settings is 'Settings shared by all processes on this database. Change a value with an update; it takes effect at the next maintenance.';
comment on column legwork.settings.name is 'The name of the setting.';
comment on column legwork.settings.value is 'The value, as text.';
comment on column legwork.settings.description is 'What the setting means, its unit and its default.';

-- Settings are not secret. Grants decide which roles can read the table.
create policy read on legwork.settings for select to public using (true);
