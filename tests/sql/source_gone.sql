-- Rows of the host's that went, moved or left the mapping while nobody looked (kill switch, source off, detached, TRUNCATE) are found on return, with the
-- effect that their deletes would have had; what is ours stays.
begin;
select plan(39);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio'), ('10000000-0000-4000-8000-000000000002', 'Other');
create schema crm;
create function pg_temp.tenant(n integer) returns uuid language sql as $$ select ('10000000-0000-4000-8000-00000000000' || n)::uuid $$;
create function pg_temp.user(n integer) returns uuid language sql as $$ select ('70000000-0000-4000-8000-00000000000' || n)::uuid $$;
create table crm.deals (slug varchar(20), nr smallint, studio uuid, couple text, won boolean default true, primary key (slug, nr));
create function pg_temp.attach_deals() returns uuid language sql as $$ select automation.attach_source('crm.deals', '{"into": "weddings", "tenant": {"column": "studio"},
    "where": {"column": "won", "in": ["true"]}, "columns": {"title": "couple", "time_zone": {"value": "UTC"}}, "events": [{"on": "delete", "type": "deal.lost"}]}') $$;
create function pg_temp.live() returns text[] language sql as $$
    select array(select right(w.tenant_id::text, 1) || ' ' || w.title from automation.weddings w where w.status <> 'archived' order by 1) $$;
create function pg_temp.off() returns void language sql as $$ update automation_priv.switches set host_tables = false $$;
create function pg_temp.on() returns void language sql as $$ update automation_priv.switches set host_tables = true $$;
insert into automation.rules (tenant_id, rule_id, name, status, definition) values (pg_temp.tenant(1), gen_random_uuid(), 'r', 'active',
    '{"schema_version": 1, "name": "r", "trigger": {"type": "manual"}, "actions": [{"type": "stop"}]}');
-- One of the tenant's own, that no table of the host's knows.
insert into automation.weddings (tenant_id, wedding_id, title, time_zone) values (pg_temp.tenant(1), gen_random_uuid(), 'Own', 'UTC');
insert into crm.deals (slug, nr, studio, couple) select 'deal', i, pg_temp.tenant(1), 'Couple ' || i from generate_series(1, 8) i;
select pg_temp.attach_deals();
select is(pg_temp.live(), array['1 Couple 1', '1 Couple 2', '1 Couple 3', '1 Couple 4', '1 Couple 5', '1 Couple 6', '1 Couple 7', '1 Couple 8', '1 Own'], 'weddings whose key has two columns');
select is((select backfilled from automation_priv.sources), true, 'all are read');

-- ---- the kill switch
select pg_temp.off();
delete from crm.deals where nr = 1;
update crm.deals set studio = pg_temp.tenant(2) where nr = 2;
update crm.deals set won = false where nr = 3;
update crm.deals set nr = 14 where nr = 4;
select pg_temp.on();
select is(cardinality(pg_temp.live()), 9, 'what was not seen is not guessed');
select results_eq('select state, backfilled from automation_priv.sources', $$ values ('on', false) $$, 'but the source says so');
select is(automation.repair_source('crm.deals'), 0, 'a repair');
select is(pg_temp.live(), array['1 Couple 4', '1 Couple 5', '1 Couple 6', '1 Couple 7', '1 Couple 8', '1 Own', '2 Couple 2'], 'finds what was deleted, moved, or is no wedding any more, and leaves our own');
select is((select status from automation.weddings where wedding_id = automation_priv.derive('host', 'crm.deals', '["deal", 4]')), 'archived', 'the row whose key changed is another one');
select is_empty($$ select from automation_priv.outbox where event_type = 'deal.lost' $$, 'no event: what a rule would do about it is long past');
select is((select backfilled from automation_priv.sources), true, 'and all are read again');

-- ---- off, and on by hand
update automation_priv.sources set state = 'off';
delete from crm.deals where nr = 5;
update automation_priv.sources set state = 'on';
select is((select backfilled from automation_priv.sources), false, 'a source that was off has something to read');
select is(automation.backfill_source('crm.deals'), 6, 'rows that are there first');
select is(automation.backfill_source('crm.deals'), 1, 'then those that are gone');
select is(automation.backfill_source('crm.deals'), 0, 'then nothing');
select is(pg_temp.live(), array['1 Couple 4', '1 Couple 6', '1 Couple 7', '1 Couple 8', '1 Own', '2 Couple 2'], 'found');

-- ---- off, and repaired in steps
update automation_priv.sources set state = 'off';
delete from crm.deals where nr in (6, 7);
select is(automation.repair_source('crm.deals', false), 0, 'a repair that leaves the table to the backfill');
select is(cardinality(pg_temp.live()), 6, 'has not looked yet');
create temporary table steps on commit drop as select 0 as n;
do $$ declare v integer; begin
    loop v := automation.backfill_source('crm.deals', 1); update steps set n = n + v; exit when v = 0; end loop;
end $$;
select is((select n from steps), 6, 'four rows and two that are gone, one after another');
select is(pg_temp.live(), array['1 Couple 4', '1 Couple 8', '1 Own', '2 Couple 2'], 'found');

-- ---- detached, and attached again
select automation.detach_source('crm.deals');
delete from crm.deals where nr = 8;
select is(cardinality(pg_temp.live()), 4, 'detached: what was projected stays');
select pg_temp.attach_deals();
select is(pg_temp.live(), array['1 Couple 4', '1 Own', '2 Couple 2'], 'attached again: what went meanwhile is found');

