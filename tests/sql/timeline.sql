-- Dates and zones: offsets over zones, both changes of clocks and leap days; windows; derived milestones; the time zone database; the diff of a move.
begin;
select plan(39);

insert into automation.tenants (tenant_id, name, time_zone) values ('10000000-0000-4000-8000-000000000001', 'Studio', 'Europe/Lisbon');
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date, ceremony_time)
values ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'A & B', 'booked', 'Europe/Lisbon', '2031-06-14', '15:00');

-- ---- instants: anchor, offset, local time → UTC. The gap moves on, the ambiguous hour is its second.
create temporary table cases (zone text, d date, t time, months integer, days integer, seconds bigint, at time, utc timestamptz);
insert into cases values
    ('Europe/Lisbon', '2031-06-14', '15:00', 0, -30, 0, '09:00', '2031-05-15 08:00+00'),
    ('Europe/Berlin', '2026-04-05', null, 0, -7, 0, '02:30', '2026-03-29 01:30+00'),      -- gap
    ('Europe/Berlin', '2026-11-01', null, 0, -7, 0, '02:30', '2026-10-25 01:30+00'),      -- ambiguous: the second
    ('Europe/London', '2026-03-30', null, 0, -1, 0, '01:15', '2026-03-29 01:15+00'),      -- gap
    ('Europe/Dublin', '2026-10-26', null, 0, -1, 0, '01:15', '2026-10-25 01:15+00'),      -- ambiguous
    ('America/New_York', '2026-03-15', null, 0, -7, 0, '02:30', '2026-03-08 07:30+00'),   -- gap
    ('America/New_York', '2026-11-08', null, 0, -7, 0, '01:30', '2026-11-01 06:30+00'),   -- ambiguous
    ('America/Los_Angeles', '2026-11-08', null, 0, -7, 0, '09:00', '2026-11-01 17:00+00'),
    ('America/St_Johns', '2026-03-09', null, 0, -1, 0, '02:30', '2026-03-08 06:00+00'), -- gap, half an hour's zone
    ('America/Sao_Paulo', '2026-02-28', null, 1, 0, 0, '09:00', '2026-03-28 12:00+00'),
    ('Australia/Sydney', '2026-04-06', null, 0, -1, 0, '02:30', '2026-04-04 16:30+00'),   -- ambiguous
    ('Australia/Sydney', '2026-10-05', null, 0, -1, 0, '02:30', '2026-10-03 16:30+00'),   -- gap
    ('Australia/Lord_Howe', '2026-10-05', null, 0, -1, 0, '02:15', '2026-10-03 15:45+00'), -- a gap of half an hour
    ('Pacific/Auckland', '2026-09-28', null, 0, -1, 0, '02:30', '2026-09-26 14:30+00'),   -- gap
    ('Pacific/Apia', '2026-06-01', null, 0, -1, 0, '09:00', '2026-05-30 20:00+00'),
    ('Asia/Kathmandu', '2026-06-01', null, 0, -1, 0, '09:00', '2026-05-31 03:15+00'),
    ('Asia/Tehran', '2026-06-01', null, 0, 0, 0, '09:00', '2026-06-01 05:30+00'),
    ('Africa/Cairo', '2026-04-24', '00:30', 0, 0, 0, null, '2026-04-23 22:30+00'),       -- midnight is in the gap
    ('Africa/Casablanca', '2026-06-01', null, 0, 0, 0, '09:00', '2026-06-01 08:00+00'),
    ('UTC', '2028-02-29', null, 12, 0, 0, '09:00', '2029-02-28 09:00+00'),                -- leap day: clamped
    ('UTC', '2028-02-29', null, 48, 0, 0, '09:00', '2032-02-29 09:00+00'),
    ('UTC', '2027-03-31', null, -1, 0, 0, '09:00', '2027-02-28 09:00+00'),
    ('UTC', '2028-03-31', null, -1, 0, 0, '09:00', '2028-02-29 09:00+00'),
    ('UTC', '2028-03-01', null, 0, -1, 0, '09:00', '2028-02-29 09:00+00'),
    ('UTC', '2026-01-31', null, 1, 1, 0, '09:00', '2026-03-01 09:00+00'),                 -- months first, then days
    ('Europe/Berlin', '2026-03-29', '12:00', 0, 0, -86400, null, '2026-03-28 10:00+00'),  -- hours are exact
    ('Europe/Berlin', '2026-03-29', '12:00', 0, -1, 0, null, '2026-03-28 11:00+00'),      -- a day is nominal
    ('America/New_York', '2026-11-01', '12:00', 0, 0, -86400, null, '2026-10-31 17:00+00'),
    ('America/New_York', '2026-11-01', '12:00', 0, -1, 0, null, '2026-10-31 16:00+00');
