-- The SQL doors: what they accept, what they refuse and with which words; accounting; the stepped clock.
begin;
select plan(83);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio');
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date)
values ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'A & B', 'booked', 'Europe/Lisbon', '2031-06-14');
insert into automation.kinds (kind, class, handler, url, queue) values ('sql.http', 'free', 'http', 'https://handler.example', 'bulk');

-- ---- enqueue_job
select throws_ok($$ select automation.enqueue_job('nobody') $$, '22023', 'unknown kind ''nobody'': register it in automation.kinds first');
select throws_ok($$ select automation.enqueue_job(null) $$, '22023', 'unknown kind NULL: register it in automation.kinds first');
select throws_ok($$ select automation.enqueue_job('send_email') $$, '22023',
    'kind ''send_email'' is a step of rules and can not be enqueued by itself');
select throws_ok($$ select automation.enqueue_job('noop', p_priority => 1001) $$, '22023', 'priority 1001: 0 to 1000 are allowed');
select throws_ok($$ select automation.enqueue_job('noop', p_queue => 'A') $$, '22023', 'queue ''A'': 1 to 32 of a-z 0-9 _ - are allowed');
select throws_ok($$ select automation.enqueue_job('noop', p_tenant => '30000000-0000-4000-8000-000000000003') $$, '22023',
    'unknown tenant 30000000-0000-4000-8000-000000000003');
select throws_ok($$ select automation.enqueue_job('noop', p_unique_key => repeat('k', 201)) $$, '22023',
    'unique key of 201 bytes: 1 to 200 are allowed');
