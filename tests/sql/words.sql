-- What C and SQL must agree on, and partitions.
begin;
select plan(14);

-- common/core/key.h, tests/unit/test_key.c, PROTOCOL.md
select is(automation_priv.derive('job', 'a', E'b\\c'), '8d03ae6f-055f-823e-b840-51066c04214b'::uuid, 'the example of key.h');
select is(automation_priv.derive('job', '9adb6985-9f06-8a67-b96f-8b14fb5fa5ca', '0', '0', '1'), '322d310c-3bde-8717-820c-9a945fffc534'::uuid,
    'a step''s id');
select is(automation_priv.derive('attempt', '322d310c-3bde-8717-820c-9a945fffc534', '1'), '7fe37185-e430-808f-bad4-561890f71075'::uuid,
    'an attempt''s id');
select is(automation_priv.derive('entry', 'usher:{0}:in:default', '1767225600000-0', 'kind', 'noop', 'payload', '{}'),
    '1b0c028c-8de4-84a0-bc6b-adc79d97afaf'::uuid, 'a bare entry''s id');
select isnt(automation_priv.derive('d', E'a\nb'), automation_priv.derive('d', 'a', 'b'), 'a newline inside a part is no separator');

-- common/core/outcome.h: the final words, and 'accepted'
select is((select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'automation.job_counts'::regclass and contype = 'c'),
    'CHECK ((outcome = ANY (ARRAY[''accepted''::text, ''done''::text, ''dead''::text, ''cancelled''::text, ''superseded''::text, ''skipped''::text])))',
    'words of the counters');
select set_eq($$ select word from unnest(array['running', 'succeeded', 'failed', 'skipped', 'cancelled', 'superseded']) word
    where exists (select from pg_constraint c where c.conrelid = 'automation.runs'::regclass and c.contype = 'c'
        and pg_get_constraintdef(c.oid) like '%''' || word || '''%') $$,
    array['running', 'succeeded', 'failed', 'skipped', 'cancelled', 'superseded'], 'words of run states');

-- partitions
select lives_ok($$ select automation_priv.ensure_partition('2031-05-17') $$, 'a partition is made');
select is(automation_priv.ensure_partition('2031-05-01'), null, 'once');
select ok((select relrowsecurity from pg_class where oid = 'automation_part.execution_logs_2031_05'::regclass), 'its leaf has row-level security');
select is((select array[lo, hi] from automation_priv.log_partitions where leaf = 'execution_logs_2031_05'),
    array['2031-05-01 00:00+00', '2031-06-01 00:00+00']::timestamptz[], 'and the bounds of a month in UTC');
select is(automation_priv.ensure_partitions('2032-11-30 12:00+00', '2032-12-01 12:00+00'), 5, 'the months named and three ahead');
select is(automation_priv.ensure_partitions('2032-11-30 12:00+00', '2032-12-01 12:00+00'), 0, 'made once');
select is((select count(*)::int from pg_inherits where inhparent = 'automation.execution_logs'::regclass),
    (select count(*)::int from automation_priv.log_partitions where state in ('attached', 'restored')), 'all that is attached is in the book');

select * from finish();
rollback;
