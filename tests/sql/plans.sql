-- Plans: what questions shaped as the store's (common/io/store_rules.c, store_history.c) make of the indexes at size, as a role that row-level security
-- binds; and whether these tests would notice an index, a policy's shape or pruning that is gone. tests/integration/test_plans.c asks the plans of the
-- store's own statements, over the same rows.
begin;
set local client_min_messages = warning;
set local jit = off;
select plan(28);

\ir plans.psql
-- As after VACUUM, which a transaction does not allow.
update pg_class set relallvisible = relpages where oid = 'automation.rules'::regclass or relnamespace = 'automation_part'::regnamespace;

-- The questions, of tenant 7: the index that shall answer, whether from itself alone, and the leaves of the log that may be read.
create table plans.questions (name text primary key, sql text, index text, alone boolean, leaves integer);
create function plans.log(p_where text, p_from text, p_to text) returns text language sql immutable as $$
    select format('select e.queued_at, e.execution_id, e.tenant_id, e.job_id, e.run_id, e.rule_id, e.kind, e.outcome, e.error from automation.execution_logs e
        where e.queued_at >= %1$L and e.queued_at < %2$L and e.queued_at <= %2$L and (e.queued_at, e.execution_id) < (%2$L, ''ffffffff-ffff-ffff-ffff-ffffffffffff'')
        and e.tenant_id = %3$L and %4$s order by e.queued_at desc, e.execution_id desc limit 50', p_from, p_to, plans.id(1, 7), p_where)
$$;
insert into plans.questions
select 'rules in force', format('select rule_id, validated_revision from automation.rules where tenant_id = %L and trigger_type = ''event'' and event_type = ''a.e9'' and status = ''active''
        and validated_revision is not null order by rule_id', plans.id(1, 7)), 'rules_live', true, 0
union all select 'rules in force, whole', format('select r.rule_id, r.validated_revision, case when r.revision = r.validated_revision then r.definition
        else (select v.definition from automation.rule_versions v where v.tenant_id = %1$L and v.rule_id = r.rule_id and v.revision = r.validated_revision) end
        from automation.rules r where r.tenant_id = %1$L and r.trigger_type = ''event'' and r.status = ''active'' and r.validated_revision is not null
        and r.event_type = ''a.e9'' order by r.rule_id', plans.id(1, 7)), 'rules_live', false, 0
union all select 'rules by name', format('select rule_id, name, status, revision from automation.rules where tenant_id = %L and (name collate "C", rule_id) > (''Rule 4'', %L)
        order by name collate "C", rule_id limit 50', plans.id(1, 7), plans.id(2, 0)), 'rules_name', false, 0
union all select 'list', plans.log('true', '2031-02-01 UTC', '2031-03-01 UTC'), 'execution_logs_pkey', false, 1
union all select 'by rule', plans.log(format('e.rule_id = %L', plans.id(2, 10006)), '2031-01-01 UTC', '2031-06-01 UTC'), 'execution_logs_rule', false, 5
union all select 'failures', plans.log('e.outcome in (1, 2, 7, 8)', '2031-03-01 UTC', '2031-04-01 UTC'), 'execution_logs_failed', false, 1
union all select 'by run', format('select e.queued_at, e.step, e.outcome from automation.runs r join automation.execution_logs e on e.tenant_id = r.tenant_id and e.rule_id = r.rule_id
        and e.run_id = r.run_id and e.queued_at >= r.started_at - interval ''1 minute'' where r.tenant_id = %1$L and r.run_id = %2$L and e.tenant_id = %1$L
        and e.rule_id is not null order by e.queued_at, e.execution_id limit 1000', plans.id(1, 7), plans.id(4, 7356)), 'execution_logs_rule', false, null
union all select 'a job''s key', format('select l.queued_at, l.execution_id from automation.execution_logs l where l.tenant_id = %L and l.queued_at >= ''2031-02-01 UTC''
        and l.queued_at < ''2031-02-03 UTC'' offset 0', plans.id(1, 7)), 'execution_logs_pkey', true, 1
union all select 'whatever is mine', 'select rule_id from automation.rules where name collate "C" = ''Rule 10006''', 'rules_name', false, 0;

create function plans.of(p_sql text) returns jsonb language plpgsql as $$
declare v json;
begin
    perform set_config('request.jwt.claims', json_build_object('sub', plans.id(1, 7), 'app_metadata', json_build_object('tenant_id', plans.id(1, 7)))::text, true),
            set_config('role', 'authenticated', true);
    execute 'explain (format json) ' || p_sql into v;
    perform set_config('role', 'none', true);
    return v;
end $$;

-- What is wrong with the plan of a question; nothing: all is well. Leaves' indexes are known by their parent's name. Attempts of a rule are sorted
-- within one instant, and whole rules may be fetched in the order of the table's pages.
create function plans.offences(q plans.questions) returns setof text language plpgsql as $$
declare v_plan jsonb := plans.of(q.sql);
begin
    create temporary table node on commit drop as
    select n ->> 'Node Type' as type, n ->> 'Relation Name' as relation, n ->> 'Index Name' as index, n ->> 'Index Cond' as cond, n ->> 'Parent Relationship' as part,
           coalesce(n ->> 'Filter', '') || coalesce(n ->> 'Index Cond', '') || coalesce(n ->> 'One-Time Filter', '') as conditions
    from jsonb_path_query(v_plan, 'strict $.** ? (exists (@."Node Type"))') n;
    return query
    select 'reads all of ' || n.relation from node n join pg_class c on c.relname = n.relation where n.type ~ 'Seq Scan' and c.reltuples > 0
    union all
    select 'by ' || coalesce(p.relname, n.index) || ' instead of ' || q.index
    from node n join pg_class c on c.relname = n.index join pg_index x on x.indexrelid = c.oid join pg_class t on t.oid = x.indrelid
    left join pg_inherits i on i.inhrelid = c.oid left join pg_class p on p.oid = i.inhparent
    where t.relname ~ case when q.leaves = 0 then '^rules' else '^execution_logs' end and coalesce(p.relname, n.index) <> q.index
    union all
    select 'by no index' where not exists (select from node n where n.index is not null)
    union all
    select 'not from the index alone: ' || n.type from node n where q.alone and n.index is not null and n.type <> 'Index Only Scan'
    union all
    select 'sorts' where q.index <> 'execution_logs_rule' and q.name !~ 'whole' and exists (select from node n where n.type ~ 'Sort')
    union all
    select count(distinct n.relation) || ' leaves' from node n where n.relation ~ '^execution_logs' having count(distinct n.relation) <> q.leaves
    union all
    select 'the tenant does not lead: ' || n.cond from node n where n.index is not null and n.cond !~ 'tenant_id = '
    union all
    select 'no tenant function as an InitPlan' where not exists (select from node n where n.part = 'InitPlan')
    union all
    select 'the tenant function is called for rows' from node n where n.conditions ~ 'jwt_tenant|members';
    drop table node;
end $$;
create function plans.offences_of(p_name text) returns setof text language sql as $$ select plans.offences(q) from plans.questions q where q.name = p_name $$;

select is_empty(format('select * from plans.offences_of(%L)', name), name) from plans.questions order by name;

-- How many leaves a question reads when it runs.
create function plans.executed(p_sql text) returns bigint language plpgsql as $$
declare v json;
begin
    perform set_config('role', 'authenticated', true);
    execute 'explain (analyze, timing off, format json) ' || p_sql into v;
    perform set_config('role', 'none', true);
    return (select count(*) from jsonb_path_query(v::jsonb, 'strict $.** ? (exists (@."Node Type"))') n
            where n ->> 'Relation Name' ~ '^execution_logs' and (n ->> 'Actual Loops')::integer > 0);
end $$;
-- A run's steps begin with the run: its start, known when the statement runs, passes over the months before.
select is(plans.executed(q.sql), 4::bigint, 'a run that began in February is not looked for in January, nor in what was before')
from plans.questions q where q.name = 'by run';
-- `job show` of a job that only the log still knows (cli/store_show.c): its clock is volatile, so that it stands in a subquery.
create function plans.recent(p_since text) returns bigint language sql as $$
    select plans.executed(format('select e.queued_at from automation.execution_logs e where e.job_id = %L and e.queued_at >= coalesce(null::timestamptz, %s)',
        plans.id(3, 67500), format(p_since, 'least(''2031-04-10 UTC''::timestamptz, clock_timestamp() + interval ''99 years'') - interval ''31 days''')))
$$;
select is(plans.recent('(select %s)'), 3::bigint, 'a job of the last 31 days is looked for in their months');
select cmp_ok(plans.recent('%s'), '>', 3::bigint, 'noticed: a clock that is read for each row');

-- ---- mutants: what would be noticed ----------------------------------------------------------------------------------------------------
create function plans.noticed(p_mutation text, p_question text) returns boolean language plpgsql as $$
declare v boolean;
begin
    begin
        execute p_mutation;
        v := exists (select from plans.offences_of(p_question));
        raise exception 'undo' using errcode = 'P0099';
    exception when sqlstate 'P0099' then null;
    end;
    return v;
end $$;
select ok(plans.noticed('drop index automation.rules_live', 'rules in force'), 'noticed: no index of rules in force');
select ok(plans.noticed('drop index automation.rules_live; create index rules_live on automation.rules (tenant_id, trigger_type, event_type, rule_id)
    where status = ''active'' and validated_revision is not null', 'rules in force'), 'noticed: an index that does not carry the revision');
select ok(plans.noticed('drop index automation.rules_live', 'rules in force, whole'), 'noticed: nor with their bodies');
select ok(plans.noticed('drop index automation.rules_name', 'rules by name'), 'noticed: no index of names');
select ok(plans.noticed('drop index automation.execution_logs_rule', 'by rule'), 'noticed: no index by rule');
select ok(plans.noticed('drop index automation.execution_logs_rule', 'by run'), 'noticed: nor by run');
select ok(plans.noticed('drop index automation.execution_logs_failed', 'failures'), 'noticed: no index of failures');
select ok(plans.noticed('drop index automation.execution_logs_failed; create index execution_logs_failed on automation.execution_logs (tenant_id, queued_at desc, execution_id)
    where outcome in (1, 2, 7, 8)', 'failures'), 'noticed: failures in an order that is not the pages''');
select ok(plans.noticed('alter table automation.execution_logs drop constraint execution_logs_pkey', 'list'), 'noticed: no key');
select ok(plans.noticed('alter table automation.execution_logs drop constraint execution_logs_pkey', 'a job''s key'), 'noticed: nor for a job');
select ok(plans.noticed('set local enable_partition_pruning = off; set local constraint_exclusion = off', 'list'), 'noticed: no pruning');
select ok(plans.noticed('alter policy rules_read on automation.rules using (tenant_id = automation.jwt_tenant())', 'whatever is mine'),
    'noticed: a policy that calls its function for each row');
select ok(plans.noticed('alter policy execution_logs_read on automation.execution_logs using (tenant_id = automation.jwt_tenant())', 'list'), 'noticed: of the log too');
select ok(plans.noticed('alter policy execution_logs_read on automation.execution_logs using (tenant_id in (select m.tenant_id from automation.members m))', 'list'),
    'noticed: a policy that looks the tenant up');
select ok(plans.noticed('alter table automation.rules disable row level security', 'whatever is mine'), 'noticed: no row-level security');
select ok(plans.noticed('drop index automation.rules_name; create index rules_name on automation.rules (name collate "C")', 'whatever is mine'),
    'noticed: an index that the tenant does not lead');
select * from finish();
rollback;