-- What no door takes, through both.
create temporary table refused (field text, value jsonb, words text);
insert into refused values
    ('kind', '"nobody"', 'unknown kind ''nobody'': register it in automation.kinds first'),
    ('kind', '"send_email"', 'kind ''send_email'' is a step of rules and can not be enqueued by itself'),
    ('payload', jsonb_build_object('x', repeat('a', 262144)), 'payload of 262153 bytes: at most 262144 are allowed'),
    ('payload', '[1]', 'payload [1]: an object is expected'),
    ('tenant', '"30000000-0000-4000-8000-000000000003"', 'unknown tenant 30000000-0000-4000-8000-000000000003'),
    ('run_at', '"infinity"', 'run_at infinity: an instant is expected'), ('deadline', '"-infinity"', 'deadline -infinity: an instant is expected'),
    ('queue', '"Bad Queue!"', 'queue ''Bad Queue!'': 1 to 32 of a-z 0-9 _ - are allowed'), ('queue', '""', 'queue '''': 1 to 32 of a-z 0-9 _ - are allowed'),
    ('priority', '-1', 'priority -1: 0 to 1000 are allowed'), ('priority', '70000', 'priority 70000: 0 to 1000 are allowed'),
    ('wedding', '"20000000-0000-4000-8000-0000000000ff"', 'tenant 00000000-0000-0000-0000-000000000000 has no wedding 20000000-0000-4000-8000-0000000000ff'),
    ('max_attempts', '0', 'max_attempts 0: 1 to 100 are allowed'), ('max_attempts', '101', 'max_attempts 101: 1 to 100 are allowed'),
    ('timeout_ms', '-5', 'timeout_ms -5: 1 to 3600000 are allowed'), ('timeout_ms', '3600001', 'timeout_ms 3600001: 1 to 3600000 are allowed');
select throws_ok(format('select automation.enqueue_jobs(%L)', jsonb_build_array('{"kind": "noop"}'::jsonb, '{"kind": "noop"}' || jsonb_build_object(field, value))),
    '22023', 'job 1: ' || words, format('of many: %s', left(words, 60))) from refused;
select throws_ok(format('select automation.enqueue_job(''noop'', p_%s => %L)', field, value #>> '{}'), '22023', words,
    format('of one: %s', left(words, 60))) from refused where field <> 'kind';
select throws_ok($$ select automation.enqueue_job('noop', p_run_at => '2031-01-02Z', p_deadline => '2031-01-01Z') $$, '22023',
    'run_at 2031-01-02 00:00:00+00: behind the deadline 2031-01-01 00:00:00+00');
select throws_ok($$ select automation.enqueue_job('noop', p_unique_key => '') $$, '22023', 'unique key of 0 bytes: 1 to 200 are allowed');
select throws_ok($$ select automation.enqueue_job('noop', p_unique_key => 'k', p_unique_for => '400 days') $$, '22023', 'unique_for 400 days: 0 to 366 days are allowed');
select throws_ok($$ select automation.enqueue_jobs('[{"kind": "noop", "unique_key": "k"}]') $$, '22023', 'job 0: field unique_key is none of a job''s');
select throws_ok($$ select automation.enqueue_jobs('{"kind": "noop"}') $$, '22023', 'jobs {"kind": "noop"}: an array of objects is expected');
select throws_ok($$ select automation.enqueue_jobs(null) $$, '22023', 'jobs NULL: an array of objects is expected');
select is_empty($$ select from automation_priv.ledger $$, 'what is refused leaves nothing');
select is_empty($$ select from automation_priv.job_deltas $$, 'and is not counted');

select ok(created, 'a job is accepted') from automation.enqueue_job('sql.http', '{"a": 1}', '10000000-0000-4000-8000-000000000001', p_job_id =>
    '40000000-0000-4000-8000-000000000001', p_unique_key => 'k');
select is((select concat_ws('|', tenant_id, kind, queue, priority, attempt, max_attempts, timeout_ms, unique_key, effect_key,
        convert_from(payload, 'UTF8')) from automation_priv.ledger),
    '10000000-0000-4000-8000-000000000001|sql.http|bulk|100|1|8|30000|k|40000000-0000-4000-8000-000000000001|{"a": 1}',
    'with the kind''s queue, attempts and time limit');
select throws_ok($$ select automation.enqueue_job('noop', p_job_id => '40000000-0000-4000-8000-000000000001') $$, '23505',
    'job 40000000-0000-4000-8000-000000000001 is there already');
select results_eq($$ select * from automation.enqueue_job('sql.http', p_tenant => '10000000-0000-4000-8000-000000000001', p_unique_key => 'k') $$,
    $$ values ('40000000-0000-4000-8000-000000000001'::uuid, false) $$, 'a held key gives the job that holds it');
select ok(created, 'keys of other tenants are other keys') from automation.enqueue_job('sql.http', p_unique_key => 'k');
select ok(created, 'and keys of other kinds') from automation.enqueue_job('noop', p_tenant => '10000000-0000-4000-8000-000000000001', p_unique_key => 'k');
update automation_priv.unique_keys set held_until = automation.now() - interval '1 second' where job_id = '40000000-0000-4000-8000-000000000001';
select ok(created, 'a key is free again when its time is over') from automation.enqueue_job('sql.http', p_tenant =>
    '10000000-0000-4000-8000-000000000001', p_unique_key => 'k');

select throws_ok($$ select automation.enqueue_jobs('[{"kind": "noop"}, {"kind": "send_email"}]') $$, '22023',
    'job 1: kind ''send_email'' is a step of rules and can not be enqueued by itself');
select is(automation.enqueue_jobs('[{"kind": "noop"}, {"kind": "noop", "queue": "critical", "payload": {"n": 2}}]'), 2, 'many jobs at once');

-- ---- accounting
select is((select sum(n)::int from automation_priv.job_deltas where outcome = 'accepted'), 6, 'each accepted job is counted once');
select results_eq($$ select accepted, waiting, unaccounted from automation_priv.audit('10000000-0000-4000-8000-000000000001') $$,
    $$ values (3::bigint, 3::bigint, 0::bigint) $$, 'audit of one tenant');
select is(automation_priv.fold_deltas(), 5, 'deltas are folded');
select results_eq($$ select sum(accepted)::int, sum(waiting)::int, sum(unaccounted)::int from automation_priv.audit() $$, $$ values (6, 6, 0) $$,
    'which changes nothing');
select lives_ok($$ select automation_priv.worker_register('50000000-0000-4000-8000-000000000001', 'w', 'bulk') $$);
select results_eq($$ select job_id, claim_no, verdict from automation_priv.claim_jobs('50000000-0000-4000-8000-000000000001',
    array['40000000-0000-4000-8000-000000000001'::uuid], '{}', false) $$,
    $$ values ('40000000-0000-4000-8000-000000000001'::uuid, 1, 'run'::text) $$, 'a due job is claimed');
select is_empty($$ select from automation_priv.claim_jobs('50000000-0000-4000-8000-000000000002',
    array['40000000-0000-4000-8000-000000000001'::uuid], '{}', false) $$, 'once, while its owner lives');
select results_eq($$ select sum(in_flight)::int, sum(waiting)::int from automation_priv.audit() $$, $$ values (1, 5) $$, 'then it is in flight');
select results_eq($$ select result from automation_priv.settle_jobs('50000000-0000-4000-8000-000000000001',
    '[{"j": "40000000-0000-4000-8000-000000000001", "c": 2, "a": "final", "o": "done"}]') $$, array['lost_lease'], 'another claim number settles nothing');
select results_eq($$ select result from automation_priv.settle_jobs('50000000-0000-4000-8000-000000000001',
    '[{"j": "40000000-0000-4000-8000-000000000001", "c": 1, "a": "final", "o": "done"}]') $$, array['hit'], 'its own settles it');
select results_eq($$ select sum(accepted)::int, sum(done)::int, sum(waiting)::int, sum(unaccounted)::int from automation_priv.audit() $$,
    $$ values (6, 1, 5, 0) $$, 'and it is done');
set local role automation_monitor;
select results_eq($$ select jobs from automation.usher_unaccounted_jobs $$, array[0::bigint], 'nothing is unaccounted for');
reset role;
insert into automation_priv.job_deltas values ('10000000-0000-4000-8000-000000000001', '2026-01-01', 'accepted', 2), ('10000000-0000-4000-8000-000000000001', '2026-01-02', 'done', 1);
set local role automation_monitor;
select results_eq($$ select jobs from automation.usher_unaccounted_jobs $$, array[3::bigint], 'what one day lacks and another has too many of is told, not their difference');
reset role;
delete from automation_priv.job_deltas where day < '2026-01-03';

-- ---- publish_event
select throws_like($$ select automation.publish_event('10000000-0000-4000-8000-000000000001', 'Payment') $$, 'event type ''Payment'': expected lower-case words%');
select throws_ok($$ select automation.publish_event('30000000-0000-4000-8000-000000000003', 'a.b') $$, '22023',
    'unknown tenant 30000000-0000-4000-8000-000000000003');
select throws_ok($$ select automation.publish_event(null, 'a.b') $$, '22023', 'unknown tenant NULL');
select throws_ok($$ select automation.publish_event('10000000-0000-4000-8000-000000000001', 'a.b', '20000000-0000-4000-8000-000000000009') $$, '22023',
    'tenant 10000000-0000-4000-8000-000000000001 has no wedding 20000000-0000-4000-8000-000000000009');
select is(automation.publish_event('10000000-0000-4000-8000-000000000001', 'a.b', p_event_id => '60000000-0000-4000-8000-000000000001'),
    '60000000-0000-4000-8000-000000000001'::uuid, 'an event is published');
select is(automation.publish_event('10000000-0000-4000-8000-000000000001', 'a.b', p_event_id => '60000000-0000-4000-8000-000000000001'),
    '60000000-0000-4000-8000-000000000001'::uuid, 'an event is published again');
select is((select count(*)::int from automation_priv.outbox where event_id = '60000000-0000-4000-8000-000000000001'), 1, 'and is one event');

-- ---- entries of other programs whose tenant nobody knows
create temporary table adopted as select * from automation_priv.adopt_entries(jsonb_build_array(
    '{"at": "2030-01-01T00:00:00Z", "id": "70000000-0000-4000-8000-000000000001", "entry": "s 1-0", "kind": "noop", "queue": "default", "payload": "", "max": 3,
        "timeout": 1000, "attempt": 1, "in_ms": 0, "tenant": "30000000-0000-4000-8000-000000000003"}'::jsonb,
    '{"at": "2030-01-01T00:00:00Z", "id": "70000000-0000-4000-8000-000000000002", "entry": "s 1-1", "kind": "noop", "queue": "default", "payload": "", "max": 3,
        "timeout": 1000, "attempt": 1, "in_ms": 0, "tenant": "10000000-0000-4000-8000-000000000001"}'::jsonb));
select results_eq($$ select reason, error from automation.dead_letters where kind = 'noop' $$,
    $$ values ('unknown_tenant', 'unknown tenant 30000000-0000-4000-8000-000000000003') $$, 'adopting one makes it a dead letter that says why');
select is((select count(*)::int from automation_priv.ledger where tenant_id = '30000000-0000-4000-8000-000000000003'), 0, 'and no job');
select is((select count(*)::int from automation_priv.ledger where kind = 'noop' and job_id in (select id from adopted) and tenant_id = '10000000-0000-4000-8000-000000000001'), 1,
    'its neighbour is a job');

select results_eq($$ select id, adopted, refused from adopted order by id $$,
    $$ values ('70000000-0000-4000-8000-000000000001'::uuid, true, 'unknown tenant 30000000-0000-4000-8000-000000000003'),
              ('70000000-0000-4000-8000-000000000002', true, null) $$, 'the caller is told why');
select results_eq($$ select adopted, refused, claimed_at is not null from automation_priv.adopt_entries(
    '[{"at": "2030-01-01T00:00:00Z", "id": "70000000-0000-4000-8000-000000000003", "entry": "s 1-2", "kind": "noop", "queue": "default", "payload": "",
        "attempt": 1, "in_ms": 0, "tenant": "30000000-0000-4000-8000-000000000003", "owner": "50000000-0000-4000-8000-000000000001"}]') $$,
    $$ values (true, null::text, true) $$, 'what runs already, of a tenant that was deleted meanwhile, comes to its end');
select results_eq($$ select encode(ids, 'hex') from automation_priv.tenant_ids('00000000-0000-0000-0000-000000000000') $$,
    $$ select string_agg(replace(tenant_id::text, '-', ''), '' order by tenant_id) from automation.tenants having count(*) > 1 $$, 'workers learn all tenants');
select is_empty($$ select n.ids from automation_priv.tenant_ids('00000000-0000-0000-0000-000000000000') t
    cross join lateral automation_priv.tenant_ids(t.digest) n $$, 'once');
insert into automation.tenants (tenant_id, name) values ('20000000-0000-4000-8000-000000000007', 'New');
select results_eq($$ select position('\x20000000000040008000000000000007'::bytea in ids) % 16 from automation_priv.tenant_ids('00000000-0000-0000-0000-000000000000') $$,
    array[1], 'and a new one');

-- ---- the stepped clock
select throws_ok($$ select automation_priv.clock_step('2031-01-01') $$, '55000', 'the clock is not stepped: this database runs on real time');

select * from finish();
rollback;
