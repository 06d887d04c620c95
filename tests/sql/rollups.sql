-- Rollups: every logged row counted once, by tenant, rule, hour and kind; histograms that agree with common/core/hist.c.
begin;
select plan(21);

-- ---- histograms: the pairs are those of tests/unit/test_hist.c ------------------------------------------------------------------------
select results_eq($$ select automation_priv.hist_bucket(v) from (values (-5::bigint), (0), (3), (4), (7), (8), (1000), (50000), (7::bigint << 39), (9223372036854775807)) x(v) $$,
    array[0, 0, 3, 4, 7, 8, 35, 58, 163, 163], 'buckets: four to an octave, the last takes the rest');
select is_empty($$ select v from generate_series(0, 100000) v where automation_priv.hist_bucket(v) <> case when v < 4 then v else
    ((floor(log(2.0, v::numeric))::integer - 1) * 4 + (v >> (floor(log(2.0, v::numeric))::integer - 2)) % 4) end and v & (v - 1) <> 0 $$,
    'the bucket is that of the formula');
select is_empty($$ select b from generate_series(0, 163) b where automation_priv.hist_bucket(automation_priv.hist_value(b)) <> b $$, 'a bucket''s value lies in it');
select is(automation_priv.hist_bucket(null), null, 'no value has no bucket');
select is(automation_priv.hist_add('[5:6]={1,2}', '[3:5]={7,0,1}'), '[3:6]={7,NULL,2,2}', 'histograms are added bucket by bucket');
select is((select automation_priv.hist_sum(h) from (values ('[5:5]={1}'::integer[]), (null), ('[5:5]={2}')) x(h)), '[5:5]={3}', 'and summed over rows; none counts nothing');
select results_eq($$ select automation_priv.hist_percentile(format('[35:58]={90,%s10}', repeat('0,', 22))::integer[], p) from (values (0::float), (0.5), (0.9), (0.91), (1)) x(p) $$,
    array[959::bigint, 959, 959, 53247, 53247], 'percentiles are the bucket that reaches the share');

-- ---- what merge_logs counts --------------------------------------------------------------------------------------------------------------
select automation_priv.ensure_partitions('2031-03-01', '2031-03-01');
create temporary table t as select '00000000-0000-0000-0000-0000000000a1'::uuid as tenant, '00000000-0000-0000-0000-0000000000f1'::uuid as rule,
    gen_random_uuid() as batch, '2031-03-01 10:59:59.999999+00'::timestamptz as at;
insert into automation.tenants (tenant_id, name) select tenant, 'Rollups' from t;
insert into automation.rules (tenant_id, rule_id, name, definition) select tenant, rule, 'R', '{"schema_version": 1, "name": "r", "trigger": {"type": "milestone", "milestone": "ceremony"}, "actions": [{"type": "stop"}]}' from t;
update automation.rules r set trigger_type = 'milestone' from t where r.rule_id = t.rule;

create function pg_temp.stage(p_outcome integer, p_us bigint, p_late interval, p_id uuid default gen_random_uuid(), p_rule boolean default true,
    p_after interval default '0') returns void language sql as $$
    insert into automation_priv.log_stage (batch_id, tenant_id, queued_at, execution_id, job_id, rule_id, due_at, started_at, duration_us, attempt, outcome, kind, queue)
    select batch, tenant, at + p_after, p_id, p_id, case when p_rule then rule end, at - p_late, case when p_us is not null then at end, coalesce(p_us, 0), 1,
        p_outcome::smallint, case when p_rule then 'send_email' else 'noop' end, 'default' from t
$$;
select pg_temp.stage(0, 1000, '2 ms', '00000000-0000-0000-0000-0000000000e1'), pg_temp.stage(0, 1000, '2 ms'), pg_temp.stage(1, 50000, '1 s'),
    pg_temp.stage(2, 9, null), pg_temp.stage(5, null, null), pg_temp.stage(7, 9, null), pg_temp.stage(0, 10, null, p_rule => false),
    pg_temp.stage(0, 9, null, p_after => '1 microsecond');