select is_empty($$ select zone, d, at, utc, automation_priv.instant(d, t, zone, months, days, seconds, at) as found from cases
    where automation_priv.instant(d, t, zone, months, days, seconds, at) is distinct from utc $$, 'instants of the table');
select cmp_ok((select count(distinct zone) from cases)::int, '>=', 12, 'of many zones');

-- ---- every zone × both changes of its clocks × leap days × a missing and an ambiguous time; what is expected is worked out from its two offsets alone.
create temporary table clocks (zone text, std interval, dst interval, forward timestamp, back timestamp); -- forward in standard time, back in summer time
insert into clocks values
    ('Europe/Lisbon', '0:00', '1:00', '2026-03-29 01:00', '2026-10-25 02:00'), ('Europe/London', '0:00', '1:00', '2026-03-29 01:00', '2026-10-25 02:00'),
    ('Europe/Berlin', '1:00', '2:00', '2026-03-29 02:00', '2026-10-25 03:00'), ('Europe/Athens', '2:00', '3:00', '2026-03-29 03:00', '2026-10-25 04:00'),
    ('Asia/Beirut', '2:00', '3:00', '2026-03-29 00:00', '2026-10-25 00:00'), ('Africa/Cairo', '2:00', '3:00', '2026-04-24 00:00', '2026-10-30 00:00'),
    ('America/St_Johns', '-3:30', '-2:30', '2026-03-08 02:00', '2026-11-01 02:00'), ('America/New_York', '-5:00', '-4:00', '2026-03-08 02:00', '2026-11-01 02:00'),
    ('America/Havana', '-5:00', '-4:00', '2026-03-08 00:00', '2026-11-01 01:00'), ('America/Denver', '-7:00', '-6:00', '2026-03-08 02:00', '2026-11-01 02:00'),
    ('America/Los_Angeles', '-8:00', '-7:00', '2026-03-08 02:00', '2026-11-01 02:00'), ('America/Santiago', '-4:00', '-3:00', '2026-09-06 00:00', '2026-04-05 00:00'),
    ('Australia/Adelaide', '9:30', '10:30', '2026-10-04 02:00', '2026-04-05 03:00'), ('Australia/Sydney', '10:00', '11:00', '2026-10-04 02:00', '2026-04-05 03:00'),
    ('Australia/Lord_Howe', '10:30', '11:00', '2026-10-04 02:00', '2026-04-05 02:00'), ('Pacific/Auckland', '12:00', '13:00', '2026-09-27 02:00', '2026-04-05 03:00'),
    ('Pacific/Chatham', '12:45', '13:45', '2026-09-27 02:45', '2026-04-05 03:45');
create temporary table changes as
    select c.zone, x.what, x.wanted at time zone 'UTC' as wanted, automation_priv.instant(x.d::date, x.t, c.zone, x.months, x.days, x.seconds, x.at) as found
    from clocks c
    cross join lateral (select dst - std as shift, date_trunc('day', back - interval '1 hour') as fall, case when forward > back then dst else std end as february) v
    cross join lateral (values
        ('missing: the offset before the gap', forward + shift / 2 - std, forward::date + 7, null::time, 0, -7, 0, (forward + shift / 2)::time),
        ('missing, as the anchor', forward + shift / 2 - std, forward::date, (forward + shift / 2)::time, 0, 0, 0, null),
        ('ambiguous: the second', back - shift / 2 - std, (back - shift / 2)::date - 7, null, 0, 7, 0, (back - shift / 2)::time),
        ('a day over the gap', forward::date + time '12:00' - dst, forward::date - 1, '12:00', 0, 1, 0, null),
        ('a week over the gap, at nine', forward::date + time '09:00' - dst, forward::date - 7, null, 0, 7, 0, '09:00'),
        ('24 hours over the gap', forward::date + time '12:00' - std, forward::date - 1, '12:00', 0, 0, 86400, null),
        ('24 hours back over the gap', forward::date - 1 + time '12:00' - std - shift, forward::date, '12:00', 0, 0, -86400, null),
        ('a day over the change back', fall + interval '1 day 12:00' - std, fall::date - 1, '12:00', 0, 2, 0, null),
        ('48 hours over the change back', fall + interval '1 day 12:00' - dst, fall::date - 1, '12:00', 0, 0, 172800, null),
        ('a month back, clamped', timestamp '2026-02-28 09:00' - february, '2026-03-31'::date, null, -1, 0, 0, '09:00'),
        ('a year after a leap day', timestamp '2029-02-28 09:00' - february, '2028-02-29'::date, null, 12, 0, 0, '09:00'),
        ('four years after', timestamp '2032-02-29 09:00' - february, '2028-02-29'::date, null, 48, 0, 0, '09:00'),
        ('a month before the end of a leap year''s March', timestamp '2028-02-29 09:00' - february, '2028-03-31'::date, null, -1, 0, 0, '09:00')
    ) x(what, wanted, d, t, months, days, seconds, at);
