-- Who takes whose jobs: of the living, of the dead, of those that left in order; what is charged for it; and suspects.
begin;
select plan(20);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio Luz');
insert into automation.kinds (kind, class, handler, url, on_unknown) values ('sign', 'free', 'http', 'https://sign.example/', 'ask');
create function worker(n integer) returns uuid language sql immutable as $$ select ('50000000-0000-4000-8000-00000000000' || n)::uuid $$;
create function job(n integer) returns uuid language sql immutable as $$ select ('40000000-0000-4000-8000-00000000000' || n)::uuid $$;
-- Which of all the jobs a worker gets, and their crashes.
create function claim(w integer, suspects boolean default true) returns table (job uuid, crashes integer) language sql as $$
    select job_id, crashes::int from automation_priv.claim_jobs(worker(w), array(select job_id from automation_priv.ledger),
        array(select job_id from automation_priv.ledger where owner = worker(w)), false, suspects) order by 1 $$;
select automation_priv.worker_register(worker(n), 'w' || n, 'default') from generate_series(1, 5) n;
select automation.enqueue_jobs((select jsonb_agg(jsonb_build_object('job_id', job(n), 'kind', case n when 2 then 'sign' else 'noop' end,
    'tenant', '10000000-0000-4000-8000-000000000001')) from generate_series(1, 2) n));
create temp table term as select automation_priv.leader_take('t') as term;

select results_eq('select * from claim(1)', $$ values (job(1), 0), (job(2), 0) $$, 'what nobody has');
select is_empty('select * from claim(2)', 'a living worker keeps its jobs');
select results_eq($$ select verdict from automation_priv.recheck_jobs(worker(1), array[job(2)], '{1}', true) $$, array['run'], 'and acts');
update automation_priv.workers set beat_at = clock_timestamp() - interval '21 seconds' where worker_id = worker(1);
select results_eq('select * from claim(2)', $$ values (job(1), 1) $$,
    'of a dead one: not what may have acted without anyone knowing, with a kind that asks then');
select results_eq('select freed from automation_priv.sweep_workers((select term from term), 10, true)', array[1], 'that is the sweep''s');
select results_eq('select parked_reason from automation_priv.ledger where due_at is null', array['unknown_outcome'], 'which parks it for a person');

-- ---- leaving
select automation_priv.worker_leave(worker(2));
select results_eq('select left_at is not null from automation_priv.workers where worker_id = worker(2)', array[true], 'who leaves with jobs says so');
select results_eq('select * from claim(3)', $$ values (job(1), 1) $$, 'they are others'' at once, and uncharged');
select automation_priv.worker_leave(worker(3));
select results_eq('select worker_id, freed from automation_priv.sweep_workers((select term from term), 10, true) order by 1',
    $$ values (worker(2), 0), (worker(3), 1) $$, 'or the sweep frees them');
select results_eq('select crashes::int from automation_priv.ledger where job_id = job(1)', array[1], 'uncharged as well');
select is_empty('select from automation_priv.workers where left_at is not null', 'and forgets the worker');
select automation_priv.worker_leave(worker(5));
select is_empty('select from automation_priv.workers where worker_id = worker(5)', 'without jobs it is gone at once');

-- ---- suspects
select automation.enqueue_jobs((select jsonb_agg(jsonb_build_object('job_id', job(n), 'kind', 'noop',
    'tenant', '10000000-0000-4000-8000-000000000001')) from generate_series(3, 5) n));
update automation_priv.ledger set crashes = 2 where job_id in (job(3), job(4));
select results_eq('select * from claim(4, false)', $$ values (job(1), 1), (job(5), 0) $$, 'none, where none is wanted');
select results_eq('select * from claim(4)', $$ values (job(3), 2) $$, 'one at a time');
select results_eq('select * from claim(1)', $$ values (job(4), 2) $$, 'and each worker one');
select results_eq($$ select result from automation_priv.settle_jobs(worker(4), '[{"j": "40000000-0000-4000-8000-000000000003", "c": 1, "a": "retry",
    "o": "failed", "in_ms": 0}, {"j": "40000000-0000-4000-8000-000000000005", "c": 1, "a": "snooze", "in_ms": 0}]') $$, array['hit', 'hit'], 'attempts end');
select results_eq('select crashes::int, attempt::int from automation_priv.ledger where job_id = job(3)', $$ values (0, 2) $$,
    'one that failed by itself is none any more');
update automation_priv.ledger set crashes = 3, owner = worker(1) where job_id = job(4);
update automation_priv.workers set beat_at = clock_timestamp() - interval '21 seconds' where worker_id = worker(1);
select is_empty('select * from claim(2) where job = job(4)', 'at the limit it is the sweep''s');
select results_eq('select poisoned from automation_priv.sweep_workers((select term from term), 10, true) where worker_id = worker(1)', array[1], 'which ends it');
select results_eq('select reason from automation.dead_letters', array['poison'], 'as poison');

select * from finish();
rollback;
