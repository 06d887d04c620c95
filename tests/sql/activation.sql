-- When active rules are live: windows, seasons, bookings; the reason noted; the stepped clock stops where one changes.
begin;
select plan(39);

insert into automation.tenants (tenant_id, name, time_zone, settings) values ('10000000-0000-4000-8000-000000000001', 'Studio', 'Pacific/Auckland', '{"season_months": [12, 1, 2]}');
select automation_priv.clock_set('2031-05-10 12:00+00');

-- ---- the pure function, by table
create temp table cases (n int, f timestamptz, u timestamptz, m smallint[], z text, at timestamptz, live boolean, reason text, next timestamptz);
insert into cases values
    (1, null, null, null, 'UTC', '2031-05-10', true, 'activated', null),
    (2, '2031-06-01', null, null, 'UTC', '2031-05-10', false, 'before_window', '2031-06-01'),
    (3, '2031-06-01', null, null, 'UTC', '2031-06-01', true, 'in_window', null),
    (4, '2031-06-01', '2031-07-01', null, 'UTC', '2031-06-30 23:59:59', true, 'in_window', '2031-07-01'),
    (5, null, '2031-07-01', null, 'UTC', '2031-07-01', false, 'window_over', null),
    (6, null, null, '{5,6}', 'UTC', '2031-05-10', true, 'in_season', '2031-07-01'),
    (7, null, null, '{5,6}', 'UTC', '2031-07-01', false, 'out_of_season', '2032-05-01'),
    (8, null, null, '{12,1}', 'UTC', '2031-12-31', true, 'in_season', '2032-02-01'),
    (9, null, null, '{6}', 'Pacific/Auckland', '2031-05-31 12:00+00', true, 'in_season', '2031-06-30 12:00+00'),
    (10, null, null, '{6}', 'America/New_York', '2031-06-01 03:59+00', false, 'out_of_season', '2031-06-01 04:00+00'),
    (11, '2031-06-15', null, '{6}', 'UTC', '2031-06-01', false, 'before_window', '2031-06-15'),
    (12, null, '2031-06-15', '{6}', 'UTC', '2031-05-01', false, 'out_of_season', '2031-06-01'),
    (13, null, '2031-06-15', '{6}', 'UTC', '2031-08-01', false, 'window_over', null),
    (14, null, null, '{1,2,3,4,5,6,7,8,9,10,11,12}', 'UTC', '2031-08-01', true, 'in_season', null);
select is(row(w.live, w.reason, w.next), row(c.live, c.reason, c.next), 'window ' || c.n)
from cases c cross join lateral automation_priv.rule_window(c.f, c.u, c.m, c.z, c.at) w order by c.n;

-- ---- rules
create function pg_temp.rule(nn text, cols text default '', vals text default '') returns void language plpgsql as $$
begin
    execute format('insert into automation.rules (tenant_id, rule_id, name, status, definition%s) values (%L, %L, %L, ''active'',
        ''{"schema_version": 1, "name": "r", "trigger": {"type": "manual"}, "actions": [{"type": "stop"}]}''%s)', cols,
        '10000000-0000-4000-8000-000000000001', '30000000-0000-4000-8000-0000000000' || nn, nn, vals);
end $$;
create function pg_temp.state(nn text) returns text language sql as $$
    select concat_ws(' ', live, live_reason, to_char(live_due at time zone 'UTC', 'YYYY-MM-DD'), to_char(activated_at at time zone 'UTC', 'YYYY-MM-DD'))
    from automation.rules where name = nn $$;
select pg_temp.rule('01'), pg_temp.rule('02', ', valid_from, valid_until', $$, '2031-06-01', '2031-07-01'$$), pg_temp.rule('03', ', season_months', $$, '{}'$$),
    pg_temp.rule('04', ', season_months', $$, '{6,7,8}'$$);
select is(pg_temp.state('01'), 't activated 2031-05-10', 'a rule without bounds is live at once');
select is(pg_temp.state('02'), 'f before_window 2031-06-01 2031-05-10', 'before its window');
select is(pg_temp.state('03'), 'f out_of_season 2031-11-30 2031-05-10', 'the tenant''s season, in its own zone');
select is(pg_temp.state('04'), 'f out_of_season 2031-05-31 2031-05-10', 'a season of its own');
select throws_ok($$ select pg_temp.rule('05', ', valid_from, valid_until', ', ''2031-06-01'', ''2031-06-01''') $$, '23514', null, 'a window has a length');
select throws_ok($$ select pg_temp.rule('05', ', season_months', ', ''{13}''') $$, '23514', null, 'there are twelve months');
update automation.rules set validated_revision = 1;
select set_eq($$ select rule_id::text from automation_priv.load_ruleset('10000000-0000-4000-8000-000000000001') $$, array['30000000-0000-4000-8000-000000000001'],
    'only what is live is matched');
