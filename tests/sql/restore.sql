-- A restored database: who may go on with it, and what is in doubt.
begin;
select plan(16);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio');
insert into automation.kinds (kind, class, handler, url) values ('sql.http', 'free', 'http', 'https://handler.example');
select is(k.outward, k.kind in ('sql.http', 'send_email', 'call_webhook'), k.kind || ' outward')
from automation.kinds k where k.kind in ('sql.http', 'send_email', 'call_webhook', 'noop', 'create_task') order by 1;

select automation.enqueue_job('sql.http', p_tenant => '10000000-0000-4000-8000-000000000001', p_job_id => '40000000-0000-4000-8000-000000000001');
select automation.enqueue_job('noop', p_tenant => '10000000-0000-4000-8000-000000000001', p_job_id => '40000000-0000-4000-8000-000000000002');
select automation.enqueue_job('sql.http', p_tenant => '10000000-0000-4000-8000-000000000001', p_job_id => '40000000-0000-4000-8000-000000000003',
    p_run_at => now() + interval '1 day');
select automation_priv.worker_register('50000000-0000-4000-8000-000000000001', 'w', 'default');
update automation_priv.ledger set owner = '50000000-0000-4000-8000-000000000001', claim_no = 1, claimed_at = now()
where job_id = '40000000-0000-4000-8000-000000000001';

select throws_ok($$ select automation_priv.restore_resume(now() - interval '1 hour', 'ask', 'me') $$, 'U0002',
    'this database is not behind: no leader has found Redis''s beacon ahead of it');
select automation_priv.leader_take('l') as term \gset
select is(automation_priv.beacon_raise(:term, 1000), 0, 'nobody has decided');
select throws_ok($$ select automation_priv.restore_resume(now() - interval '1 hour', 'forget', 'me') $$, '22023',
    'outward ''forget'': ask, rerun or skip');
select throws_like($$ select automation_priv.restore_resume(now() + interval '1 hour', 'ask', 'me') $$, 'since %: a time that has passed%');
create temporary table before as select epoch from automation_priv.epoch;
select results_eq($$ select freed, doubtful from automation_priv.restore_resume(now() - interval '1 hour', 'ask', 'me') $$,
    $$ values (1, 1) $$, 'the claimed row is free; the outward one that is due is in doubt');
select isnt((select epoch from automation_priv.epoch), (select epoch from before), 'another epoch');
select is((select count(*) from automation_priv.workers), 0::bigint, 'workers register anew');
select is((select filter ->> 'outward' from automation_priv.audit_trail where what = 'restore_resume' and who = 'me'), 'ask', 'on the audit trail');
select is(automation_priv.beacon_raise(:term, 1000), 2, 'the decision holds');
select results_eq($$ select job_id from automation_priv.ledger where parked_reason = 'unknown_outcome' $$,
    $$ values ('40000000-0000-4000-8000-000000000001'::uuid) $$, 'parked; the inward one and the one of tomorrow are not');
select is((select seq from automation_priv.beacon), 1000::bigint, 'the sequence has caught up');

select * from finish();
rollback;
