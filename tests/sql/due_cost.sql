-- What admission reads of the ledger: little more than it answers, however long the backlog is and whatever the planner knows of it.
begin;
select plan(4);

insert into automation.tenants (tenant_id, name)
select ('10000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'Studio ' || i from generate_series(1, 40) i;
insert into automation_priv.ledger (job_id, tenant_id, due_at, accepted_at, accepted_day, timeout_ms, max_attempts, kind, queue, effect_key, payload)
select id, ('10000000-0000-4000-8000-' || lpad((1 + i % 40)::text, 12, '0'))::uuid, now() - interval '1 hour', now(), current_date, 30000, 8,
    'noop', 'default', id, '\x80' from (select i, gen_random_uuid() as id from generate_series(1, 20000) i) x;

create temp table reads (what text, rows numeric, answered bigint);
create function pg_temp.read() returns numeric language sql as $$
    select sum(pg_stat_get_xact_tuples_fetched(i)) + pg_stat_get_xact_tuples_returned('automation_priv.ledger'::regclass)
    from unnest(array['automation_priv.ledger', 'automation_priv.ledger_due', 'automation_priv.ledger_pkey']::regclass[]) i
$$;
insert into reads select 'waiting', -pg_temp.read();
update reads set answered = (select count(*) from automation_priv.due_jobs('default', 400, 300)) where what = 'waiting';
update reads set rows = rows + pg_temp.read() where what = 'waiting';
select is((select answered from reads where what = 'waiting'), 400::bigint, 'as many as asked for');
select cmp_ok((select rows from reads where what = 'waiting'), '<', 1000::numeric, 'of a long backlog little more is read than answered');

-- Of each tenant the first five run.
update automation_priv.ledger l set owner = gen_random_uuid(), claim_no = 1 from (
    select job_id, row_number() over (partition by tenant_id order by due_at, priority, job_id) as nr from automation_priv.ledger) x
where x.job_id = l.job_id and x.nr <= 5;
insert into reads select 'running', -pg_temp.read();
update reads set answered = (select count(*) from automation_priv.due_jobs('default', 400, 300)) where what = 'running';
update reads set rows = rows + pg_temp.read() where what = 'running';
select is((select answered from reads where what = 'running'), 400::bigint, 'those that run are not in the answer');
select cmp_ok((select rows from reads where what = 'running'), '<', 2500::numeric, 'and cost little more');

select * from finish();
rollback;
