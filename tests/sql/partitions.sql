-- The log's months: bounds, missing ones, quarantine and replay, the runway, when a month is due, which moves a leaf may make, what its digest tells.
begin;
select plan(60);

-- ---- bounds are UTC's months, whatever the session's zone
create function pg_temp.bounds(p_zone text, p_month date) returns text language plpgsql as $$
declare v_leaf text;
begin
    perform set_config('TimeZone', p_zone, true);
    v_leaf := automation_priv.ensure_partition(p_month);
    perform set_config('TimeZone', 'UTC', true);
    return (select format('%s %s %s', v_leaf, p.lo, p.hi) from automation_priv.log_partitions p where p.leaf = v_leaf);
end $$;
select is(pg_temp.bounds(zone, month), wanted, zone || ' ' || month) from (values
    ('UTC', date '2035-01-31', 'execution_logs_2035_01 2035-01-01 00:00:00+00 2035-02-01 00:00:00+00'),
    ('Pacific/Kiritimati', '2035-02-01', 'execution_logs_2035_02 2035-02-01 00:00:00+00 2035-03-01 00:00:00+00'),
    ('America/New_York', '2035-03-31', 'execution_logs_2035_03 2035-03-01 00:00:00+00 2035-04-01 00:00:00+00'),
    ('Europe/Lisbon', '2036-02-29', 'execution_logs_2036_02 2036-02-01 00:00:00+00 2036-03-01 00:00:00+00'),
    ('Australia/Lord_Howe', '2035-12-15', 'execution_logs_2035_12 2035-12-01 00:00:00+00 2036-01-01 00:00:00+00')) x(zone, month, wanted);
select is(pg_temp.bounds('America/New_York', '2035-03-01'), null, 'and once');
set local timezone = 'America/Los_Angeles';
select is(automation_priv.ensure_partitions('2035-11-30 23:59:59.999999+00', '2035-11-30 23:59:59.999999+00'), 2, 'the last instant of a month belongs to it');
set local timezone = 'UTC';
select set_eq($$ select leaf from automation_priv.log_partitions where lo >= '2035-10-01' and lo < '2037-01-01' $$,
    array['execution_logs_2035_11', 'execution_logs_2035_12', 'execution_logs_2036_01', 'execution_logs_2036_02'], 'that month and the three after it');

create function pg_temp.put(p_at timestamptz) returns text language sql as $$
    insert into automation.execution_logs (tenant_id, queued_at, execution_id, job_id, duration_us, attempt, outcome, kind, queue)
    values ('00000000-0000-0000-0000-000000000000', p_at, gen_random_uuid(), gen_random_uuid(), 1, 1, 1, 'noop', 'default') returning tableoid::regclass::text
$$;
select is(pg_temp.put(at), 'automation_part.' || leaf, at::text) from (values
    (timestamptz '2035-11-30 23:59:59.999999+00', 'execution_logs_2035_11'), ('2035-12-01 00:00+00', 'execution_logs_2035_12'),
    ('2035-12-31 23:59:59.999999+00', 'execution_logs_2035_12'), ('2036-01-01 00:00+00', 'execution_logs_2036_01'),
    ('2036-02-29 23:59:59.999999+00', 'execution_logs_2036_02'), ('2035-03-11 02:30-05', 'execution_logs_2035_03')) x(at, leaf);
select throws_ok($$ select pg_temp.put('2039-01-01') $$, '23514', null, 'there is no partition that takes everything');

-- ---- a month without a partition
insert into automation.tenants (tenant_id, name) values ('80000000-0000-4000-8000-000000000001', 'Studio');
insert into automation_priv.log_stage (batch_id, tenant_id, queued_at, execution_id, job_id, duration_us, attempt, outcome, kind, queue, detail)
select '80000000-0000-4000-8000-0000000000ba', '80000000-0000-4000-8000-000000000001', at, gen_random_uuid(), gen_random_uuid(), 7, 1, 1, 'noop', 'default', '{"a": [1]}'
from (values (timestamptz '2035-11-15 00:00+00'), ('2039-05-01 00:00+00'), ('2039-05-31 23:59:59.999999+00')) x(at);
select is(automation_priv.merge_logs('80000000-0000-4000-8000-0000000000ba'), 1, 'what has a month is logged');
select results_eq($$ select count(*)::integer, min(reason) from automation_priv.log_quarantine $$, $$ values (2, 'no partition for queued_at') $$,
    'what has none waits in quarantine');
select is_empty($$ select from automation_priv.log_stage $$, 'and nothing stays behind');
select results_eq($$ select * from automation_priv.replay_quarantine() $$, $$ values (0, 0) $$, 'nothing to replay yet');
select is(automation_priv.ensure_partition('2039-05-01'), 'execution_logs_2039_05');
select results_eq($$ select * from automation_priv.replay_quarantine(1) $$, $$ values (1, 0) $$, 'one at a time');
select results_eq($$ select * from automation_priv.replay_quarantine() $$, $$ values (1, 0) $$, 'and the other');
select results_eq($$ select count(*)::integer, min(duration_us), min(detail::text) from automation.execution_logs where queued_at >= '2039-01-01' $$,
    $$ values (2, 7::bigint, '{"a": [1]}') $$, 'as they were');

