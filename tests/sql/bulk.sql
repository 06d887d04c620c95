-- A bulk statement costs one call of each trigger that watches the table, however many rows it has: the host's tables and ours.
begin;
select plan(8);
set local track_functions = 'all';
insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio');
create schema host;
create table host.couples (id integer primary key, names text, day date);
select automation.attach_source('host.couples', '{"into": "weddings", "tenant": {"value": "10000000-0000-4000-8000-000000000001"},
    "columns": {"title": "names", "ceremony_date": "day", "time_zone": {"value": "UTC"}}, "events": [{"on": "update", "type": "couple.changed"}], "on_delete": "delete"}');

-- Calls that a statement costs of the trigger functions that are called once a statement.
create function pg_temp.calls() returns table (f text, n bigint) language sql as $$
    select p.proname::text, coalesce(pg_stat_get_xact_function_calls(p.oid), 0) from pg_proc p
    where p.pronamespace = 'automation_priv'::regnamespace and p.oid in (select tgfoid from pg_trigger where tgtype & 1 = 0 and not tgisinternal)
$$;
create function pg_temp.cost(p_sql text) returns table (f text, n bigint) language plpgsql as $$
begin
    create temporary table before on commit drop as select * from pg_temp.calls();
    execute p_sql;
    return query select a.f, a.n - b.n from pg_temp.calls() a join before b using (f) where a.n > b.n;
    drop table before;
end $$;
select results_eq($$ select n from pg_temp.cost('insert into host.couples select i, ''couple '' || i, ''2031-06-01'' from generate_series(1, 500) i') where f = 'source_changed' $$,
    array[1::bigint], 'an INSERT of 500 host rows: one call');
select is((select count(*) from automation.weddings), 500::bigint, 'and 500 weddings');
select results_eq($$ select n from pg_temp.cost('update host.couples set day = day + 7') where f = 'source_changed' $$, array[1::bigint], 'an UPDATE: one call');
select is((select count(*) from automation.weddings where ceremony_date = '2031-06-08'), 500::bigint, 'and 500 new dates');
select results_eq($$ select n from pg_temp.cost('delete from host.couples where id > 400') where f = 'source_changed' $$, array[1::bigint], 'a DELETE: one call');
-- Of ours: as many calls for all rows as for one.
select set_eq($$ select c::text from pg_temp.cost('update automation.weddings set ceremony_date = ceremony_date + 1') c $$,
    array(select c::text from pg_temp.cost('update automation.weddings set ceremony_date = ceremony_date + 1 where wedding_id = (select min(wedding_id::text)::uuid from automation.weddings)') c),
    'an UPDATE of 400 weddings costs the calls that one of them costs');
insert into automation.rules (tenant_id, rule_id, name, definition) select '10000000-0000-4000-8000-000000000001', gen_random_uuid(), 'r',
    '{"schema_version": 1, "name": "r", "trigger": {"type": "manual"}, "actions": [{"type": "stop"}]}' from generate_series(1, 100);
select set_eq($$ select c::text from pg_temp.cost('update automation.rules set status = ''paused''') c $$,
    array(select c::text from pg_temp.cost('update automation.rules set status = ''paused'' where rule_id = (select min(rule_id::text)::uuid from automation.rules)') c),
    'and of 100 rules, too');

create trigger each_row after insert on host.couples for each row execute function automation_priv.source_changed();
select cmp_ok((select n from pg_temp.cost('insert into host.couples select i, ''couple '' || i, ''2031-06-01'' from generate_series(501, 510) i') where f = 'source_changed'),
    '>', 1::bigint, 'noticed: a call for each row');
select * from finish();
rollback;
