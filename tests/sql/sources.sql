-- Host tables projected into ours: tables shaped unlike ours, bulk statements, failures that never reach the host, loops, backfill.
begin;
select plan(77);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio'), ('10000000-0000-4000-8000-000000000002', 'Other');
create schema host;
create table host.studios (id serial primary key, name text, automation_tenant uuid);
insert into host.studios (name, automation_tenant) values ('one', '10000000-0000-4000-8000-000000000001'), ('two', '10000000-0000-4000-8000-000000000002'), ('none', null);
create table host.events (
    id serial primary key, studio integer not null, couple varchar(80), starts timestamp without time zone, guests numeric, budget numeric(12, 2), state varchar(20) default 'open',
    details jsonb default '{}', labels text, photo bytea, gone timestamptz);
create table host.people (event integer not null, nr smallint not null, kind text, full_name text, mail text, primary key (event, nr));
create table host.invoices (id uuid primary key default gen_random_uuid(), event integer, open numeric(12, 2), paid_on date, kind text);
create table host.suppliers (code text primary key, studio integer, what text, trade text);
create table host.bookings (event integer, supplier text, trade text, sure boolean, primary key (event, supplier));
create table host.dates (event integer, what text, day date, unique (event, what));

-- ---- mappings that are wrong
create function pg_temp.try(p_patch jsonb) returns text language plpgsql as $$
begin
    perform automation.attach_source('host.events', '{"into": "weddings", "tenant": {"column": "studio", "lookup": {"table": "host.studios", "key": "id", "value": "automation_tenant"}},
        "columns": {"title": "couple", "time_zone": {"value": "Europe/Lisbon"}}}'::jsonb || p_patch);
    return null;
exception when others then return sqlstate || ' ' || sqlerrm;
end $$;
select is(pg_temp.try('{"columns": {"title": "cuople"}}'), '22023 mapping columns.title: host.events has no column cuople');
select is(pg_temp.try('{"columns": {"titel": "couple"}}'), '22023 mapping columns.titel: weddings has no such column');
select is(pg_temp.try('{"columns": {"title": "couple"}}'), '22023 mapping columns: weddings needs time_zone');
select is(pg_temp.try('{"columns": {"title": "couple", "time_zone": {"value": "UTC"}, "ceremony_date": "guests"}}'),
    '22023 mapping columns.ceremony_date: column guests is of type numeric, expected date, timestamp or text');
select is(pg_temp.try('{"columns": {"title": "couple", "time_zone": {"value": "UTC"}, "guest_count": "photo"}}'),
    '22023 mapping columns.guest_count: column photo is of type bytea, expected a number or text');
select is(pg_temp.try('{"columns": {"title": {"column": "couple", "path": "a"}, "time_zone": {"value": "UTC"}}}'),
    '22023 mapping columns.title: "path" looks into json or jsonb, but column couple is of type character varying');
select is(pg_temp.try('{"columns": {"title": {"column": "couple", "val": 1}, "time_zone": {"value": "UTC"}}}'),
    '22023 mapping columns.title: unknown member val; allowed: column, value, path, times, map, default, zone');
select is(pg_temp.try('{"columns": {"title": {}, "time_zone": {"value": "UTC"}}}'), '22023 mapping columns.title: expected one of "column" and "value"');
select is(pg_temp.try('{"into": "wedding"}'), '22023 mapping into: found wedding, expected one of attributes, contacts, forms, members, milestones, stages, vendors, wedding_vendors, weddings');
select is(pg_temp.try('{"tenant": {"value": "nobody"}}'), '22023 mapping tenant.value: found "nobody", expected a UUID');
select is(pg_temp.try('{"tenant": {"column": "studio"}}'), '22023 mapping tenant: column studio is of type integer, expected uuid or text');
select is(pg_temp.try('{"tenant": {"column": "studio", "lookup": {"table": "host.studio", "key": "id", "value": "x"}}}'), '22023 mapping tenant.lookup.table: there is no table host.studio');
select is(pg_temp.try('{"on_delete": "burn"}'), '22023 mapping on_delete: found burn, expected "delete" or "keep", or for weddings "archive"');
select is(pg_temp.try('{"events": [{"on": "upsert", "type": "a.b"}]}'), '22023 mapping events.0.on: found upsert, expected "insert", "update" or "delete"');
select is(pg_temp.try('{"events": [{"on": "insert", "type": "Paid"}]}'), '22023 mapping events.0.type: found Paid, expected lower-case words joined by dots, such as payment.received');
select is(pg_temp.try('{"colums": {}}'), '22023 mapping itself: unknown member colums; allowed: into, key, tenant, wedding, vendor, user, columns, where, events, on_delete');
select throws_ok($$ select automation.attach_source('host.dates', '{"into": "milestones"}') $$, '22023', 'mapping key: host.dates has no primary key: name the columns that identify a row');
select throws_like($$ select automation.attach_source('automation.weddings', '{}') $$, '%is one of ours%');
select is_empty($$ select from automation_priv.sources $$, 'what is refused leaves nothing');
select is_empty($$ select from pg_trigger where tgname like 'automation_source%' $$, 'and no trigger');