-- ended without having run, in a month without a partition
insert into automation_priv.ledger (job_id, tenant_id, due_at, accepted_at, accepted_day, timeout_ms, max_attempts, kind, queue, effect_key, bare_at, bare_id)
values ('80000000-0000-4000-8000-0000000000c1', '80000000-0000-4000-8000-000000000001', now(), now(), current_date, 1000, 1, 'noop', 'default',
    '80000000-0000-4000-8000-0000000000c1', '2039-07-07 07:07:07+00', '80000000-0000-4000-8000-0000000000c2');
select is(automation_priv.end_unrun(array['80000000-0000-4000-8000-0000000000c1'::uuid], 'skipped', 'expired', 6::smallint), 1);
select is((select row_data ->> 'queued_at' from automation_priv.log_quarantine), '2039-07-07T07:07:07+00:00');
select is(automation_priv.ensure_partition('2039-07-01'), 'execution_logs_2039_07');
select results_eq($$ select * from automation_priv.replay_quarantine() $$, $$ values (1, 0) $$, 'a job that ended unrun is replayable too');
select results_eq($$ select execution_id, job_id, outcome, reason, kind from automation.execution_logs where queued_at >= '2039-07-01' $$,
    $$ values ('80000000-0000-4000-8000-0000000000c2'::uuid, '80000000-0000-4000-8000-0000000000c1'::uuid, 6::smallint, 'expired', 'noop') $$, 'with its key');
insert into automation_priv.log_quarantine (reason, row_data) values ('value refused by the log', '{"queued_at": "2039-07-01"}');
select results_eq($$ select * from automation_priv.replay_quarantine() $$, $$ values (0, 0) $$, 'what the log refused is not tried again');

-- ---- the runway
select is(automation_priv.log_runway('2035-11-05'), '2036-03-01 00:00+00'::timestamptz, 'up to the first gap');
select is(automation_priv.log_runway('2035-04-05'), null, 'no partition at all');
update automation_priv.log_partitions set state = 'detaching' where leaf = 'execution_logs_2036_01';
select is(automation_priv.log_runway('2035-11-05'), '2036-01-01 00:00+00'::timestamptz, 'what is being detached does not count');
update automation_priv.log_partitions set state = 'restored' where leaf = 'execution_logs_2036_01';
select is(automation_priv.log_runway('2035-11-05'), '2036-03-01 00:00+00'::timestamptz, 'what was restored does');
update automation_priv.log_partitions set state = 'attached' where leaf = 'execution_logs_2036_01';

-- ---- when a month is due: its end is twelve months past, to the microsecond, in any zone
create function pg_temp.due(p_now timestamptz, p_zone text default 'UTC') returns text language plpgsql as $$
declare v text;
begin
    perform set_config('TimeZone', p_zone, true);
    select string_agg(d.leaf, ' ') into v from automation_priv.partitions_due(p_now, '12 months', '7 days') d where d.lo >= '2035-01-01';
    perform set_config('TimeZone', 'UTC', true);
    return coalesce(v, '');
end $$;
select is(pg_temp.due(now, zone), wanted, now || ' ' || zone) from (values
    (timestamptz '2036-01-31 23:59:59.999999+00', 'UTC', ''), ('2036-02-01 00:00+00', 'UTC', 'execution_logs_2035_01'),
    ('2036-02-01 00:00+00', 'America/New_York', 'execution_logs_2035_01'), ('2036-01-31 23:59:59.999999+00', 'Pacific/Kiritimati', ''),
    ('2036-03-01 00:00+00', 'America/New_York', 'execution_logs_2035_01 execution_logs_2035_02'),
    ('2036-02-29 23:59:59.999999+00', 'Pacific/Kiritimati', 'execution_logs_2035_01'),
    ('2035-02-01 00:00+00', 'UTC', '')) x(now, zone, wanted);
-- 19:00 on the last of March in New York, where a month earlier is the end of February in UTC
set local timezone = 'America/New_York';
select is_empty($$ select from automation_priv.partitions_due('2035-03-31 23:00+00', '1 month', '7 days') where leaf = 'execution_logs_2035_02' $$,
    'months are counted on UTC''s calendar');
set local timezone = 'UTC';
update automation_priv.log_partitions set state = 'verified', changed_at = '2036-05-01 00:00+00', n_rows = 0, digest = '', sha256 = repeat('0', 64), bytes = 0
where leaf = 'execution_logs_2035_01';
select is((select step from automation_priv.partitions_due('2036-05-08 00:00+00', '12 months', '7 days') where leaf = 'execution_logs_2035_01'), 'drop',
    'what is verified is dropped when the grace period is over');
