-- Mappings that are wrong: each is refused when the table is attached, with the place, what was found and what was expected, and leaves nothing.
begin;
select plan(118);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio');
create schema host;
create schema other;
create table host.studios (id serial primary key, name text, tenant uuid, number integer);
create table other.secret (id integer primary key, tenant uuid);
alter table other.secret enable row level security;
create table host.events (id serial primary key, studio integer, couple text, starts timestamp, place jsonb, state text, guests integer, owner uuid);
create table host.loose (a integer, b text);
create view host.seen as select * from host.studios;

-- A mapping that is good, with a member replaced; null takes it out.
create function pg_temp.try(p_patch jsonb) returns text language plpgsql as $$
begin
    perform automation.attach_source('host.events', case jsonb_typeof(p_patch) when 'object' then jsonb_strip_nulls('{"into": "weddings",
        "tenant": {"column": "studio", "lookup": {"table": "host.studios", "key": "id", "value": "tenant"}}, "columns": {"title": "couple", "time_zone": {"value": "Europe/Lisbon"}}}'::jsonb
        || (p_patch - 'raw')) || coalesce(p_patch -> 'raw', '{}') else p_patch end);
    raise exception using errcode = 'U0099';
exception when sqlstate 'U0099' then return 'attached';
    when others then return sqlstate || ' ' || sqlerrm;
end $$;
select is(pg_temp.try('{}'), 'attached', 'the mapping itself is good');

