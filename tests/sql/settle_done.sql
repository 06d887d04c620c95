-- The short way of settling, and which rows admission is given: turns, shares, heads of weddings.
begin;
select plan(21);
set local track_functions = 'all';

insert into automation.tenants (tenant_id, name)
select ('10000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'Studio ' || i from generate_series(1, 3) i;
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date)
values ('10000000-0000-4000-8000-000000000003', '20000000-0000-4000-8000-000000000001', 'A & B', 'booked', 'Europe/Lisbon', '2031-06-14');
select automation_priv.worker_register('50000000-0000-4000-8000-000000000001', 'w', 'default');

-- ---- settle_done
select ok(created, 'accepted') from automation.enqueue_job('noop', p_tenant => '10000000-0000-4000-8000-000000000001', p_job_id =>
    '40000000-0000-4000-8000-000000000001', p_unique_key => 'k', p_unique_for => '3 hours');
select is(automation.enqueue_jobs('[{"kind": "noop", "job_id": "40000000-0000-4000-8000-000000000002", "tenant": "10000000-0000-4000-8000-000000000001"},
    {"kind": "noop", "job_id": "40000000-0000-4000-8000-000000000003", "tenant": "10000000-0000-4000-8000-000000000001"}]'), 2, 'two more');
update automation_priv.ledger set bare_at = date_trunc('month', clock_timestamp()), bare_id = '70000000-0000-4000-8000-000000000003'
where job_id = '40000000-0000-4000-8000-000000000003';
insert into automation.execution_logs (tenant_id, queued_at, execution_id, job_id, duration_us, attempt, outcome, kind, queue)
select tenant_id, bare_at, bare_id, job_id, 0, 1, 0, kind, queue from automation_priv.ledger where bare_id is not null;
select is(count(*)::int, 3, 'all are claimed') from automation_priv.claim_jobs('50000000-0000-4000-8000-000000000001',
    array(select job_id from automation_priv.ledger), '{}', false);
select is(pg_stat_get_xact_function_calls('automation_priv.closed_ms'::regproc), null, 'no send window is looked up for jobs without one');
create temp table ids as select array_agg(job_id order by job_id) as a from automation_priv.ledger;

select results_eq($$ select result from automation_priv.settle_done('50000000-0000-4000-8000-000000000002', (select a from ids), '{1,1,1}') $$,
    array['lost_lease', 'lost_lease', 'lost_lease'], 'another worker settles nothing');
select results_eq($$ select job_id, result from automation_priv.settle_done('50000000-0000-4000-8000-000000000001', (select a from ids), '{1,2,1}')
    order by 1 $$, $$ values ('40000000-0000-4000-8000-000000000002'::uuid, 'lost_lease'), ('40000000-0000-4000-8000-000000000003', 'withdrawn') $$,
    'another claim number is not hit; an entry that was logged meanwhile is withdrawn; a hit is not named');
select results_eq($$ select accepted, done, in_flight, unaccounted from automation_priv.audit() $$, $$ values (2::bigint, 1::bigint, 1::bigint, 0::bigint) $$,
    'all are accounted for');
select ok(held_until - automation.now() between '2:59' and '3:00', 'the unique key is held for as long as was said') from automation_priv.unique_keys;
select is_empty($$ select from automation_priv.settle_done('50000000-0000-4000-8000-000000000001',
    array['40000000-0000-4000-8000-000000000002'::uuid], '{1}') $$, 'its own claim number settles it');

-- ---- due_jobs: 20 rows of the first tenant, 4 of the second
truncate automation_priv.ledger;
select automation.enqueue_jobs((select jsonb_agg(jsonb_build_object('kind', 'noop', 'tenant', '10000000-0000-4000-8000-00000000000' || case when i <= 20 then 1 else 2 end,
    'run_at', clock_timestamp() - interval '1 hour' + i * interval '1 second')) from generate_series(1, 24) i));
select results_eq($$ select right(tenant_id::text, 1) as t, count(*)::int from automation_priv.due_jobs('default', 8, 100) group by 1 order by 1 $$,
    $$ values ('1', 4), ('2', 4) $$, 'tenants get turns');
select results_eq($$ select right(tenant_id::text, 1) as t, count(*)::int from automation_priv.due_jobs('default', 100, 6) group by 1 order by 1 $$,
    $$ values ('1', 6), ('2', 4) $$, 'and none more than its share while others wait');
update automation_priv.ledger set owner = '50000000-0000-4000-8000-000000000001', claim_no = 1
where job_id in (select job_id from automation_priv.ledger where tenant_id = '10000000-0000-4000-8000-000000000001' order by due_at limit 4);
select results_eq($$ select right(tenant_id::text, 1) as t, count(*)::int from automation_priv.due_jobs('default', 100, 6) group by 1 order by 1 $$,
    $$ values ('1', 4), ('2', 4) $$, 'of which running rows are a part');
select results_eq($$ select right(tenant_id::text, 1) from automation_priv.due_jobs('default', 5, 100) $$, array['2', '2', '2', '2', '1'],
    'who runs nothing is first');
delete from automation_priv.ledger where tenant_id <> '10000000-0000-4000-8000-000000000001';
select is((select count(*)::int from automation_priv.due_jobs('default', 100, 6)), 16, 'a tenant that waits alone gets all');
update automation_priv.ledger set tenant_id = '10000000-0000-4000-8000-000000000003', wedding_id = '20000000-0000-4000-8000-000000000001' where owner is null;
select is((select count(*)::int from automation_priv.due_jobs('default', 100, 6)), 1, 'of a wedding only its head');

-- ---- still_waiting
create temp table clocks as select coalesce(pg_stat_get_xact_function_calls('automation.now'::regproc), 0) as n,
    (select count(*) from automation_priv.ledger where owner is null and due_at <= now())::int as waiting;
select is(count(*)::int, (select waiting from clocks), 'what is due and unclaimed waits') from automation_priv.still_waiting(
    array(select job_id from automation_priv.ledger order by job_id), array(select claim_no from automation_priv.ledger order by job_id));
select is(pg_stat_get_xact_function_calls('automation.now'::regproc), (select n + 1 from clocks), 'and the clock is asked once for all of it');

-- ---- sweep
create temp table scans as select pg_stat_get_xact_numscans('automation_priv.ledger'::regclass) as n;
create temp table term as select automation_priv.leader_take('test') as term;
select is_empty($$ select automation_priv.sweep_workers((select term from term), 100, false) $$, 'nobody is dead');
select is(pg_stat_get_xact_numscans('automation_priv.ledger'::regclass), (select n from scans), 'and the ledger is not read for it');
update automation_priv.ledger set owner = '50000000-0000-4000-8000-000000000009', claimed_at = automation.now() where job_id = (select min(job_id::text)::uuid
    from automation_priv.ledger);
select is_empty($$ select automation_priv.sweep_workers((select term from term), 100, false) $$, 'an owner without a row is not seen so');
select results_eq($$ select worker_id, freed, left_over from automation_priv.sweep_workers((select term from term), 100, true) $$,
    $$ values ('50000000-0000-4000-8000-000000000009'::uuid, 1, 0) $$, 'but where the whole ledger is looked through');

select * from finish();
rollback;