-- ---- TRUNCATE, and a wedding that refuses
insert into crm.deals (slug, nr, studio, couple) values ('deal', 20, pg_temp.tenant(1), 'Couple 20');
create function pg_temp.kept() returns trigger language plpgsql as $$ begin if old.title = 'Couple 20' then raise exception 'contracts are kept' using errcode = '23001'; end if; return new; end $$;
create trigger keep before update of status on automation.weddings for each row execute function pg_temp.kept();
truncate crm.deals;
select results_eq('select key, sqlstate from automation_priv.source_errors', $$ values (null::jsonb, 'U0005') $$, 'TRUNCATE is noted');
select is(cardinality(pg_temp.live()), 4, 'and takes nothing away by itself');
select is(automation.repair_source('crm.deals'), 1, 'a repair finds a wedding that is kept');
select results_eq('select key, sqlstate from automation_priv.source_errors', $$ values ('["deal", 20]'::jsonb, '23001') $$, 'which is noted');
select is(pg_temp.live(), array['1 Couple 20', '1 Own'], 'beside those that are gone');
drop trigger keep on automation.weddings;
select is(automation.repair_source('crm.deals'), 0, 'and again');
select is(pg_temp.live(), array['1 Own'], 'all of them');
select is_empty('select from automation_priv.source_rows', 'nothing is remembered of what is gone');
insert into crm.deals (slug, nr, studio, couple) values ('deal', 21, pg_temp.tenant(1), 'Couple 21');
select is(pg_temp.live(), array['1 Couple 21', '1 Own'], 'and the source goes on');

-- ---- several rows that make one of ours: memberships without a key of their own, a login each
create table crm.memberships (company integer, login text, office text, unique (company, login, office));
select automation.attach_source('crm.memberships', '{"into": "members", "user": "login", "key": ["company", "login", "office"], "tenant": {"value": "10000000-0000-4000-8000-000000000001"}}');
insert into crm.memberships values (1, pg_temp.user(1)::text, 'north'), (1, pg_temp.user(2)::text, 'north');
insert into crm.memberships values (1, pg_temp.user(1)::text, 'south'), (1, pg_temp.user(2)::text, 'south');
select is((select count(*) from automation.members), 2::bigint, 'two users, each in two offices');
delete from crm.memberships where office = 'south' and login = pg_temp.user(1)::text;
select is((select count(*) from automation.members), 2::bigint, 'who leaves one stays a member');
select pg_temp.off();
delete from crm.memberships where login = pg_temp.user(1)::text;
delete from crm.memberships where office = 'south';
select pg_temp.on();
select is(automation.repair_source('crm.memberships'), 0, 'a repair');
select is((select array_agg(user_id) from automation.members), array[pg_temp.user(2)], 'takes who left both, and nobody else');

-- ---- vendors of weddings, the vendor's row under a UUID
create table crm.suppliers (id uuid primary key, name text);
create table crm.bookings (deal integer, supplier uuid, does text, primary key (deal, supplier));
create table crm.dates (deal integer primary key, couple text);
insert into crm.dates values (1, 'Ana & Rui');
insert into crm.suppliers values (pg_temp.user(1), 'Blooms'), (pg_temp.user(2), 'Beats'), (pg_temp.user(3), 'Bites');
insert into crm.bookings values (1, pg_temp.user(1), 'florist'), (1, pg_temp.user(2), 'dj'), (1, pg_temp.user(3), 'caterer');
select automation.attach_source('crm.dates', '{"into": "weddings", "tenant": {"value": "10000000-0000-4000-8000-000000000001"}, "columns": {"title": "couple", "time_zone": {"value": "UTC"}}}'),
    automation.attach_source('crm.suppliers', '{"into": "vendors", "tenant": {"value": "10000000-0000-4000-8000-000000000001"}, "columns": {"name": "name", "kind": {"value": "other"}}}'),
    automation.attach_source('crm.bookings', '{"into": "wedding_vendors", "tenant": {"value": "10000000-0000-4000-8000-000000000001"}, "wedding": {"column": "deal", "of": "crm.dates"},
        "vendor": "supplier", "columns": {"role": "does"}}');
create function pg_temp.roles() returns text[] language sql as $$ select array(select role from automation.wedding_vendors order by role) $$;
select is(pg_temp.roles(), array['caterer', 'dj', 'florist'], 'vendors of a wedding');
select pg_temp.off();
delete from crm.bookings where does = 'dj';
update crm.bookings set does = 'stylist' where does = 'florist';
delete from crm.suppliers where name = 'Bites';
delete from crm.bookings where does = 'caterer';
select pg_temp.on();
select is(automation.repair_source('crm.bookings') + automation.repair_source('crm.suppliers'), 0, 'repairs');
select is(pg_temp.roles(), array['stylist'], 'find who is booked no more, and who does something else');
select is((select array_agg(name order by name) from automation.vendors), array['Beats', 'Blooms'], 'and a vendor that is gone');

-- ---- what a mapping keeps, a repair keeps
select automation.detach_source('crm.dates'), automation.attach_source('crm.dates', '{"into": "weddings", "on_delete": "keep", "tenant": {"value": "10000000-0000-4000-8000-000000000001"},
    "columns": {"title": "couple", "time_zone": {"value": "UTC"}}}');
update automation_priv.sources set state = 'off' where host_name = 'crm.dates';
delete from crm.dates;
select is(automation.repair_source('crm.dates'), 0, 'a repair of rows that are kept');
select is(pg_temp.live(), array['1 Ana & Rui', '1 Couple 21', '1 Own'], 'keeps them');
select * from finish();
rollback;
