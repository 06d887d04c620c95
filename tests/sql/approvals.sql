-- A person's door to approvals: whom it opens for, what it decides, and what it leaves on record.
begin;
\ir isolation.psql
set local client_min_messages = warning;
select plan(50);
select automation_priv.ensure_partition(now()::date);
select iso.fill(t) from generate_series(1, 2) t;

-- Items of both tenants that wait, each beside its ledger row as approval_step() leaves them; n: 1 to 9.
create function iso.item(t integer, n integer) returns uuid language sql immutable as $$ select iso.id(t, 100 + n) $$;
grant usage on schema iso to public;
insert into automation.approvals (tenant_id, approval_id, run_id, rule_id, step, kind, content, requested_at, expires_at)
select iso.id(t, 1), iso.item(t, n), iso.id(t, 12), iso.id(t, 8), 1, 'send_email', '{"subject": "s", "body": "b"}', now(), now() + interval '1 day'
from generate_series(1, 2) t, generate_series(1, 9) n;
insert into automation_priv.ledger (job_id, tenant_id, run_id, kind, queue, effect_key, parked_reason, accepted_at, accepted_day, timeout_ms, max_attempts, payload)
select iso.item(t, n), iso.id(t, 1), iso.id(t, 12), 'send_email', 'default', iso.item(t, n), 'approval', now(), now()::date, 1000, 3, '{}'
from generate_series(1, 2) t, generate_series(1, 9) n;

-- What one caller gets for item 9 of tenant t: true, false, or the refusal's code. Leaves no trace.
create function iso.decide(p iso.actors, t integer) returns text language plpgsql as $$
declare v boolean;
begin
    perform iso.become(p);
    -- Planned anew: an expression that is kept asks only for its first caller's right to call.
    execute 'select automation.decide_own_approval(iso.item($1, 9), ''approved'')' into v using t;
    raise exception using errcode = 'U0097', message = v::text;
exception when sqlstate 'U0097' then return sqlerrm; when others then return sqlstate;
end $$;
select results_eq($$ select a.name, iso.decide(a, 1), iso.decide(a, 2) from iso.actors a order by a.name collate "C" $$,
    $$ select a.name, case when a.kind <> 'person' or a.sees = '{}' then '42501' else (1 = any (a.sees))::text end,
        case when a.kind <> 'person' or a.sees = '{}' then '42501' else (2 = any (a.sees))::text end from iso.actors a order by a.name collate "C" $$,
    'every actor and tenant: own items are decided, others'' are not there, all else is refused');
select is((select count(*) from automation.approvals where state <> 'pending'), 0::bigint, 'the matrix left nothing');

-- Roles of a member; the last is not known yet.
alter table automation.members drop constraint members_role_check;
create function iso.role_decides(p_role text) returns text language plpgsql as $$
begin
    update automation.members set role = p_role where tenant_id = iso.id(1, 1);
    return (select iso.decide(a, 1) from iso.actors a where a.name = 'A');
end $$;
select results_eq($$ select r, iso.role_decides(r) from unnest('{owner,admin,member,viewer}'::text[]) r $$,
    $$ values ('owner', 'true'), ('admin', 'true'), ('member', 'true'), ('viewer', '42501') $$, 'a role that is not listed may not');
update automation.members set role = 'member' where tenant_id = iso.id(1, 1);

