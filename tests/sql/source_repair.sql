-- repair_source: rows noted, rows past the limit of notes, whole statements, and what was not seen while a source was off; detach_source of a table that is gone.
begin;
select plan(36);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio'), ('10000000-0000-4000-8000-000000000002', 'Other');
create schema host;
create table host.studios (id integer primary key, tenant uuid);
insert into host.studios values (1, '10000000-0000-4000-8000-000000000001'), (2, '10000000-0000-4000-8000-000000000002'), (3, null);
create domain host.name as text not null;
create table host.events (code char(6) primary key, studio integer, couple host.name, day text, other host.name default 'x');
create function pg_temp.attach() returns uuid language sql as $$ select automation.attach_source('host.events', '{"into": "weddings",
    "tenant": {"column": "studio", "lookup": {"table": "host.studios", "key": "id", "value": "tenant"}},
    "columns": {"title": "couple", "time_zone": {"value": "UTC"}, "ceremony_date": "day"}}') $$;
create function pg_temp.projected() returns bigint language sql as $$ select count(*) from automation.weddings w where w.status <> 'archived' $$;

-- ---- a backfill in which more rows are bad than are noted of a statement
insert into host.events select 'a' || i, case when i % 10 = 0 then 3 else 1 end, 'Couple ' || i, '2031-06-14' from generate_series(1, 1100) i;
select lives_ok('select pg_temp.attach()', 'a table with keys of fixed length, and domains that take no null');
select is(pg_temp.projected(), 990::bigint, 'all good rows are projected');
select is((select count(*) from automation_priv.source_errors where key is not null), 110::bigint, 'each bad one is noted, past the limit as well');
select is((select state from automation_priv.sources), 'on', 'so many values of rows switch nothing off');
select is(automation.repair_source('host.events'), 110, 'a repair while nothing was mended says so');
select is((select count(*) from automation_priv.source_errors), 110::bigint, 'and notes no row twice');
update host.studios set tenant = '10000000-0000-4000-8000-000000000002' where id = 3;
select is(automation.repair_source('host.events'), 0, 'a repair leaves nothing');
select is(pg_temp.projected(), 1100::bigint, 'every row is projected');
select results_eq($$ select state, reason, backfilled from automation_priv.sources $$, $$ values ('on', null::text, true) $$, 'and the source is on');
select is_empty('select from automation_priv.source_errors', 'without notes');

-- ---- a flood in one statement of the host's: rows that were not looked at, bad and good
insert into host.events select 'b' || i, 1, 'Couple ' || i, case when i <= 1000 then 'soon' else '2031-06-14' end from generate_series(1, 1200) i;
select is(pg_temp.projected(), 1100::bigint, 'none of a statement that is bad from its start');
update automation_priv.sources set state = 'off';
update host.events set day = '2031-06-15' where day = 'soon';
select is(pg_temp.projected(), 1100::bigint, 'nor what is written while the source is off');
select is(automation.repair_source('host.events'), 0, 'a repair');
select is(pg_temp.projected(), 2300::bigint, 'takes all rows past the limit');

-- ---- deletes past the limit: the rows are no longer there to be looked at
create function pg_temp.locked() returns trigger language plpgsql as $$ begin raise exception 'contracts are kept' using errcode = '23001'; end $$;
create trigger keep before update of status on automation.weddings for each row execute function pg_temp.locked();
delete from host.events where code like 'b%';
select results_eq($$ select count(key), sum(jsonb_array_length(old_row)) filter (where key is null) from automation_priv.source_errors $$, $$ values (100::bigint, 1100::bigint) $$,
    'what is past the limit is noted in lists');
drop trigger keep on automation.weddings;
select is(automation.repair_source('host.events'), 0, 'a repair');
select is(pg_temp.projected(), 1100::bigint, 'takes away what is gone');

-- ---- a whole statement: a column that is not there any more, and comes back
alter table host.events rename day to ceremony;
select lives_ok($$ update host.events set couple = 'Renamed' where code = 'a1' $$, 'the host writes on');
select results_eq($$ select key, sqlstate from automation_priv.source_errors $$, $$ values (null::jsonb, '42703') $$, 'the statement is noted');
select throws_ok($$ select automation.repair_source('host.events') $$, '42703', null, 'what can not be read can not be repaired');
alter table host.events rename ceremony to day;
select is(automation.repair_source('host.events', false), 0, 'a repair whose rows wait for the backfill');
select isnt_empty($$ select from automation.weddings where title = 'Couple 1' and wedding_id = automation_priv.derive('host', 'host.events', 'a1') $$, 'waits');
select is(automation.backfill_source('host.events', 100000), 1100, 'that');
select is_empty($$ select from automation.weddings where title = 'Couple 1' and wedding_id = automation_priv.derive('host', 'host.events', 'a1') $$, 'sees them');

-- ---- one row in several notes: it was good, was bad, moved, and is gone
update host.events set studio = 2, day = 'soon' where code = 'a2';
update host.events set day = 'later' where code = 'a2';
delete from host.events where code = 'a3';
insert into host.events values ('c1', 1, 'Gone', 'soon');
delete from host.events where code = 'c1';
select is((select count(distinct key) from automation_priv.source_errors), 2::bigint, 'two rows are noted');
select is(automation.repair_source('host.events'), 1, 'a row that is gone and never was read is forgotten');
update automation_priv.switches set host_tables = false;
update host.events set day = '2031-01-01' where code = 'a2';
update automation_priv.switches set host_tables = true;
select is(automation.repair_source('host.events'), 0, 'the other is mended');
select results_eq($$ select tenant_id, status from automation.weddings where wedding_id = automation_priv.derive('host', 'host.events', 'a2') order by 1 $$,
    $$ values ('10000000-0000-4000-8000-000000000001'::uuid, 'archived'), ('10000000-0000-4000-8000-000000000002', 'inquiry') $$, 'and gone from where it was');

-- ---- no arguments
select throws_ok($$ select automation.backfill_source(null) $$, '22023', 'NULL is not attached');
select throws_ok($$ select automation.repair_source(null) $$, '22023', 'NULL is not attached');
select throws_ok($$ select automation.detach_source(null) $$, '22023', 'NULL is not attached');
select throws_ok($$ select automation.backfill_source('host.events', null) $$, '22023', 'p_limit: found NULL, expected 1 to 100000 rows');
select throws_ok($$ select automation.backfill_source('host.events', 0) $$, '22023', 'p_limit: found 0, expected 1 to 100000 rows');
select throws_ok($$ select automation.repair_source('host.events', null) $$, '22023', 'repair_source: p_backfill is NULL, expected true or false');

-- ---- a table that is gone
select host_table::oid::text as gone from automation_priv.sources \gset
drop table host.events;
select lives_ok(format('select automation.detach_source(%L)', :'gone'), 'a table that was dropped is detached by its oid');
select is_empty('select from automation_priv.sources', 'and forgotten');
select * from finish();
rollback;