create temp table wrong (i serial, patch jsonb, error text);
insert into wrong (patch, error) values
-- shapes
(null, 'itself: found nothing, expected an object'),
('null', 'itself: found null, expected an object'),
('[]', 'itself: found [], expected an object'),
('"weddings"', 'itself: found "weddings", expected an object'),
('{"colums": {}}', 'itself: unknown member colums; allowed: into, key, tenant, wedding, vendor, user, columns, where, events, on_delete'),
('{"into": 5}', 'into: found 5, expected a string'),
('{"raw": {"into": null}}', 'into: found null, expected a string'),
('{"into": "Weddings"}', 'into: found Weddings, expected one of attributes, contacts, forms, members, milestones, stages, vendors, wedding_vendors, weddings'),
('{"raw": {"key": null}}', 'key: found null, expected a string or a list'),
('{"key": 1}', 'key: found 1, expected a string or a list'),
('{"key": []}', 'key: found [], expected columns, each once'),
('{"key": ["id", "id"]}', 'key: found ["id", "id"], expected columns, each once'),
('{"key": ["id", 2]}', 'key.1: found 2, expected a string'),
('{"key": "nr"}', 'key: host.events has no column nr'),
('{"columns": "couple"}', 'columns: found "couple", expected an object'),
('{"columns": ["couple"]}', 'columns: found ["couple"], expected an object'),
('{"raw": {"columns": null}}', 'columns: found null, expected an object'),
('{"columns": {"title": 5}}', 'columns.title: found 5, expected a string or an object'),
('{"columns": {"title": ["couple"]}}', 'columns.title: found ["couple"], expected a string or an object'),
('{"raw": {"columns": {"title": null}}}', 'columns.title: found null, expected a string or an object'),
('{"columns": {"title": {"column": 5}}}', 'columns.title.column: found 5, expected a string'),
('{"columns": {"title": {"column": "couple", "value": "x"}}}', 'columns.title: expected one of "column" and "value"'),
('{"columns": {"title": {"value": "x", "default": "y"}}}', 'columns.title: expected nothing beside "value"'),
('{"columns": {"title": {"column": "place", "path": ["name"]}}}', 'columns.title.path: found ["name"], expected a string'),
('{"columns": {"guest_count": {"column": "guests", "times": "two"}}}', 'columns.guest_count.times: found "two", expected a number'),
('{"columns": {"title": {"column": "couple", "map": "x"}}}', 'columns.title.map: found "x", expected an object'),
('{"columns": {"title": {"column": "couple", "map": {"a": {"b": 1}}}}}', 'columns.title.map.a: found {"b": 1}, expected a string or a number or true or false'),
('{"columns": {"title": {"column": "couple", "default": {}}}}', 'columns.title.default: found {}, expected a string or a number or true or false'),
('{"columns": {"ceremony_date": {"column": "starts", "zone": 1}}}', 'columns.ceremony_date.zone: found 1, expected a string'),
('{"columns": {"ceremony_date": {"column": "starts", "zone": "Lisbon"}}}', 'columns.ceremony_date.zone: found "Lisbon", expected a time zone such as Europe/Lisbon'),
('{"columns": {"attributes": "place"}}', 'columns.attributes: weddings has no such column'),
('{"columns": {"title.x": "couple"}}', 'columns.title.x: weddings has no such column'),
('{"columns": {"attributes.": "place"}}', 'columns: found "attributes.", expected names joined by dots'),
('{"columns": {"": "place"}}', 'columns: found "", expected names joined by dots'),
('{"columns": {"attributes.crm": "place", "attributes.crm.id": "id"}}', 'columns.attributes.crm: also an object, by columns.attributes.crm.id'),
('{"where": "starts"}', 'where: found "starts", expected an object'),
('{"where": {"column": "state"}}', 'where: expected one of "null" and "in"'),
('{"where": {"null": true}}', 'where.column: host.events has no column of no name'),
('{"where": {"column": 1, "null": true}}', 'where.column: found 1, expected a string'),
('{"where": {"column": "state", "null": "yes"}}', 'where.null: found "yes", expected true or false'),
('{"raw": {"where": {"column": "state", "null": null}}}', 'where.null: found null, expected true or false'),
('{"where": {"column": "state", "in": "open"}}', 'where.in: found "open", expected a list'),
('{"where": {"column": "guests", "in": ["1", 2]}}', 'where.in.1: found 2, expected a string'),
('{"where": {"column": "state", "in": []}}', 'where.in: found [], expected at least one string'),
('{"events": {}}', 'events: found {}, expected a list'),
('{"raw": {"events": null}}', 'events: found null, expected a list'),
('{"events": ["insert"]}', 'events.0: found "insert", expected an object'),
('{"events": [{"on": "insert", "type": "a.b"}, {"on": 1}]}', 'events.1.on: found 1, expected a string'),
('{"events": [{"type": "a.b"}]}', 'events.0.on: found nothing, expected "insert", "update" or "delete"'),
('{"events": [{"on": "insert"}]}', 'events.0.type: found nothing, expected lower-case words joined by dots, such as payment.received'),
('{"events": [{"on": "insert", "type": ["a.b"]}]}', 'events.0.type: found ["a.b"], expected a string'),
('{"events": [{"on": "update", "type": "a.b", "column": {}}]}', 'events.0.column: found {}, expected a string'),
('{"events": [{"on": "update", "type": "a.b", "to": 1}]}', 'events.0: "from" and "to" need "column"'),
('{"events": [{"on": "insert", "type": "a.b", "column": "state", "from": "x"}]}', 'events.0: an insert has no "from"'),
('{"events": [{"on": "delete", "type": "a.b", "column": "state", "to": "x"}]}', 'events.0: a delete has no "to"'),
('{"events": [{"on": "insert", "type": "a.b", "payload": "id"}]}', 'events.0.payload: found "id", expected an object'),
('{"events": [{"on": "insert", "type": "a.b", "payload": {"x": 1}}]}', 'events.0.payload.x: found 1, expected a string or an object'),
('{"events": [{"on": "insert", "type": "a.b", "payload": {"x": "no"}}]}', 'events.0.payload.x: host.events has no column no'),
('{"on_delete": true}', 'on_delete: found true, expected a string'),
('{"into": "contacts", "wedding": {"column": "studio", "of": "host.studios"}, "on_delete": "archive"}', 'on_delete: found archive, expected "delete" or "keep", or for weddings "archive"'),
('{"raw": {"into": "contacts", "wedding": null}}', 'wedding: found null, expected a string or an object'),
('{"into": "contacts", "wedding": 5}', 'wedding: found 5, expected a string or an object'),
('{"into": "contacts", "wedding": {"of": "host.studios"}}', 'wedding: host.events has no column of no name'),
('{"into": "contacts", "wedding": {"column": "studio", "of": 3}}', 'wedding.of: found 3, expected a string'),
('{"into": "contacts", "wedding": {"column": "studio", "of": "a.b.c.d"}}', 'wedding.of: there is no table a.b.c.d'),
('{"into": "contacts", "wedding": {"column": "owner", "of": "host.none"}}', 'wedding.of: there is no table host.none'),
('{"into": "contacts", "wedding": "studio"}', 'wedding: column studio is of type integer, not uuid: "of" must name the table whose key it is'),
('{"into": "contacts"}', 'wedding: missing; contacts belong to one'),
('{"into": "wedding_vendors", "wedding": "owner"}', 'vendor: missing; wedding_vendors belong to one'),
('{"vendor": "owner"}', 'vendor: only wedding_vendors have one'),
('{"wedding": "owner"}', 'wedding: a row of weddings is the wedding itself'),
('{"user": "owner"}', 'user: only members have one'),
('{"into": "members", "columns": {}}', 'user: missing, and the key is no UUID: name the column that has the "sub" of the users'' tokens'),
('{"into": "members", "columns": {}, "user": "guests"}', 'user: column guests is of type integer, expected uuid or text'),
('{"into": "members", "user": "owner", "columns": {"role": {"value": "boss"}}}',
    'columns.role.value: found "boss", expected what role of members takes: (role = ANY (ARRAY[''owner''::text, ''admin''::text, ''member''::text]))'),
