-- Rules that wait for other rules: what is refused, what the rule set notices, and what a run is told that may not start yet.
begin;
select plan(20);

insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio'), ('10000000-0000-4000-8000-000000000002', 'Other');
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date) select '10000000-0000-4000-8000-000000000001',
    ('20000000-0000-4000-8000-00000000000' || i)::uuid, 'w' || i, 'booked', 'UTC', '2031-06-14' from generate_series(1, 2) i;
create function pg_temp.rule(i integer) returns uuid language sql immutable as $$ select ('30000000-0000-4000-8000-00000000000' || i)::uuid $$;
insert into automation.rules (tenant_id, rule_id, name, definition)
select ('10000000-0000-4000-8000-00000000000' || case when i = 9 then 2 else 1 end)::uuid, pg_temp.rule(i), 'r' || i,
    '{"schema_version": 1, "name": "r", "trigger": {"type": "manual"}, "actions": [{"type": "stop"}]}' from generate_series(1, 9) i;

-- Rule a needs rule b, of the first tenant.
create function pg_temp.need(variadic p integer[]) returns void language sql as $$
    insert into automation.rule_dependencies (tenant_id, rule_id, needs_rule_id)
    select '10000000-0000-4000-8000-000000000001', pg_temp.rule(p[i]), pg_temp.rule(p[i + 1]) from generate_series(1, cardinality(p), 2) i $$;
create function pg_temp.version() returns bigint language sql as $$
    select version from automation.ruleset_state where tenant_id = '10000000-0000-4000-8000-000000000001' $$;
create temporary table seen as select pg_temp.version() as version;

-- ---- cycles
select throws_like($$ select pg_temp.need(1, 1) $$, 'rule "r1" (%) would wait for itself', 'a rule that needs itself');
select lives_ok($$ select pg_temp.need(1, 2) $$, 'the first needs the second');
select cmp_ok(pg_temp.version(), '>', (select version from seen), 'which makes a new rule set');
select throws_ok($$ select pg_temp.need(2, 1) $$, '23514', null, 'a cycle of two');
select throws_ok($$ select pg_temp.need(6, 7, 7, 6) $$, '23514', null, 'a cycle within one statement');
select lives_ok($$ select pg_temp.need(2, 3, 3, 4, 4, 5) $$, 'a chain of five');
select throws_ok($$ select pg_temp.need(5, 1) $$, '23514', null, 'a cycle of five');
select throws_ok($$ select pg_temp.need(6, 1, 5, 6) $$, '23514', null, 'a cycle of six, closed by two rows at once');
select throws_ok($$ update automation.rule_dependencies set needs_rule_id = pg_temp.rule(1) where rule_id = pg_temp.rule(4) $$, '23514', null, 'a cycle by an update');
select lives_ok($$ select pg_temp.need(1, 3, 1, 4, 6, 4, 6, 5) $$, 'several ways to one rule are no cycle');
select is((select count(*)::int from automation.rule_dependencies), 8, 'what was refused has left nothing');
delete from automation.rule_dependencies where rule_id = pg_temp.rule(4);
select lives_ok($$ select pg_temp.need(5, 1) $$, 'without its link the chain may be closed elsewhere');
select throws_ok($$ select pg_temp.need(4, 5) $$, '23514', null, 'and then no more here');

-- ---- tenants
select throws_ok($$ select pg_temp.need(1, 9) $$, '23503', null, 'a rule of another tenant can not be needed');
select throws_ok($$ select pg_temp.need(9, 1) $$, '23503', null, 'nor need one of ours');

-- ---- the run that may not start yet
create function pg_temp.refused(p_rule integer, p_wedding integer) returns text language plpgsql as $$
declare v text;
begin
    perform automation_priv.plan_runs((select term from automation_priv.leader), jsonb_build_array(jsonb_build_object(
        'tenant', '10000000-0000-4000-8000-000000000001', 'run', '40000000-0000-4000-8000-0000000000ff', 'job', '50000000-0000-4000-8000-0000000000ff',
        'rule', pg_temp.rule(p_rule), 'revision', 1, 'wedding', '20000000-0000-4000-8000-00000000000' || p_wedding, 'type', 'manual',
        'ref', '40000000-0000-4000-8000-0000000000ff', 'due', now(), 'state', 'running', 'mode', 'parallel', 'priority', 100, 'kind', 'noop', 'step', 0)));
    select reason into v from automation.runs where run_id = '40000000-0000-4000-8000-0000000000ff';
    raise exception using errcode = 'U0002';
exception when sqlstate 'U0002' then return v;
end $$;
delete from automation.rule_dependencies;
select pg_temp.need(7, 8);
select is(array[pg_temp.refused(7, 1), pg_temp.refused(8, 1)], array['dependency', null], 'only the rule that needs another is refused');
insert into automation.runs (tenant_id, run_id, rule_id, rule_revision, trigger_type, trigger_ref, trigger_seq, due_at, state, context, started_at, wedding_id)
values ('10000000-0000-4000-8000-000000000001', '40000000-0000-4000-8000-000000000001', pg_temp.rule(8), 1, 'manual', '40000000-0000-4000-8000-000000000001', 0,
    now(), 'running', '{}', now(), '20000000-0000-4000-8000-000000000001');
select is(pg_temp.refused(7, 1), 'dependency', 'a run that has not ended does not count');
update automation.runs set state = 'failed', finished_at = now();
select is(pg_temp.refused(7, 1), 'dependency', 'nor one that failed');
update automation.runs set state = 'succeeded', finished_at = now();
select is(array[pg_temp.refused(7, 1), pg_temp.refused(7, 2)], array[null, 'dependency'], 'one that succeeded counts, for its own wedding');
select pg_temp.need(7, 6);
select is(pg_temp.refused(7, 1), 'dependency', 'every rule that is needed must have succeeded');

select * from finish();
rollback;