create function iso.item_of(n integer) returns text language sql as $$
    select concat_ws(' ', a.state, a.decided_by, 'edited:' || a.edited_by, a.content ->> 'subject', a.note, coalesce(l.parked_reason, l.wake ->> 'approval'),
        l.wake #>> '{content,subject}')
    from automation.approvals a join automation_priv.ledger l on l.job_id = a.approval_id where a.approval_id = iso.item(1, n) $$;
create function iso.as(p_name text) returns void language sql as $$ select iso.become(a) from iso.actors a where a.name = p_name $$;
grant select on all tables in schema iso to public;
\set who 'member 10000002-0000-4000-8000-000000000001'

select iso.as('A');
select ok(automation.decide_own_approval(iso.item(1, 1), 'approved'), 'approved');
select ok(not automation.decide_own_approval(iso.item(1, 1), 'rejected'), 'once');
select ok(automation.decide_own_approval(iso.item(1, 2), 'rejected', null, 'too early'), 'rejected, with a note');
select ok(automation.decide_own_approval(iso.item(1, 3), 'edited', '{"subject": "new"}'), 'edited');
select ok(automation.decide_own_approval(iso.item(1, 4), 'approved', '{"subject": "new"}'), 'approved with a change');
select ok(not automation.decide_own_approval(iso.id(1, 14), 'approved'), 'an item whose job is gone is not decided');
select ok(not automation.decide_own_approval(iso.item(2, 1), 'edited', '{"subject": "theirs"}'), 'another tenant''s item is not edited either');
select throws_ok($$ select automation.decide_own_approval(iso.item(1, 5), 'perhaps') $$, '22023', null, 'a decision is one of three');
select throws_ok($$ select automation.decide_own_approval(iso.item(1, 5), null) $$, '22023', null, 'and is given');
select throws_ok($$ select automation.decide_own_approval(iso.item(1, 5), 'edited', '{"to": "x"}') $$, '22023', null, 'content has the keys that were rendered');
select throws_ok($$ select automation.decide_own_approval(iso.item(1, 5), 'edited', '{"subject": {"a": 1}}') $$, '22023', null, 'and texts');
select throws_ok($$ select automation.decide_own_approval(iso.item(1, 5), 'edited', '[]') $$, '22023', null, 'in an object');
select throws_ok($$ select automation.decide_own_approval(iso.item(1, 5), 'edited', jsonb_build_object('body', repeat('x', 65600))) $$, '22023', null, 'of a bounded size');
select throws_ok($$ select automation.decide_approval(iso.id(1, 1), iso.item(1, 5), 'approved', 'someone else') $$, '42501', null, 'the door that takes a name is closed');
select throws_ok($$ update automation.approvals set state = 'approved' $$, '42501', null, 'and so is the table');
reset role;

select is(iso.item_of(1), 'approved ' || :'who' || ' s approved s', 'who approved stands there, and the job is told');
select is(iso.item_of(2), 'rejected ' || :'who' || ' s too early rejected s', 'who rejected, and why');
select is(iso.item_of(3), 'pending edited:' || :'who' || ' new approval', 'who edited; the item still waits');
select is(iso.item_of(4), 'approved ' || :'who' || ' edited:' || :'who' || ' new approved new', 'what was changed goes out');
select is(iso.item_of(5), 'pending s approval', 'what was refused changed nothing');
select is((select count(*) from automation.approvals where tenant_id = iso.id(2, 1) and (state <> 'pending' or edited_by is not null)), 0::bigint, 'the other tenant''s items are as they were');

-- ---- words given ahead
select throws_ok($$ select automation.decide_approval(iso.id(1, 1), iso.item(1, 6), 'approved', null) $$, '22023',
    'who decides is NULL: expected a name of 1 to 200 characters', 'nobody decides without a name');
select throws_ok($$ select automation.preapprove(iso.id(1, 1), iso.id(1, 9), ' ') $$, '22023', 'who decides is '' '': expected a name of 1 to 200 characters');
select throws_ok($$ select automation.preapprove(iso.id(1, 1), iso.id(1, 9), repeat('x', 201)) $$, '22023', null, 'a name has its limit');
select throws_ok($$ select automation.preapprove(null, iso.id(1, 9), 'ana') $$, '22023', 'tenant NULL has no rule ' || iso.id(1, 9));
select throws_ok($$ select automation.preapprove(iso.id(1, 1), null, 'ana') $$, '22023', 'tenant ' || iso.id(1, 1) || ' has no rule NULL');
select throws_ok($$ select automation.preapprove(iso.id(1, 1), iso.id(2, 9), 'ana') $$, '22023', 'tenant ' || iso.id(1, 1) || ' has no rule ' || iso.id(2, 9));
select throws_ok($$ select automation.preapprove(iso.id(1, 1), iso.id(1, 9), 'ana', iso.id(2, 3)) $$, '22023',
    'tenant ' || iso.id(1, 1) || ' has no wedding ' || iso.id(2, 3));
select throws_ok($$ select automation.revoke_preapproval(iso.id(1, 1), iso.id(2, 9), 'ana') $$, '22023', null, 'the other way asks the same');

create function iso.ahead() returns table (line text) language sql as $$
    select concat_ws(' ', case p.rule_id when iso.id(1, 9) then 'rule' end, case when p.wedding_id is null then 'all' else 'one' end, p.granted_by)
    from automation.preapprovals p where p.tenant_id = iso.id(1, 1) and p.rule_id <> iso.id(1, 8) order by p.wedding_id nulls first $$;
delete from automation_priv.audit_trail;
select ok(automation.preapprove(iso.id(1, 1), iso.id(1, 9), 'ana'), 'for all');
select ok(automation.preapprove(iso.id(1, 1), iso.id(1, 9), 'ana', iso.id(1, 3)), 'for one besides');
select ok(not automation.preapprove(iso.id(1, 1), iso.id(1, 9), 'rui'), 'what stands is not given again');
select results_eq($$ select line from iso.ahead() $$, array['rule all ana', 'rule one ana'], 'and keeps who gave it first');
select ok(automation.revoke_preapproval(iso.id(1, 1), iso.id(1, 9), 'rui'), 'the word for all is taken back');
select ok(not automation.revoke_preapproval(iso.id(1, 1), iso.id(1, 9), 'rui'), 'once');
select results_eq($$ select line from iso.ahead() $$, array['rule one ana'], 'that for one still stands');

select iso.as('A');
select ok(automation.preapprove_own(iso.id(1, 10), iso.id(1, 3)), 'a member gives a word');
select ok(automation.revoke_own_preapproval(iso.id(1, 9), iso.id(1, 3)), 'and takes another''s back');
select throws_ok($$ select automation.preapprove_own(iso.id(2, 9)) $$, '22023', null, 'not for another tenant''s rule');
select throws_ok($$ select automation.preapprove(iso.id(1, 1), iso.id(1, 9), 'someone else') $$, '42501', null, 'the door that takes a name is closed');
select throws_ok($$ select automation.revoke_preapproval(iso.id(1, 1), iso.id(1, 10), 'someone else') $$, '42501', null, 'in both ways');
select throws_ok($$ insert into automation.preapprovals values (iso.id(1, 1), iso.id(1, 9), null, 'x', now()) $$, '42501', null, 'and so is the table');
reset role;
select results_eq($$ select format('%s %s %s %s', what, case who when 'member ' || iso.id(1, 2) then 'A' else who end, case filter ->> 'wedding' when iso.id(1, 3)::text
    then 'one' else filter ->> 'wedding' end, filter ->> 'granted_by') from automation_priv.audit_trail where tenant_id = iso.id(1, 1) order by id $$,
    array['preapprove ana  ', 'preapprove ana one ', 'revoke_preapproval rui  ana', 'preapprove A one ', 'revoke_preapproval A one ana'],
    'each change is on the trail, and what changed nothing is not');

update automation.members set role = 'viewer' where tenant_id = iso.id(1, 1);
select iso.as('A');
select throws_ok($$ select automation.preapprove_own(iso.id(1, 9)) $$, '42501', null, 'a role that is not listed may not give');
select throws_ok($$ select automation.revoke_own_preapproval(iso.id(1, 10), iso.id(1, 3)) $$, '42501', null, 'nor take back');
reset role;
delete from automation.weddings where tenant_id = iso.id(1, 1);
select is_empty($$ select line from iso.ahead() $$, 'a word for a wedding goes with it');
select is((select count(*) from automation.preapprovals where tenant_id = iso.id(1, 1)), 1::bigint, 'one for all stays');
select * from finish();
rollback;