update automation.rules set definition = definition || '{"name": "edited"}' where name = '01';
select results_eq($$ select revision, definition ->> 'name' from automation_priv.load_ruleset('10000000-0000-4000-8000-000000000001') $$, $$ values (1::bigint, 'r') $$,
    'an edit that was not checked yet leaves the one before it in force');
update automation.rules set validated_revision = revision where name = '01';
select results_eq($$ select revision, definition ->> 'name' from automation_priv.load_ruleset('10000000-0000-4000-8000-000000000001') $$, $$ values (2::bigint, 'edited') $$,
    'until it was');

-- ---- the clock stops there, and the leader's duty does it
delete from automation_priv.outbox;
select is((select at from automation_priv.clock_step('2032-01-01')), '2031-05-31 12:00+00'::timestamptz, 'the stepped clock stops where a season begins');
select is(automation_priv.clock_busy(), 'activations', 'and waits until it is done');
select automation_priv.leader_take('t');
select is((select automation_priv.activate_rules(term, 10) from automation_priv.leader), 1, 'the leader''s duty');
select is(pg_temp.state('04'), 't in_season 2031-08-31 2031-05-31', 'a rule goes live, and is activated then');
select is((select automation_priv.activate_rules(term, 10) from automation_priv.leader), 0, 'once');
select is((select at from automation_priv.clock_step('2032-01-01')), '2031-06-01 00:00+00'::timestamptz, 'the next one');
select is((select automation_priv.activate_rules(term, 10) from automation_priv.leader), 1);
select is(pg_temp.state('02'), 't in_window 2031-07-01 2031-06-01', 'by its window');
select automation_priv.clock_step('2032-01-01');
select is((select automation_priv.activate_rules(term, 10) from automation_priv.leader), 1);
select is(pg_temp.state('02'), 'f window_over 2031-06-01', 'which ends');
update automation.tenants set settings = '{"season_months": [7]}';
select is(pg_temp.state('03'), 't in_season 2031-07-31 2031-07-01', 'another season of the tenant''s');
update automation.rules set status = 'paused' where name = '01';
update automation.rules set live = true, live_reason = 'x' where name = '01';
select is(pg_temp.state('01'), 'f paused 2031-05-10', 'what is not active is not live, whoever says so');
update automation.rules set status = 'active' where name = '01';
select is(pg_temp.state('01'), 't activated 2031-07-01', 'and is activated anew when it is resumed');
select results_eq($$ select name, a.live, a.reason from automation.rule_activations a join automation.rules r using (tenant_id, rule_id) where name in ('01', '02') order by name, seq $$,
    $$ values ('01', true, 'activated'), ('01', false, 'paused'), ('01', true, 'activated'), ('02', false, 'before_window'), ('02', true, 'in_window'), ('02', false, 'window_over') $$,
    'each change is noted with its reason');

-- ---- booking
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, booked_on) values
    ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'a', 'inquiry', 'UTC', null),
    ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000002', 'b', 'booked', 'UTC', '2031-03-01');
update automation.weddings set status = 'booked' where title = 'a';
select results_eq($$ select booked_at from automation.weddings order by title $$, $$ values (automation.now()), ('2031-03-01 00:00+00'::timestamptz) $$, 'since when a wedding is booked');
update automation.rules set booked_only = true where name = '04';
select automation_priv.plan_runs((select term from automation_priv.leader), (select jsonb_agg(jsonb_build_object(
        'tenant', '10000000-0000-4000-8000-000000000001', 'run', '40000000-0000-4000-8000-00000000000' || i, 'job', '50000000-0000-4000-8000-00000000000' || i,
        'rule', '30000000-0000-4000-8000-000000000004', 'revision', 1, 'wedding', w, 'type', 'event', 'ref', '40000000-0000-4000-8000-00000000000' || i, 'due', d,
        'state', 'running', 'mode', 'parallel', 'priority', 100, 'kind', 'noop', 'step', 0))
    from (values (1, '20000000-0000-4000-8000-000000000001'::uuid, automation.now() - interval '1 second'), (2, '20000000-0000-4000-8000-000000000001', automation.now()),
        (3, '20000000-0000-4000-8000-000000000002', automation.now() - interval '1 day'), (4, null, automation.now())) x(i, w, d)));
select results_eq($$ select reason from automation.runs order by run_id $$, array['not_booked', null, null, 'not_booked'],
    'what happened before the booking starts nothing');

select * from finish();
rollback;