('{"into": "attributes", "wedding": "owner", "columns": {"x": "id"}, "on_delete": "delete"}', 'on_delete: found delete, expected "keep": attributes of a wedding stay when a row is gone'),
('{"into": "attributes", "wedding": "owner", "columns": {"forms.{slug}.at": "id"}}', 'columns.forms.{slug}.at: host.events has no column slug'),
('{"into": "attributes", "wedding": "owner", "columns": {"forms.x{state}.at": "id"}}', 'columns.forms.x{state}.at: found x{state}, expected a name or a column in braces'),
-- tenants
('{"tenant": "studio"}', 'tenant: found "studio", expected an object'),
('{"raw": {"tenant": null}}', 'tenant: found null, expected an object'),
('{"tenant": {}}', 'tenant: expected one of "column" and "value"'),
('{"tenant": {"value": "nobody"}}', 'tenant.value: found "nobody", expected a UUID'),
('{"raw": {"tenant": {"value": null}}}', 'tenant.value: found null, expected a UUID'),
('{"tenant": {"value": {"id": 1}}}', 'tenant.value: found {"id": 1}, expected a UUID'),
('{"tenant": {"value": "10000000-0000-4000-8000-00000000000f"}}', 'tenant.value: there is no tenant 10000000-0000-4000-8000-00000000000f'),
('{"tenant": {"value": "x", "lookup": {"table": "host.studios", "key": "id", "value": "tenant"}}}', 'tenant: "lookup" needs "column", not "value"'),
('{"tenant": {"column": "studio", "lookup": "host.studios"}}', 'tenant.lookup: found "host.studios", expected an object'),
('{"tenant": {"column": "studio", "lookup": {"key": "id", "value": "tenant"}}}', 'tenant.lookup.table: found nothing, expected a table such as public.studios'),
('{"tenant": {"column": "studio", "lookup": {"table": 1, "key": "id", "value": "tenant"}}}', 'tenant.lookup.table: found 1, expected a string'),
('{"tenant": {"column": "studio", "lookup": {"table": "host.", "key": "id", "value": "tenant"}}}', 'tenant.lookup.table: there is no table host.'),
('{"tenant": {"column": "studio", "lookup": {"table": "host.seen", "key": "id", "value": "tenant"}}}', 'tenant.lookup.table: there is no table host.seen'),
('{"tenant": {"column": "studio", "lookup": {"table": "host.studios", "value": "tenant"}}}', 'tenant.lookup.key: host.studios has no column of no name'),
('{"tenant": {"column": "studio", "lookup": {"table": "host.studios", "key": "id", "value": "number"}}}', 'tenant.lookup.value: column number of host.studios is of type integer, expected uuid or text'),
('{"tenant": {"column": "studio", "lookup": {"table": "host.studios", "key": "number", "value": "tenant"}}}',
    'tenant.lookup.key: column number of host.studios has no unique index of its own: a row could have two tenants'),
('{"tenant": {"column": "couple", "lookup": {"table": "host.studios", "key": "id", "value": "tenant"}}}', 'itself: rows of host.events can not be projected: operator does not exist: integer = text'),
('{"tenant": {"column": "studio", "lookup": {"table": "other.secret", "key": "id", "value": "tenant"}}}',
    'tenant.lookup.table: row-level security of other.secret hides rows from automation_owner, which projects; expected a policy that shows it all of them'),
