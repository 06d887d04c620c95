-- What admission reads of the ledger: little more than it answers, however long the backlog is and whatever the planner knows of it.
begin;
select plan(7);

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

-- One wedding has a backlog of its own: its head goes, the rest of its tenant and others with it, and most of the backlog is not looked at.
truncate automation_priv.ledger;
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date)
select '10000000-0000-4000-8000-000000000001', ('20000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'W', 'booked', 'Europe/Lisbon', '2031-06-14'
from generate_series(1, 2) i;
insert into automation_priv.ledger (job_id, tenant_id, wedding_id, due_at, accepted_at, accepted_day, timeout_ms, max_attempts, kind, queue, effect_key, payload)
select id, ('10000000-0000-4000-8000-' || lpad((case when i <= 20000 then 1 else 2 end)::text, 12, '0'))::uuid,
    case when i <= 20000 then ('20000000-0000-4000-8000-' || lpad((case when i % 10000 = 7 then 2 else 1 end)::text, 12, '0'))::uuid end,
    now() - interval '1 hour' + i * interval '1 ms', now(), current_date, 30000, 8, 'noop', 'default', id, '\x80'
from (select i, gen_random_uuid() as id from generate_series(1, 20010) i) x;
analyze automation_priv.ledger;
insert into reads select 'wedding', -pg_temp.read();
create temp table due as select * from automation_priv.due_jobs('default', 100, 50);
update reads set rows = rows + pg_temp.read() where what = 'wedding';
select results_eq($$ select right(tenant_id::text, 1), count(*)::int from due group by 1 order by 1 $$, $$ values ('1', 2), ('2', 10) $$, 'heads of weddings');
select is((select array_agg(nr order by nr)::int[] from (select row_number() over (order by l.due_at) as nr, job_id from automation_priv.ledger l) x
    join due d using (job_id) where nr <= 20000), array[1, 7], 'the first of each');
select cmp_ok((select rows from reads where what = 'wedding'), '<', 6000::numeric, 'a wedding''s backlog is not read whole');

select * from finish();
rollback;