select is(automation_priv.merge_logs((select batch from t)), 8, 'eight rows are logged');
select is((select count(*)::integer from automation_priv.rollup_deltas), 1, 'and appended as one row of deltas');
select is((select n from automation_priv.rollup_deltas), 8, 'of eight groups');
select pg_temp.stage(0, 1000, '2 ms', '00000000-0000-0000-0000-0000000000e1');
select is(automation_priv.merge_logs((select batch from t)), 0, 'a row that stands is not logged again');
select is((select count(*)::integer from automation_priv.rollup_deltas), 1, 'and not counted again');
select is(automation_priv.fold_rollups(1), 8, 'a fold takes whole batches');
select is(automation_priv.fold_rollups(1), 0, 'once');

select results_eq($$ select hour, kind, trigger_type, trigger_name, n, done, failed, dead, unrun, took_us from automation.execution_rollup r, t
    where r.tenant_id = t.tenant order by rule_id, hour $$,
    $$ values ('2031-03-01 10:00+00'::timestamptz, 'noop', null, null, 1::bigint, 1::bigint, 0::bigint, 0::bigint, 0::bigint, 10::bigint),
        ('2031-03-01 10:00+00', 'send_email', 'milestone', 'ceremony', 6, 2, 1, 1, 1, 52018), ('2031-03-01 11:00+00', 'send_email', 'milestone', 'ceremony', 1, 1, 0, 0, 0, 9) $$,
    'a row for each tenant, rule, hour and kind, with the rule''s trigger');
select is((select (select sum(x) from unnest(took) x) from automation.execution_rollup r, t where r.rule_id = t.rule and hour = '2031-03-01 10:00+00'), 5::bigint,
    'durations of the five that ran');
select is((select automation_priv.hist_percentile(late, 1) from automation.execution_rollup r, t where r.rule_id = t.rule and hour = '2031-03-01 10:00+00'),
    automation_priv.hist_value(automation_priv.hist_bucket(1000000)), 'the latest began a second late');

select pg_temp.stage(0, 1000, '2 ms');
select automation_priv.merge_logs((select batch from t)), automation_priv.fold_rollups(100);
select results_eq($$ select n, done, automation_priv.hist_percentile(took, 0.5) from automation.execution_rollup r, t where r.rule_id = t.rule and hour = '2031-03-01 10:00+00' $$,
    $$ values (7::bigint, 3::bigint, automation_priv.hist_value(automation_priv.hist_bucket(1000))) $$, 'a later fold adds to the row');

-- ---- jobs that end without a run ------------------------------------------------------------------------------------------------------------
insert into automation_priv.ledger (job_id, tenant_id, due_at, accepted_at, accepted_day, timeout_ms, max_attempts, kind, queue, effect_key)
select '00000000-0000-0000-0000-0000000000c1', tenant, now(), now(), current_date, 1000, 1, 'noop', 'default', gen_random_uuid() from t;
select automation_priv.end_unrun(array['00000000-0000-0000-0000-0000000000c1'::uuid], 'cancelled', 'test', 3::smallint);
select is(automation_priv.fold_rollups(100), 1, 'end_unrun counts what it logs');
select results_eq($$ select n, unrun, took is null and late is null from automation.execution_rollup r, t where r.tenant_id = t.tenant and hour > '2026-01-01'
    and hour < '2031-01-01' $$, $$ values (1::bigint, 1::bigint, true) $$, 'as not run, without a duration');

select is((select count(*) from automation.execution_logs l, t where l.tenant_id = t.tenant)::bigint,
    (select sum(n) from automation.execution_rollup r, t where r.tenant_id = t.tenant)::bigint, 'every log row is counted once');
select * from finish();
rollback;