-- constants
('{"columns": {"title": "couple", "time_zone": {"value": "Lisbon"}}}', 'columns.time_zone.value: found "Lisbon", expected a time zone such as Europe/Lisbon'),
('{"columns": {"title": "couple", "time_zone": {"column": "state", "map": {"pt": "Europe/Lisbon", "br": "Brasilia"}}}}', 'columns.time_zone.map.br: found "Brasilia", expected a time zone such as Europe/Lisbon'),
('{"columns": {"title": "couple", "time_zone": {"column": "state", "default": "Foo5"}}}', 'columns.time_zone.default: found "Foo5", expected a time zone such as Europe/Lisbon'),
('{"columns": {"ceremony_date": {"value": "soon"}}}', 'columns.ceremony_date.value: found "soon", expected a date'),
('{"columns": {"guest_count": {"value": 1.5}}}', 'columns.guest_count.value: found 1.5, expected a whole number'),
('{"columns": {"guest_count": {"value": -1}}}', 'columns.guest_count.value: found -1, expected what guest_count of weddings takes: (guest_count >= 0)'),
('{"columns": {"tags": {"value": "vip"}}}', 'columns.tags.value: found "vip", expected a list of strings'),
('{"raw": {"columns": {"title": {"value": null}}}}', 'columns.title.value: found null, expected a string');

create function pg_temp.refusals() returns setof text language sql as $$
    select is(pg_temp.try(w.patch), '22023 mapping ' || w.error, coalesce(left(w.patch::text, 120), 'NULL')) from wrong w order by w.i $$;
select pg_temp.refusals();
select is(pg_temp.try('{"columns": {"title": "couple", "time_zone": {"value": "UTC"}, "status": {"column": "state", "map": {"won": "bokked"}}}}'),
    '22023 mapping columns.status.map.won: found "bokked", expected what status of weddings takes: '
    || (select pg_get_expr(conbin, conrelid) from pg_constraint where conname = 'weddings_status_check'), 'a status that weddings do not know');

-- ---- row-level security of the look-up table, and of the host's
create policy shown on other.secret for select to automation_owner using (tenant is not null);
select alike(pg_temp.try('{"tenant": {"column": "studio", "lookup": {"table": "other.secret", "key": "id", "value": "tenant"}}}'), '%hides rows%', 'a policy that shows some rows');
alter policy shown on other.secret using (true);
select is(pg_temp.try('{"tenant": {"column": "studio", "lookup": {"table": "other.secret", "key": "id", "value": "tenant"}}}'), 'attached', 'one that shows all');
create policy fewer on other.secret as restrictive for select to public using (id > 0);
select alike(pg_temp.try('{"tenant": {"column": "studio", "lookup": {"table": "other.secret", "key": "id", "value": "tenant"}}}'), '%hides rows%', 'and a restrictive one beside it');
create role host_clerk in role automation_owner;
grant host_clerk to current_user;
grant all on schema host to host_clerk;
alter table host.events owner to host_clerk;
alter table host.events enable row level security, force row level security;
set local role host_clerk;
select is(pg_temp.try('{"tenant": {"value": "10000000-0000-4000-8000-000000000001"}}'),
    '22023 row-level security of host.events hides rows from host_clerk: expected its owner without FORCE, or a role with BYPASSRLS', 'rows that the caller would not see');
select throws_like($$ select automation.attach_source('host.events', '{"tenant": {"value": "10000000-0000-4000-8000-000000000001"}, "events": [{"on": "insert", "type": "a.b"}]}', false) $$,
    'row-level security of host.events hides rows from %', 'also where the backfill waits');
reset role;

-- ---- no arguments
select throws_ok($$ select automation.attach_source(null, '{}') $$, '22023', 'attach_source: the table is NULL, expected a table of the host''s');
select throws_ok($$ select automation.attach_source('host.loose', '{}', null) $$, '22023', 'attach_source: p_backfill is NULL, expected true or false');
select throws_ok($$ select automation.attach_source('host.loose', null) $$, '22023', 'mapping itself: found nothing, expected an object');
select throws_ok($$ select automation.attach_source('host.loose', '{"events": []}') $$, '22023', 'mapping into: missing; without it there must be "events", no "columns" and no "on_delete"');
select throws_ok($$ select automation.attach_source('host.seen', '{}') $$, '22023', 'host.seen is no table, or a partition: attach the partitioned table');

select is_empty($$ select from automation_priv.sources $$, 'what is refused leaves nothing');
select is_empty($$ select from pg_trigger where tgname like 'automation_source%' $$, 'and no trigger');
select * from finish();
rollback;