-- ---- weddings: serial ids, an integer tenant, money as numeric, a jsonb blob, a timestamp without zone
insert into host.events (studio, couple, starts, guests, budget, details, labels) values
    (1, 'Ana & Rui', '2031-06-14 15:30', 80, 12000.50, '{"place": {"name": "Quinta", "indoor": false}, "services": ["photo", "video"]}', 'vip, garden'),
    (2, 'Bea & Tom', '2031-07-01 12:00', null, null, '{}', null);
insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('10000000-0000-4000-8000-000000000001', gen_random_uuid(), 'r', 'active',
    '{"schema_version": 1, "name": "r", "trigger": {"type": "manual"}, "actions": [{"type": "stop"}]}');
select lives_ok($$ select automation.attach_source('host.events', '{
    "into": "weddings",
    "tenant": {"column": "studio", "lookup": {"table": "host.studios", "key": "id", "value": "automation_tenant"}},
    "where": {"column": "gone", "null": true},
    "columns": {
        "title": "couple", "time_zone": {"value": "Europe/Lisbon"}, "ceremony_date": "starts", "ceremony_time": "starts", "guest_count": "guests",
        "budget_cents": {"column": "budget", "times": 100}, "status": {"column": "state", "map": {"open": "inquiry", "won": "booked", "lost": "cancelled"}, "default": "inquiry"},
        "service_types": {"column": "details", "path": "services"}, "tags": "labels",
        "venue.name": {"column": "details", "path": "place.name"}, "venue.indoor": {"column": "details", "path": "place.indoor"}, "attributes.crm.number": "id"},
    "events": [{"on": "insert", "type": "inquiry.created", "payload": {"guests": "guests"}},
               {"on": "update", "column": "state", "to": "won", "type": "booking.won"},
               {"on": "delete", "type": "inquiry.deleted"}]}') $$, 'a table is attached');
create function pg_temp.wedding(p integer) returns uuid language sql as $$ select automation_priv.derive('host', 'host.events', p::text) $$;
select results_eq($$ select tenant_id, title, ceremony_date, ceremony_time, guest_count, budget_cents, status, service_types, tags, venue, attributes
        from automation.weddings where wedding_id = pg_temp.wedding(1) $$,
    $$ values ('10000000-0000-4000-8000-000000000001'::uuid, 'Ana & Rui', '2031-06-14'::date, '15:30'::time, 80, 1200050::bigint, 'inquiry', array['photo', 'video'], array['vip', 'garden'],
        '{"name": "Quinta", "indoor": false}'::jsonb, '{"crm": {"number": 1}}'::jsonb) $$, 'the rows that are there are projected');
select is((select tenant_id from automation.weddings where wedding_id = pg_temp.wedding(2)), '10000000-0000-4000-8000-000000000002'::uuid, 'each into its tenant');
select is_empty($$ select from automation_priv.outbox where event_type like 'inquiry.%' $$, 'a backfill publishes no events of the mapping');
select is((select local_date from automation.milestones where wedding_id = pg_temp.wedding(1) and name = 'ceremony'), '2031-06-14'::date, 'and milestones follow');

delete from automation_priv.outbox;
insert into host.events (studio, couple, guests) select 1, 'Couple ' || i, i from generate_series(1, 200) i;
select is((select count(*)::int from automation.weddings), 202, 'a bulk insert');
select is((select count(*)::int from automation_priv.outbox where event_type = 'inquiry.created' and payload ->> 'guests' is not null and wedding_id is not null), 200, 'each with its event');
select is((select payload ->> 'source' || ' ' || (payload ->> 'key') from automation_priv.outbox where event_type = 'inquiry.created' and payload ->> 'guests' = '7'), 'host.events 9', 'that says where it is from');
delete from automation_priv.outbox;
update host.events set photo = 'x', budget = budget;
select is((select max(change_no) from automation.weddings), 1::bigint, 'a column that is not listed changes nothing');
update host.events set state = state;
select is_empty($$ select from automation_priv.outbox $$, 'rows that are as they were append nothing');
update host.events set state = 'won' where id <= 2;
select results_eq($$ select status, count(*) from automation.weddings group by 1 order by 1 $$, $$ values ('booked', 2::bigint), ('inquiry', 200) $$, 'an update');
select results_eq($$ select event_type, count(*) from automation_priv.outbox group by 1 order by 1 $$, $$ values ('booking.won', 1::bigint), ('wedding.status_changed', 1) $$,
    'its events, for the tenant that has rules');
update host.events set starts = starts + interval '1 day' where id = 1;
select is((select ceremony_date from automation.weddings where wedding_id = pg_temp.wedding(1)), '2031-06-15'::date, 'a moved date');
insert into host.events (id, studio, couple, state) values (1, 1, 'x', 'open') on conflict (id) do update set couple = 'Ana & Rui S.';
select is((select title from automation.weddings where wedding_id = pg_temp.wedding(1)), 'Ana & Rui S.', 'an upsert');
update host.events set budget = null, details = '{}' where id = 1;
select results_eq($$ select budget_cents, venue -> 'name' from automation.weddings where wedding_id = pg_temp.wedding(1) $$, $$ values (null::bigint, 'null'::jsonb) $$, 'null takes a value back');
update automation.weddings set attributes = attributes || '{"own": 1}', venue = venue || '{"hall": "A"}' where wedding_id = pg_temp.wedding(1);
update host.events set details = '{"place": {"name": "Casa"}}' where id = 1;
select results_eq($$ select venue - 'indoor', attributes from automation.weddings where wedding_id = pg_temp.wedding(1) $$,
    $$ values ('{"name": "Casa", "hall": "A"}'::jsonb, '{"crm": {"number": 1}, "own": 1}'::jsonb) $$, 'what others keep beside it stays');
update host.events set studio = 2 where id = 3;
select results_eq($$ select tenant_id, status from automation.weddings where wedding_id = pg_temp.wedding(3) order by 1 $$,
    $$ values ('10000000-0000-4000-8000-000000000001'::uuid, 'archived'), ('10000000-0000-4000-8000-000000000002', 'inquiry') $$, 'a row that changes its tenant');
update host.events set id = 1000 where id = 4;
select results_eq($$ select status from automation.weddings where wedding_id in (pg_temp.wedding(4), pg_temp.wedding(1000)) order by 1 $$, array['archived', 'inquiry'], 'a key that changes');
update host.events set gone = now() where id = 5;
select is((select status from automation.weddings where wedding_id = pg_temp.wedding(5)), 'archived', 'a row deleted softly');
update host.events set gone = null where id = 5;
select is((select status from automation.weddings where wedding_id = pg_temp.wedding(5)), 'inquiry', 'and back');
delete from automation_priv.outbox;
delete from host.events where id between 6 and 10;
select is((select count(*)::int from automation.weddings where status = 'archived'), 7, 'deleted rows are archived');
select is((select count(*)::int from automation_priv.outbox where event_type = 'inquiry.deleted' and wedding_id is not null), 5, 'with their events');

-- ---- contacts by a composite key, attributes, vendors, milestones, events alone
select lives_ok($$ select automation.attach_source('host.people', '{"into": "contacts", "tenant": {"value": "10000000-0000-4000-8000-000000000001"},
    "wedding": {"column": "event", "of": "host.events"}, "columns": {"role": "kind", "name": "full_name", "email": "mail"}}') $$, 'contacts');
insert into host.people values (1, 1, 'bride', 'Ana', 'ana@example.org'), (1, 2, 'groom', 'Rui', null);
select is((select count(*)::int from automation.contacts where wedding_id = pg_temp.wedding(1)), 2, 'under their wedding');
delete from host.people where nr = 2;
select is((select string_agg(name, ',') from automation.contacts), 'Ana', 'and gone when they are gone');
select lives_ok($$ select automation.attach_source('host.invoices', '{"into": "attributes", "tenant": {"value": "10000000-0000-4000-8000-000000000001"},
    "wedding": {"column": "event", "of": "host.events"}, "columns": {"invoice.balance_due": "open", "invoice.paid_on": "paid_on"},
    "events": [{"on": "update", "column": "paid_on", "from": null, "type": "payment.received", "payload": {"amount": "open", "installment": "kind"}}]}') $$, 'payments');
insert into host.invoices (event, open, kind) values (1, 1200.50, 'final');
select is((select attributes -> 'invoice' from automation.weddings where wedding_id = pg_temp.wedding(1)), '{"balance_due": 1200.50, "paid_on": null}', 'become attributes of their wedding');
delete from automation_priv.outbox;
update host.invoices set open = 0, paid_on = '2031-01-02';
update host.invoices set paid_on = '2031-01-03';
select results_eq($$ select event_type, wedding_id, payload ->> 'installment' from automation_priv.outbox $$, $$ values ('payment.received', pg_temp.wedding(1), 'final') $$, 'and one event, at the first payment');
select is((select attributes #> '{own}' from automation.weddings where wedding_id = pg_temp.wedding(1)), '1', 'beside the others');
select lives_ok($$ select automation.attach_source('host.suppliers', '{"into": "vendors", "tenant": {"column": "studio", "lookup": {"table": "host.studios", "key": "id", "value": "automation_tenant"}},
    "columns": {"name": "what", "kind": "trade"}}') $$, 'vendors');
insert into host.suppliers values ('flores', 1, 'Flores Lda', 'florist');
select lives_ok($$ select automation.attach_source('host.bookings', '{"into": "wedding_vendors", "tenant": {"value": "10000000-0000-4000-8000-000000000001"},
    "wedding": {"column": "event", "of": "host.events"}, "vendor": {"column": "supplier", "of": "host.suppliers"}, "columns": {"role": "trade", "confirmed": "sure"}}') $$, 'and their bookings');
insert into host.bookings values (1, 'flores', 'florist', true);
update host.bookings set trade = 'decor';
select results_eq($$ select role, confirmed from automation.wedding_vendors $$, $$ values ('decor', true) $$, 'whose role may change');
select lives_ok($$ select automation.attach_source('host.dates', '{"into": "milestones", "key": ["event", "what"], "tenant": {"value": "10000000-0000-4000-8000-000000000001"},
    "wedding": {"column": "event", "of": "host.events"}, "columns": {"name": "what", "local_date": "day"}}') $$, 'milestones by a key that is named');
insert into host.dates values (1, 'final_payment_due', '2031-05-01');
select is((select local_date from automation.milestones where wedding_id = pg_temp.wedding(1) and name = 'final_payment_due'), '2031-05-01'::date, 'are set');

-- An event that names no column; a row that could not be read before.
create table host.answers (id integer primary key, event integer, slug text, at text, noise text);
select lives_ok($$ select automation.attach_source('host.answers', '{"into": "milestones", "tenant": {"value": "10000000-0000-4000-8000-000000000001"},
    "wedding": {"column": "event", "of": "host.events"}, "columns": {"name": "slug", "local_date": "at"}, "events": [{"on": "update", "type": "form.edited"}]}') $$, 'a date kept as text');
insert into host.answers values (1, 1, 'rehearsal', 'soon', ''), (2, 1, 'first_look', '2031-06-14', '');
select results_eq($$ select sqlstate, new_row ->> 'id' from automation_priv.source_errors $$, $$ values ('22007', '1') $$, 'what is no date is noted');
update host.answers set noise = 'x';
select is_empty($$ select from automation_priv.outbox where event_type = 'form.edited' $$, 'a change of another column is no event');
update host.answers set at = '2031-06-13' where id = 1;
select is((select local_date from automation.milestones where name = 'rehearsal'), '2031-06-13'::date, 'a row that could not be read before');
delete from automation_priv.source_errors;

-- ---- failures stay with us
select lives_ok($$ insert into host.events (studio, couple, guests) values (1, 'good', 1), (3, 'no tenant', 2), (1, null, 3), (1, 'also good', 4) $$, 'the host''s write stands, whatever is wrong');
select is((select count(*)::int from automation.weddings where title like '%good'), 2, 'good rows of the statement are projected');
select results_eq($$ select sqlstate, new_row ->> 'couple', old_row is null from automation_priv.source_errors order by id $$,
    $$ values ('23502', 'no tenant', true), ('23502', null, true) $$, 'bad ones are noted with their row');
update host.events set couple = 'mended' where couple is null;
select is((select count(*)::int from automation.weddings where title = 'mended'), 1, 'a mended row is projected');
update host.studios set automation_tenant = '10000000-0000-4000-8000-000000000002' where id = 3;
select is(automation.repair_source('host.events'), 0, 'noted rows are tried again');
select is((select count(*)::int from automation.weddings where title = 'no tenant'), 1, 'and projected');
select is_empty($$ select from automation_priv.source_errors $$, 'and no longer noted');
insert into host.events (studio, couple) select 1, repeat('x', 80) from generate_series(1, 2);
update automation_priv.switches set host_tables = false;
update host.events set couple = 'unseen' where id = 1;
select isnt((select title from automation.weddings where wedding_id = pg_temp.wedding(1)), 'unseen', 'the switch stops all projections');
update automation_priv.switches set host_tables = true;
insert into host.events (studio, couple) select 99, 'bad ' || i from generate_series(1, 300) i;
select results_eq($$ select count(*)::int, count(key)::int, max(message) filter (where key is null) from automation_priv.source_errors $$,
    $$ values (101, 100, 'further rows of the statement, not looked at: 200') $$, 'a flood of errors is noted up to a limit, and that there were more');
select is((select state from automation_priv.sources where host_name = 'host.events'), 'on', 'one tenant''s values switch nothing off');
create function host.broken() returns trigger language plpgsql as $$ begin raise exception 'index "i" contains unexpected zero page' using errcode = 'XX002'; end $$;
create trigger broken before insert on automation.weddings for each row execute function host.broken();
insert into host.events (studio, couple) select 1, 'broken ' || i from generate_series(1, 300) i;
drop trigger broken on automation.weddings;
select results_eq($$ select state, reason like 'too many errors: %' from automation_priv.sources where host_name = 'host.events' $$, $$ values ('off', true) $$, 'errors of the projection itself do');
delete from host.events where couple like 'broken %';

-- ---- loops: a host that writes back
delete from host.events where studio = 99;
select automation.repair_source('host.events');
create function host.mirror() returns trigger language plpgsql security definer as $$
begin
    update host.events e set couple = new.title, guests = new.guest_count + 1 from (select 1) x where automation_priv.derive('host', 'host.events', e.id::text) = new.wedding_id;
    return null;
end $$;
create trigger mirror after update of guest_count on automation.weddings for each row when (new.wedding_id is not null) execute function host.mirror();
select set_config('automation.hops', '7', true);
delete from automation_priv.outbox;
update host.events set state = 'won' where id = 12;
select is((select count(*)::int from automation_priv.source_errors where sqlstate = 'U0002' and message like 'a chain of triggers%'), 1,
    'tables that write each other without end are cut off');
delete from automation_priv.source_errors;
select is((select hops from automation_priv.outbox where event_type = 'booking.won'), 7::smallint, 'events carry the hops of what caused them');
select set_config('automation.hops', '8', true);
select lives_ok($$ update host.events set state = 'won' where id = 13 $$, 'at the end of a chain the host still writes');
select is_empty($$ select from automation_priv.outbox where event_type = 'booking.won' and hops >= 8 $$, 'but no event is published');
select cmp_ok((select count(*)::int from automation_priv.source_errors where message like '%chain of 8 events'), '>=', 1, 'which is noted');
select set_config('automation.hops', '', true);

-- ---- detach
select lives_ok($$ select automation.detach_source('host.events') $$, 'a table is detached');
update host.events set couple = 'after' where id = 1;
select isnt((select title from automation.weddings where wedding_id = pg_temp.wedding(1)), 'after', 'and no longer looked at');
select throws_ok($$ select automation.detach_source('host.events') $$, '22023', 'host.events is not attached');

select * from finish();
rollback;