select is_empty('select * from changes where found is distinct from wanted', 'both changes and leap days in every zone');
select cmp_ok((select count(*) from changes)::int, '>=', 12 * 13, 'of at least twelve');

-- ---- windows
create temporary table windows (w jsonb);
insert into windows values ('{"days": 31, "from": 540, "to": 1140}'), ('{"days": 127, "from": 0, "to": 1}'), ('{"days": 64, "from": 1380, "to": 1440}'), ('{"days": 127, "from": 480, "to": 1200}');
create temporary table tried as
    select z.name, w.w, t.at, automation_priv.open_instant(t.at, z.name, w.w, null) as open
    from (select distinct zone as name from cases) z cross join windows w
    cross join generate_series('2026-03-20 00:17+00'::timestamptz, '2026-04-10 00:00+00', '317 minutes') t(at);
select is_empty($$ select * from tried where open < at $$, 'a window never makes anything earlier');
select is_empty($$ select * from tried where automation_priv.open_instant(open, name, w, null) <> open $$, 'asked twice it changes nothing');
select is_empty($$ select * from tried where open > at + interval '8 days' $$, 'and opens within a week');
select is_empty($$ select * from (select open, lag(open) over (partition by name, w order by at) as before from tried) x where open < before $$, 'what was due first stays first');
select is_empty($$ select * from (select t.at, automation_priv.open_instant(t.at, t.name, t.w, t.at + interval '3 hours') as open from tried t) x
    where open > at + interval '3 hours' $$, 'with a limit nothing comes after it');
select is(automation_priv.open_instant('2026-06-20 20:00+00', 'UTC', '{"days": 127, "from": 540, "to": 1140}', '2026-06-21 08:00+00'), '2026-06-20 18:59+00'::timestamptz,
    'but at the last open minute before');

-- ---- derived milestones
insert into automation.milestones (tenant_id, wedding_id, name, source, derived_from, derived_days, derived_time) values
    ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'wedding_end', 'derived', 'ceremony', 1, '02:00'),
    ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'gallery_due', 'derived', 'wedding_end', 41, null),
    ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'album_design', 'derived', 'gallery_due', 30, null);
select is((select local_date + local_time from automation.milestones where name = 'wedding_end'), '2031-06-15 02:00'::timestamp, 'the end after midnight');
select is((select local_date from automation.milestones where name = 'album_design'), '2031-08-25'::date, 'a chain');
update automation.weddings set ceremony_date = '2031-07-05';
select is((select local_date from automation.milestones where name = 'album_design'), '2031-09-15'::date, 'follows a move');
select throws_like($$ update automation.milestones set derived_from = 'album_design', derived_days = 1, source = 'derived' where name = 'gallery_due' $$,
    'milestone ''gallery_due'': it is derived from itself%');
select throws_like($$ update automation.milestones set derived_from = 'wedding_end' where name = 'wedding_end' $$, 'milestone ''wedding_end'': it is derived from itself%');
delete from automation.milestones where name = 'gallery_due';
select is((select local_date from automation.milestones where name = 'album_design'), null, 'what follows nothing has no date');

-- ---- the time zone database
select is_empty($$ select automation_priv.refresh_zones() $$, 'the first look only notes');
select is_empty($$ select automation_priv.refresh_zones() $$, 'nothing has changed');
update automation_priv.zones set rules = 'of yesterday' where name = 'Europe/Lisbon';
create temporary table before as select revision from automation.weddings;
select results_eq($$ select automation_priv.refresh_zones() $$, array['Europe/Lisbon'], 'a zone that changed is named');
select is((select w.revision - b.revision from automation.weddings w, before b), 1::bigint, 'and its weddings are derived anew');
update automation_priv.zones set year = year - 1, rules = automation_priv.zone_rules(name, year - 1);
select is_empty($$ select automation_priv.refresh_zones() $$, 'a new year alone changes nothing');
update automation_priv.zones set year = year - 1, rules = 'of the year before' where name = 'Europe/Lisbon';
select results_eq($$ select automation_priv.refresh_zones() $$, array['Europe/Lisbon'], 'what changed over the turn of the year is found');