select is_empty($$ select from automation_priv.partitions_due('2036-05-07 23:59:59.999999+00', '12 months', '7 days') where leaf = 'execution_logs_2035_01' $$,
    'not before');
select is_empty($$ select from automation_priv.partitions_due('2036-04-01', '12 months', '7 days') where leaf = 'execution_logs_2035_01' $$,
    'and not when the clock was set back');
update automation_priv.log_partitions set state = 'restored', hold_until = '2040-01-01' where leaf = 'execution_logs_2035_01';
select is_empty($$ select from automation_priv.partitions_due('2039-12-31', '12 months', '7 days') where leaf = 'execution_logs_2035_01' $$, 'what was restored is held');

-- ---- moves
create temp table words(w) as values ('attached'), ('detaching'), ('detached'), ('exported'), ('verified'), ('dropped'), ('restored');
create function pg_temp.moves(p_from text, p_to text) returns boolean language plpgsql as $$
begin
    update automation_priv.log_partitions set state = p_from where leaf = 'execution_logs_2035_01';
    perform automation_priv.move_leaf('execution_logs_2035_01', p_from, p_to);
    return true;
exception when sqlstate '55000' then
    return false;
end $$;
create temp table bounds as select lo, hi from automation_priv.log_partitions where leaf = 'execution_logs_2035_01';
update automation_priv.log_partitions set lo = '2025-01-01', hi = '2025-02-01' where leaf = 'execution_logs_2035_01';
select set_eq($$ select a.w || ' ' || b.w from words a, words b where pg_temp.moves(a.w, b.w) $$,
    array['attached detaching', 'restored detaching', 'detaching detached', 'detached exported', 'exported verified', 'exported detached', 'verified detached',
        'verified dropped', 'detached restored', 'exported restored', 'verified restored', 'dropped restored'], 'a leaf makes these moves and no other');
update automation_priv.log_partitions p set lo = b.lo, hi = b.hi, state = 'attached' from bounds b where leaf = 'execution_logs_2035_01';
select throws_ok($$ select automation_priv.move_leaf('execution_logs_2035_01', 'attached', 'detaching') $$, '55000',
    'partition execution_logs_2035_01 is written to until its month is over', 'but never before its month is over');
update automation_priv.log_partitions set state = 'detached' where leaf = 'execution_logs_2035_01';
select throws_ok($$ select automation_priv.move_leaf('execution_logs_2035_01', 'exported', 'verified') $$, '55000',
    'partition execution_logs_2035_01 is not exported', 'from where it is');
select throws_ok($$ select automation_priv.drop_leaf('execution_logs_2035_01') $$, '55000', null, 'only what is verified is dropped');
update automation_priv.log_partitions set state = 'verified' where leaf = 'execution_logs_2035_01';
select throws_ok($$ select automation_priv.drop_leaf('execution_logs_2035_01') $$, '55000',
    'partition execution_logs_2035_01 is attached and not detached', 'and never what is attached, whatever the book says');
select throws_ok($$ update automation_priv.log_partitions set state = 'verified' where leaf = 'execution_logs_2035_02' $$, '23514', null,
    'nothing is verified without an archive');

-- ---- the digest
create temp table a (like automation.execution_logs);
create temp table b (like automation.execution_logs);
insert into a (tenant_id, queued_at, execution_id, job_id, duration_us, attempt, outcome, kind, queue, reason)
select md5((i % 2)::text)::uuid, now(), md5(i::text)::uuid, md5(i::text)::uuid, i, 1, 1, 'noop', 'default', case i when 3 then '' end from generate_series(1, 50) i;
insert into b select * from a order by duration_us desc;
create function pg_temp.facts(p regclass) returns text language sql as $$
    select f::text from automation_priv.leaf_facts(p, array['tenant_id', 'queued_at', 'execution_id', 'duration_us', 'reason']) f
$$;
select is(pg_temp.facts('a'), pg_temp.facts('b'), 'the order of rows does not matter');
update b set reason = null where reason = '';
select isnt(pg_temp.facts('a'), pg_temp.facts('b'), 'an empty text is not null');
select results_eq($$ select n_rows, digest, tenants from automation_priv.leaf_facts('automation_part.execution_logs_2036_01', array['tenant_id', 'kind']) where n_rows = 0 $$,
    $$ select 0::bigint, '0:0', '{}'::jsonb where false $$, 'a month with a row has one');

-- ---- statistics
select ok(automation_priv.analyze_logs(), 'the log''s statistics are made');
select ok(not automation_priv.analyze_logs(), 'once');
select isnt_empty($$ select from pg_statistic where starelid = 'automation.execution_logs'::regclass and stainherit $$, 'of the whole');
select is(automation_priv.ensure_partition('2041-01-01'), 'execution_logs_2041_01');
select ok(automation_priv.analyze_logs(), 'and again when a partition is new');
select ok(automation_priv.analyze_logs('-1 second'), 'or when they are old');

select * from finish();
rollback;
