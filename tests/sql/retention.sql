-- Retention: no table without a stated one; what a purge takes and what it leaves.
begin;
select plan(58);

select is_empty($$
    select format('%s.%s', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('automation', 'automation_priv') and c.relkind in ('r', 'p')
    except select table_name from automation_priv.retention
$$, 'every table is in the list: with a purge, or with the reason why it needs none');
select is_empty($$
    select c.relname from pg_class c where c.relnamespace = 'automation_part'::regnamespace and c.relkind in ('r', 'p')
    except select leaf from automation_priv.log_partitions
$$, 'every leaf of the log is in the book');
select is_empty($$ select table_name from automation_priv.retention where to_regclass(table_name) is null $$, 'every table of the list exists');
select is_empty($$ select table_name from automation_priv.retention where length(reason) < 10 $$, 'with a reason');
\set operations `cat OPERATIONS.md`
select is_empty(format($$ select table_name from automation_priv.retention where keep is not null and strpos(%L, format('| `%%s` |', table_name)) = 0 $$, :'operations'),
    'what is purged stands in OPERATIONS.md');
create table automation_priv.forgotten (a integer);
select isnt_empty($$
    select format('%s.%s', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('automation', 'automation_priv') and c.relkind in ('r', 'p')
    except select table_name from automation_priv.retention
$$, 'a table that nobody stated anything about is found');
drop table automation_priv.forgotten;

-- ---- what a purge takes
select lives_ok($$ select automation_priv.leader_take('test') $$);
create function pg_temp.purge_all() returns bigint language plpgsql as $$
declare r record; v_after text := ''; n bigint := 0;
begin
    loop
        select * into r from automation_priv.purge((select term from automation_priv.leader), v_after);
        exit when not found;
        n := n + r.purged;
        if not r.more then v_after := r.table_name; end if;
    end loop;
    return n;
end $$;
select throws_ok($$ select automation_priv.purge(0, '') $$, 'U0001', 'term 0 has ended', 'only the leader purges');
select is(pg_temp.purge_all(), 0::bigint, 'every statement of the list runs, and an empty database has nothing to purge');

create function pg_temp.i(text) returns uuid language sql as $$ select ('70000000-0000-4000-8000-0000000000' || $1)::uuid $$;
insert into automation.tenants (tenant_id, name) values (pg_temp.i('01'), 'Studio');
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date) values
    (pg_temp.i('01'), pg_temp.i('10'), 'over', 'completed', 'UTC', current_date - 800),
    (pg_temp.i('01'), pg_temp.i('11'), 'to come', 'booked', 'UTC', current_date + 100),
    (pg_temp.i('01'), pg_temp.i('12'), 'just over', 'completed', 'UTC', current_date - 100),
    (pg_temp.i('01'), pg_temp.i('13'), 'no date', 'inquiry', 'UTC', null);
create function pg_temp.run(p_id text, p_wedding text, p_state text, p_age interval, p_revision bigint default 9) returns void language sql as $$
    insert into automation.runs (tenant_id, run_id, rule_id, rule_revision, wedding_id, trigger_type, trigger_ref, due_at, state, started_at, finished_at)
    values (pg_temp.i('01'), pg_temp.i(p_id), pg_temp.i('99'), p_revision, pg_temp.i(p_wedding), 'event', pg_temp.i('00'), now() - p_age, p_state,
        now() - p_age, case when p_state <> 'running' then now() - p_age end)
$$;
select pg_temp.run('20', '10', 'succeeded', '14 months');
select pg_temp.run('21', '10', 'succeeded', '12 months');
select pg_temp.run('22', '10', 'running', '14 months');
select pg_temp.run('23', '11', 'succeeded', '14 months');
select pg_temp.run('24', '12', 'succeeded', '14 months');
select pg_temp.run('25', '13', 'succeeded', '14 months');
select pg_temp.run('26', '10', 'failed', '14 months');
select pg_temp.run('27', '10', 'failed', '14 months');
select pg_temp.run('28', null, 'succeeded', '14 months');
select pg_temp.run('29', '10', 'failed', '14 months');
insert into automation_priv.ledger (job_id, tenant_id, run_id, wedding_id, accepted_at, accepted_day, timeout_ms, max_attempts, kind, queue, effect_key, aside)
values (pg_temp.i('30'), pg_temp.i('01'), pg_temp.i('26'), pg_temp.i('10'), now(), current_date - 1400, 1000, 1, 'noop', 'default', pg_temp.i('30'), true);
insert into automation.dead_letters (tenant_id, job_id, kind, queue, reason, attempt, crashes, run_id, effect_key, accepted_at, died_at, replayed_as, discarded_at)
select pg_temp.i('01'), pg_temp.i(x.id), 'noop', 'default', 'exhausted', 1, 0, pg_temp.i(x.run), pg_temp.i('00'), now(), now() - x.age, pg_temp.i(x.replay), x.gone
from (values ('40', '27', interval '14 months', null, null), ('41', '29', '14 months', null, now()), ('42', null, '14 months', '30', null),
    ('43', null, '14 months', '40', null), ('44', null, '14 months', '4f', null), ('45', null, '1 month', null, now())) x(id, run, age, replay, gone);
select is(pg_temp.purge_all(), 5::bigint, 'old rows go');
select set_eq($$ select right(run_id::text, 2) from automation.runs $$, array['21', '22', '23', '24', '25', '26', '27'],
    'runs: not young or running ones, those of a wedding to come or just over, of an unfinished job, of an open dead letter');
select set_eq($$ select right(job_id::text, 2) from automation.dead_letters $$, array['40', '42', '43', '45'],
    'dead letters: not open ones, those whose replay is unfinished or is an open dead letter, young ones');

-- rule versions
create function pg_temp.rule(n integer) returns jsonb language sql as $$
    select jsonb_build_object('schema_version', 1, 'name', 'r' || n, 'trigger', '{"type": "manual"}'::jsonb, 'actions', '[{"type": "stop"}]'::jsonb) $$;
insert into automation.rules (tenant_id, rule_id, name, definition) values (pg_temp.i('01'), pg_temp.i('99'), 'r', pg_temp.rule(1));
update automation.rules set definition = pg_temp.rule(2);
update automation.rules set definition = pg_temp.rule(3);
update automation.rules set definition = pg_temp.rule(4), validated_revision = 3;
update automation.rules set definition = pg_temp.rule(5);
update automation.rule_versions set created_at = now() - interval '3 years';
select pg_temp.run('2a', '11', 'succeeded', '1 day', 2);
select is(pg_temp.purge_all(), 1::bigint, 'an old version goes');
select set_eq($$ select revision from automation.rule_versions $$, array[2, 3, 4, 5]::bigint[],
    'not one that a run is pinned to, nor those from the one in force on');
delete from automation.runs where run_id = pg_temp.i('2a');
update automation.rule_versions set created_at = now() - interval '1 year' where revision >= 3;
select is(pg_temp.purge_all(), 0::bigint, 'nor one that was in force not long ago');
update automation.rule_versions set created_at = now() - interval '3 years' where revision = 3;
select is(pg_temp.purge_all(), 1::bigint, 'then it goes');

-- events, keys, counters, quarantine
insert into automation.trigger_events (tenant_id, event_id, event_type, wedding_id, payload, hops, occurred_at, dispatched_at)
select pg_temp.i('01'), pg_temp.i(x.id), 'a.b', pg_temp.i(x.wedding), '{}', 0, now(), now() - x.age
from (values ('50', '10', interval '14 months'), ('51', '11', '14 months'), ('52', '11', '12 months'), ('53', null, '14 months')) x(id, wedding, age);
select is(pg_temp.purge_all(), 2::bigint, 'old events go');
select set_eq($$ select right(event_id::text, 2) from automation.trigger_events $$, array['50', '52'],
    'not where a running run of the wedding may look back');
insert into automation_priv.unique_keys (tenant_id, kind, key, job_id, held_until) values
    (pg_temp.i('01'), 'noop', 'held', pg_temp.i('00'), null), (pg_temp.i('01'), 'noop', 'over', pg_temp.i('00'), now() - interval '2 hours'),
    (pg_temp.i('01'), 'noop', 'still', pg_temp.i('00'), now() + interval '2 hours');
insert into automation.job_counts (tenant_id, day, outcome, n) values
    (pg_temp.i('01'), current_date - 1400, 'accepted', 1), (pg_temp.i('01'), current_date - 1401, 'accepted', 1), (pg_temp.i('01'), current_date - 1401, 'done', 1),
    (pg_temp.i('01'), current_date - 900, 'accepted', 1);
insert into automation_priv.log_quarantine (reason, row_data, at) values ('x', '{}', now() - interval '14 months'), ('x', '{}', now());
select is(pg_temp.purge_all(), 4::bigint, 'keys, counters and quarantine');
select set_eq($$ select key from automation_priv.unique_keys $$, array['held', 'still'], 'a held key stays');
select set_eq($$ select current_date - day from automation.job_counts $$, array[1400, 900], 'and a day with an unfinished job');

-- batches, configuration
update automation_priv.retention set keep = '1 day', batch = 2 where table_name = 'automation.runs';
insert into automation.runs select (r).* from (select jsonb_populate_record(x, jsonb_build_object('run_id', gen_random_uuid())) as r
    from automation.runs x, generate_series(1, 5) where x.run_id = pg_temp.i('21')) y;
select results_eq($$ select purged, more from automation_priv.purge((select term from automation_priv.leader), 'automation.rule_versions') $$,
    $$ values (2, true) $$, 'one batch at a time');
select is(pg_temp.purge_all(), 5::bigint, 'until all that is older than what was configured is gone');
select throws_ok($$ update automation_priv.retention set keep = '0' where table_name = 'automation.runs' $$, '23514');
-- ---- each table of the list ------------------------------------------------------------------------------------------------------------
-- How rows get into it, whose stamp is $1 and that nothing but their age keeps. A table that is purged has its line here.
create temporary sequence revision;
create temporary table cases (table_name text primary key, cols text not null, vals text not null);
insert into cases values
('automation.runs', '(tenant_id, run_id, rule_id, rule_revision, trigger_type, trigger_ref, due_at, state, started_at, finished_at)',
    $$ gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 'manual', gen_random_uuid(), $1, 'succeeded', $1, $1 $$),
('automation.rule_versions', '(tenant_id, rule_id, revision, definition, created_at)', $$ pg_temp.i('02'), pg_temp.i('98'), nextval('pg_temp.revision'), '{}', $1 $$),
('automation.dead_letters', '(tenant_id, job_id, kind, queue, reason, attempt, crashes, effect_key, accepted_at, died_at, discarded_at)',
    $$ gen_random_uuid(), gen_random_uuid(), 'noop', 'default', 'exhausted', 1, 0, gen_random_uuid(), $1, $1, $1 $$),
('automation.job_counts', '(tenant_id, day, outcome, n)', $$ gen_random_uuid(), ($1 at time zone 'UTC')::date, 'done', 1 $$),
('automation.execution_rollup', '(tenant_id, rule_id, hour, kind, n, done, failed, dead, unrun, took_us)',
    $$ gen_random_uuid(), gen_random_uuid(), $1, 'noop', 1, 1, 0, 0, 0, 1 $$),
('automation.vendor_rollup', '(tenant_id, vendor_id, day, asked, confirmed)', $$ gen_random_uuid(), gen_random_uuid(), ($1 at time zone 'UTC')::date, 1, 0 $$),
('automation.trigger_events', '(tenant_id, event_id, event_type, payload, hops, occurred_at, dispatched_at)',
    $$ gen_random_uuid(), gen_random_uuid(), 'a.b', '{}', 0, $1, $1 $$),
('automation.rule_activations', '(tenant_id, rule_id, at, live, reason)', $$ gen_random_uuid(), gen_random_uuid(), $1, true, 'activated' $$),
('automation.approvals', '(tenant_id, approval_id, run_id, rule_id, step, kind, content, state, requested_at, expires_at)',
    $$ gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 'send_email', '{}', 'approved', $1, $1 $$),
('automation.integration_events', '(tenant_id, event_id, system, direction, event_type, status, at)',
    $$ gen_random_uuid(), gen_random_uuid(), 'crm', 'inbound', 'a.b', 'published', $1 $$),
('automation_priv.unique_keys', '(tenant_id, kind, key, job_id, held_until)', $$ gen_random_uuid(), 'noop', 'k', gen_random_uuid(), $1 $$),
('automation_priv.log_quarantine', '(reason, row_data, at)', $$ 'x', '{}', $1 $$),
('automation_priv.log_stage', '(batch_id, tenant_id, queued_at, execution_id, job_id, duration_us, attempt, outcome, kind, queue)',
    $$ gen_random_uuid(), gen_random_uuid(), $1, gen_random_uuid(), gen_random_uuid(), 1, 1, 0, 'noop', 'default' $$),
('automation_priv.source_errors', '(source_id, at, sqlstate, message)', $$ gen_random_uuid(), $1, '22000', 'x' $$),
('automation_priv.herds', '(minute, seconds)', $$ $1 + n * interval '1 microsecond', 1 $$),
('automation_priv.outbox_quarantine', '', $$ (jsonb_populate_record(null::automation_priv.outbox, jsonb_build_object('id', n, 'event_id', gen_random_uuid(),
    'tenant_id', gen_random_uuid(), 'event_type', 'a.b', 'payload', '{}'::jsonb, 'hops', 0, 'marks', 0, 'txid', '1', 'occurred_at', $1, 'available_at', $1))).*, $1 $$);
select set_eq('select table_name from cases', 'select table_name from automation_priv.retention where keep is not null',
    'each table that is purged has a case, and no other');

create function pg_temp.fill(p_table text, p_stamp timestamptz, p_rows integer) returns void language plpgsql as $$
declare c cases;
begin
    select * into c from cases x where x.table_name = p_table;
    set local session_replication_role = replica; -- the row alone, without the tenant and the rule that it belongs to
    execute format('insert into %s %s select %s from generate_series(1, %s) n', p_table, c.cols, c.vals, p_rows) using p_stamp;
    set local session_replication_role = origin;
end $$;
-- Of one row on either side of the instant: how many went, and how many of each are left beyond those that were there.
create function pg_temp.around(p_table text) returns text language plpgsql as $$
declare
    r automation_priv.retention;
    v_cut timestamptz;
    v_count text;
    v_was bigint[];
    v_is bigint[];
    v_purged bigint := 0;
    p record;
begin
    select * into r from automation_priv.retention x where x.table_name = p_table;
    v_cut := ((clock_timestamp() at time zone 'UTC') - r.keep) at time zone 'UTC';
    v_count := format('select array[count(*) filter (where %s < $1), count(*) filter (where %1$s >= $1)] from %s t', r.stamp, p_table);
    execute v_count into v_was using v_cut;
    perform pg_temp.fill(p_table, v_cut - least('1 day', r.keep / 2), 1), pg_temp.fill(p_table, v_cut + least('1 day', r.keep / 2), 1);
    loop
        select * into p from automation_priv.purge((select term from automation_priv.leader),
            coalesce((select max(x.table_name) from automation_priv.retention x where x.keep is not null and x.table_name < p_table), ''));
        if p.table_name <> p_table then return 'purged ' || p.table_name; end if;
        v_purged := v_purged + p.purged;
        exit when not p.more;
    end loop;
    execute v_count into v_is using v_cut;
    return format('%s went, %s old and %s young left', v_purged, v_is[1] - v_was[1], v_is[2] - v_was[2]);
end $$;
-- What follows the old version: old as well, and itself the last.
insert into automation.rules (tenant_id, rule_id, name, definition) values (pg_temp.i('01'), pg_temp.i('98'), 'r', pg_temp.rule(1));
select setval('pg_temp.revision', 1);
set local session_replication_role = replica;
insert into automation.rule_versions (tenant_id, rule_id, revision, definition, created_at) values (pg_temp.i('02'), pg_temp.i('98'), 1000000, '{}', now() - interval '9 years');
set local session_replication_role = origin;
select is(pg_temp.around(table_name), '1 went, 0 old and 1 young left', table_name || ': what is old goes, what is young stays') from cases order by 1;

-- ---- what a purge reads -----------------------------------------------------------------------------------------------------------------
-- Of a big table in which nothing is old: pages that its statement asks for, and those that the table has.
create function pg_temp.reads(p_table text) returns table (pages bigint, of_pages bigint) language plpgsql as $$
declare
    r automation_priv.retention;
    v_plan json;
begin
    select * into r from automation_priv.retention x where x.table_name = p_table;
    execute 'explain (analyze, buffers, timing off, format json) ' || replace(automation_priv.purge_statement(r), '$1',
        format('%L::timestamptz', clock_timestamp() - r.keep)) into v_plan;
    return query select (v_plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::bigint + (v_plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::bigint,
        pg_relation_size(p_table) / 8192;
end $$;
create temporary view big as select table_name from cases where table_name <> 'automation_priv.log_stage'; -- which is empty between transactions
create function pg_temp.fill_big() returns void language plpgsql as $$
declare t text;
begin
    for t in select table_name from big loop
        execute 'reindex table ' || t; -- what other tests rolled back stands in the indexes until a vacuum
        perform pg_temp.fill(t, now(), 20000);
        execute 'analyze ' || t;
    end loop;
end $$;
truncate automation_priv.ledger; -- and in the ledger, which some statements ask
select pg_temp.fill_big();
create temporary table read as select b.table_name, r.* from big b, pg_temp.reads(b.table_name) r order by 1;
select ok(pages * 5 <= of_pages, format('%s: its purge does not read it all: %s pages of %s', table_name, pages, of_pages)) from read;
drop index automation.approvals_requested;
select ok(pages * 5 > of_pages, format('noticed: no index by the stamp: %s pages of %s', pages, of_pages)) from pg_temp.reads('automation.approvals');

-- ---- a stepped clock
insert into automation_priv.log_quarantine (reason, row_data, at) values ('x', '{}', now() - interval '14 months');
select automation_priv.clock_set(now());
select is(pg_temp.purge_all(), 0::bigint, 'nothing is purged on a stepped clock');

select * from finish();
rollback;