-- ---- milestones that a trigger of the host's writes
create temporary table host (d date);
create function pg_temp.host_after() returns trigger language plpgsql as $$
begin
    insert into automation.milestones (tenant_id, wedding_id, name, source, local_date)
    values ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'contract_signed', 'stored', new.d)
    on conflict (tenant_id, wedding_id, name) do update set local_date = excluded.local_date;
    return null;
end $$;
create trigger host_after after insert on host for each row execute function pg_temp.host_after();
insert into automation.timing_keys (tenant_id, timing_id, milestone, months, days, seconds, at_time, zone_mode)
values ('10000000-0000-4000-8000-000000000001', '40000000-0000-4000-8000-000000000009', 'contract_signed', 0, 7, 0, '09:00', 'wedding');
insert into host values ('2031-01-10');
select is((select due_at from automation.timings where timing_id = '40000000-0000-4000-8000-000000000009'), '2031-01-17 09:00+00', 'give their timings an instant');
insert into host values ('2031-01-20');
select is((select due_at from automation.timings where timing_id = '40000000-0000-4000-8000-000000000009'), '2031-01-27 09:00+00', 'and move it');
delete from automation.timing_keys where timing_id = '40000000-0000-4000-8000-000000000009';
delete from automation.timings where timing_id = '40000000-0000-4000-8000-000000000009';

-- ---- the diff of a move
insert into automation.rules (tenant_id, rule_id, name, status, definition, validated_revision, trigger_type, timing_id) values
    ('10000000-0000-4000-8000-000000000001', '30000000-0000-4000-8000-000000000001', 'month', 'active',
     '{"schema_version": 1, "name": "month", "trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P30D", "at": "09:00"},
       "actions": [{"type": "create_note", "params": {"body": "n"}}]}', 1, 'milestone', '40000000-0000-4000-8000-000000000001');
insert into automation.timing_keys (tenant_id, timing_id, milestone, months, days, seconds, at_time, zone_mode)
values ('10000000-0000-4000-8000-000000000001', '40000000-0000-4000-8000-000000000001', 'ceremony', 0, -30, 0, '09:00', 'wedding');
select automation_priv.refresh_timings('10000000-0000-4000-8000-000000000001', null, null);
select results_eq($$ select rule, change, to_at from automation.move_wedding('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', '2031-09-06', p_dry_run => true) $$,
    $$ values ('month', 'moved', '2031-08-07 08:00+00'::timestamptz) $$, 'a dry run tells');
select is((select ceremony_date from automation.weddings), '2031-07-05'::date, 'and changes nothing');
select results_eq($$ select change from automation.move_wedding('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', null) $$, array['unscheduled'],
    'postponed without a date');
select results_eq($$ select state, reason from automation.wedding_timeline('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001') $$,
    $$ values ('suspended', 'anchor_missing:ceremony') $$, 'and the timeline says so');
update automation.weddings set status = 'postponed';
select results_eq($$ select change, from_at, to_at from automation.move_wedding('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', '2031-09-06', p_dry_run => true) $$,
    $$ values ('moved', null::timestamptz, '2031-08-07 08:00+00'::timestamptz) $$, 'a postponed wedding that is given a date: what it will mean');
update automation.weddings set status = 'cancelled';
select results_eq($$ select change from automation.move_wedding('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', '2031-09-06', p_dry_run => true) $$,
    array['unscheduled'], 'a cancelled one stays off');
-- The third year's instant lies in that year's window, not behind the first year's wedding.
select is(automation_priv.timing_instant(k, '2031-06-14', '15:00', 'Europe/Lisbon', 'Europe/Lisbon', 3), '2033-05-16 08:00+00', 'each year has its own limit')
from jsonb_populate_record(null::automation.timing_keys, '{"months": 0, "days": -30, "seconds": 0, "at_time": "22:30", "zone_mode": "wedding", "yearly": 3,
    "send_window": {"days": 127, "from": 540, "to": 1140}}') k;

-- In the tenant's own zone a wedding abroad still ends what comes before it, and hours before it are counted from it.
select is(automation_priv.timing_instant(k, '2031-06-14', '15:00', 'Europe/Lisbon', 'America/New_York', 1), '2031-06-13 22:59+00',
    'a window of New York opens after the wedding in Lisbon: the last open minute before')
from jsonb_populate_record(null::automation.timing_keys, '{"months": 0, "days": -1, "seconds": 0, "at_time": "20:00", "zone_mode": "tenant",
    "send_window": {"days": 127, "from": 660, "to": 1140}}') k;
select is(automation_priv.timing_instant(k, '2031-06-14', '15:00', 'Europe/Lisbon', 'America/New_York', 1), '2031-06-14 12:00+00', 'two hours before it')
from jsonb_populate_record(null::automation.timing_keys, '{"months": 0, "days": 0, "seconds": -7200, "zone_mode": "tenant"}') k;

-- ---- what fires again after a move: only for a rule that is active and says refire
set local session_replication_role = replica; -- the rows as a tick has left them, without what their triggers would do
insert into automation.timing_keys (tenant_id, timing_id, milestone, months, days, seconds, at_time, zone_mode)
values ('10000000-0000-4000-8000-000000000001', '90000000-0000-4000-8000-000000000001', 'ceremony', 0, -3, 0, '09:00', 'wedding');
insert into automation.timings (tenant_id, wedding_id, timing_id, state, due_at, fired_due, revision)
values ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', '90000000-0000-4000-8000-000000000001', 'fired', '2031-06-11 08:00+00',
    '2031-05-11 08:00+00', 1);
insert into automation.rules (tenant_id, rule_id, name, status, timing_id, definition)
values ('10000000-0000-4000-8000-000000000001', '90000000-0000-4000-8000-000000000002', 'again', 'paused', '90000000-0000-4000-8000-000000000001',
    '{"settings": {"on_date_change": "refire"}}');
create function pg_temp.refired() returns text language plpgsql as $$
begin
    perform automation_priv.refire_timings('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001');
    return (select state || ' ' || occurrence from automation.timings where timing_id = '90000000-0000-4000-8000-000000000001');
end $$;
select is(pg_temp.refired(), 'fired 1', 'a paused rule makes nothing fire again');
update automation.rules set status = 'active' where rule_id = '90000000-0000-4000-8000-000000000002';
select is(pg_temp.refired(), 'pending 2', 'an active one does');
set local session_replication_role = origin;

-- ---- a move that a claim found before the leader did: the run is superseded already, and its timing fires at the new instant
update automation.weddings set status = 'booked', ceremony_date = '2031-06-14', ceremony_time = '15:00';
select automation_priv.leader_take('test') as term \gset
select is(automation_priv.replan_weddings(:term, 10), 1, 'the leader has looked');
update automation.rules set status = 'paused' where rule_id = '90000000-0000-4000-8000-000000000002'; -- the one that says refire
update automation.timings set state = 'fired', fired_due = due_at where timing_id = '40000000-0000-4000-8000-000000000001';
insert into automation.runs (tenant_id, run_id, rule_id, rule_revision, wedding_id, trigger_type, trigger_ref, due_at, state, reason, wedding_revision,
    started_at)
values ('10000000-0000-4000-8000-000000000001', '90000000-0000-4000-8000-000000000003', '30000000-0000-4000-8000-000000000001', 1, '20000000-0000-4000-8000-000000000001',
    'milestone', '40000000-0000-4000-8000-000000000001', '2031-05-15 08:00+00', 'superseded', 'wedding_moved', 1, now());
create function pg_temp.timing() returns text language sql as $$
    select state || ' ' || (due_at at time zone 'UTC') from automation.timings where timing_id = '40000000-0000-4000-8000-000000000001' $$;
update automation.weddings set ceremony_date = '2031-09-06';
select is(pg_temp.timing(), 'fired 2031-08-07 08:00:00', 'the host''s transaction leaves what has fired');
select automation_priv.replan_weddings(:term, 10);
select is(pg_temp.timing(), 'pending 2031-08-07 08:00:00', 'the leader lets it fire again');
update automation.timings set state = 'fired' where timing_id = '40000000-0000-4000-8000-000000000001';
update automation.runs set acted = true;
update automation.weddings set ceremony_date = '2031-09-13';
select automation_priv.replan_weddings(:term, 10);
select is(pg_temp.timing(), 'fired 2031-08-14 08:00:00', 'but not what has acted');

select * from finish();
rollback;
