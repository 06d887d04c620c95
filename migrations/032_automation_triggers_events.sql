-- 032: events and the outbox, timings, the triggers on weddings and milestones, planning of runs, effects of rules on our own tables,
-- and the stepped clock.

set local role automation_owner;

-- ---- events -------------------------------------------------------------------------------------------------------------------------
-- What happened and has not been dispatched yet. Claimed with DELETE … SKIP LOCKED, so a slow transaction's row is never passed over.
create table automation_priv.outbox (
    id bigint generated always as identity primary key,
    event_id uuid not null unique,
    tenant_id uuid not null,
    event_type text not null check (event_type ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$' and length(event_type) <= 64),
    wedding_id uuid,
    payload jsonb not null default '{}' check (jsonb_typeof(payload) = 'object' and pg_column_size(payload) <= 65536),
    causation_id uuid,
    hops smallint not null default 0 check (hops between 0 and 8),
    occurred_at timestamptz not null,
    available_at timestamptz not null,
    marks smallint not null default 0
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
create index outbox_next on automation_priv.outbox (available_at, event_id);
create index outbox_tenant on automation_priv.outbox (tenant_id, available_at, event_id);

-- An event that was being dispatched alone when two leaders in turn died.
create table automation_priv.outbox_quarantine (like automation_priv.outbox, quarantined_at timestamptz not null default clock_timestamp());

create table automation.trigger_events (
    tenant_id uuid not null,
    event_id uuid not null,
    seq bigint generated always as identity,
    event_type text not null,
    wedding_id uuid,
    payload jsonb not null,
    causation_id uuid,
    hops smallint not null,
    occurred_at timestamptz not null,
    dispatched_at timestamptz not null,
    primary key (tenant_id, event_id)
);
create index trigger_events_lookback on automation.trigger_events (tenant_id, wedding_id, event_type, seq);
create index trigger_events_dispatched on automation.trigger_events (dispatched_at); -- for the purge
alter table automation.trigger_events enable row level security;

create function automation_priv.check_event(p_tenant uuid, p_type text, p_wedding uuid, p_payload jsonb, p_at timestamptz) returns void
language plpgsql stable set search_path = '' as $$
begin
    if p_type is null or p_type !~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$' or length(p_type) > 64 then
        raise exception 'event type %: expected lower-case words joined by dots, such as payment.received', quote_nullable(p_type) using errcode = '22023';
    elsif p_payload is null or jsonb_typeof(p_payload) <> 'object' then
        raise exception 'event payload: found %; expected an object', coalesce(jsonb_typeof(p_payload), 'NULL') using errcode = '22023';
    elsif not isfinite(p_at) then
        raise exception 'event at %: expected an instant', p_at using errcode = '22023';
    elsif not exists (select from automation.tenants t where t.tenant_id = p_tenant) then
        raise exception 'unknown tenant %', coalesce(p_tenant::text, 'NULL') using errcode = '22023';
    elsif p_wedding is not null and not exists (select from automation.weddings w where w.tenant_id = p_tenant and w.wedding_id = p_wedding) then
        raise exception 'tenant % has no wedding %', p_tenant, p_wedding using errcode = '22023';
    end if;
end $$;

-- Appends an event in the caller's transaction. The same event id is one event, however often it is published.
create function automation.publish_event(p_tenant uuid, p_type text, p_wedding uuid default null, p_payload jsonb default '{}',
    p_event_id uuid default null, p_at timestamptz default null)
returns uuid
language plpgsql security definer set search_path = '' as $$
declare
    v_id uuid := coalesce(p_event_id, gen_random_uuid());
    v_now timestamptz := automation.now();
    v_hops smallint := coalesce(nullif(current_setting('automation.hops', true), '')::smallint, 0);
begin
    perform automation_priv.check_event(p_tenant, p_type, p_wedding, p_payload, p_at);
    if exists (select from automation.trigger_events e where e.tenant_id = p_tenant and e.event_id = v_id) then
        return v_id;
    elsif v_hops >= 8 then
        raise exception 'event % was caused by a chain of 8 events: rules that start each other without end', p_type using errcode = '22023';
    end if;
    insert into automation_priv.outbox (event_id, tenant_id, event_type, wedding_id, payload, causation_id, hops, occurred_at, available_at)
    values (v_id, p_tenant, p_type, p_wedding, p_payload, nullif(current_setting('automation.causation', true), '')::uuid, v_hops,
            coalesce(p_at, v_now), greatest(coalesce(p_at, v_now), v_now))
    on conflict (event_id) do nothing;
    perform automation_priv.wake();
    return v_id;
end $$;
grant execute on function automation.publish_event to automation_worker, automation_scheduler;

-- ---- timings ------------------------------------------------------------------------------------------------------------------------
-- A timing key is a distinct (milestone, offset, local time, zone mode) that active rules of a tenant use; a timing is its instant for one
-- wedding. Rules are looked up at the tick, so nothing is stored per rule and wedding.
create table automation.timing_keys (
    tenant_id uuid not null references automation.tenants on delete cascade,
    timing_id uuid not null, -- derived from the key's canonical text
    milestone text not null,
    months integer not null,
    days integer not null,
    seconds bigint not null,
    at_time time, -- null: the offset is exact and counts from the anchor's instant
    zone_mode text not null, -- wedding, tenant, or an IANA name
    send_window jsonb, -- {"days": bits, Monday first, "from": minute, "to": minute}; null: any time
    yearly smallint, -- so many occurrences, a year apart; null: one
    -- The transaction that made it, until every one that ran beside it is over: those have not seen this key, and it has not seen their weddings.
    made_in xid8 default pg_current_xact_id(),
    primary key (tenant_id, timing_id)
);
create index timing_keys_new on automation.timing_keys (made_in) where made_in is not null;
alter table automation.timing_keys enable row level security;

create table automation.timings (
    tenant_id uuid not null,
    wedding_id uuid not null,
    timing_id uuid not null,
    state text not null check (state in ('pending', 'fired', 'suspended')),
    due_at timestamptz,
    revision bigint not null,
    occurrence smallint not null default 1, -- of a yearly timing, or of one that fires again after a move
    fired_at timestamptz,
    fired_due timestamptz, -- the instant that it fired for
    primary key (tenant_id, wedding_id, timing_id),
    foreign key (tenant_id, wedding_id) references automation.weddings on delete cascade,
    check (state <> 'pending' or due_at is not null)
) with (fillfactor = 80);
create index timings_due on automation.timings (due_at) where state = 'pending';
alter table automation.timings enable row level security;

-- Months and days are nominal on the local calendar (RFC 5545 3.3.6); p_at is the local time of the result, or null for an exact offset, which
-- keeps the anchor's local time and adds seconds as elapsed time. The only place where local times become instants; ambiguous ones take PostgreSQL's choice, the second.
-- An expression without `select` needs no executor of its own: a moved wedding asks this once for each of its timings.
create function automation_priv.instant(p_date date, p_time time, p_zone text, p_months integer, p_days integer, p_seconds bigint, p_at time)
returns timestamptz
language plpgsql stable set search_path = '' as $$
begin
    return case when p_at is not null
        then ((p_date + make_interval(months => p_months, days => p_days))::date + p_at) at time zone p_zone
        else ((p_date + make_interval(months => p_months, days => p_days))::date + p_time) at time zone p_zone + p_seconds * interval '1 second' end;
end $$;

-- The first open instant of a window that is not before p_at: p_at itself where that is open, so asking twice changes nothing. Where that would be after
-- p_limit, the last open minute before p_at instead; where there is none within a week, p_at.
create function automation_priv.open_instant(p_at timestamptz, p_zone text, p_window jsonb, p_limit timestamptz) returns timestamptz
language plpgsql stable set search_path = '' as $$
declare
    v_local timestamp := p_at at time zone p_zone;
    v_minute integer := extract(hour from v_local) * 60 + extract(minute from v_local);
    v_days integer := (p_window ->> 'days')::integer;
    v_from integer := (p_window ->> 'from')::integer;
    v_to integer := (p_window ->> 'to')::integer;
    v_open timestamptz;
begin
    if p_window is null or p_at is null or ((v_days >> (extract(isodow from v_local)::integer - 1)) & 1 = 1 and v_minute >= v_from and v_minute < v_to) then
        return p_at;
    end if;
    select min(x.t) into v_open from generate_series(0, 7) n
    cross join lateral (select v_local::date + n as day) d
    cross join lateral (select (d.day + make_interval(mins => v_from)) at time zone p_zone as t) x
    where (v_days >> (extract(isodow from d.day)::integer - 1)) & 1 = 1 and x.t >= p_at;
    if p_limit is not null and v_open > p_limit then
        select max(x.t) into v_open from generate_series(0, 7) n
        cross join lateral (select v_local::date - n as day) d
        cross join lateral (select (d.day + make_interval(mins => v_to - 1)) at time zone p_zone as t) x
        where (v_days >> (extract(isodow from d.day)::integer - 1)) & 1 = 1 and x.t <= least(p_at, p_limit);
    end if;
    return coalesce(v_open, p_at);
end $$;

-- The latest that something due before a milestone may come: its instant, or the end of its day where it has no time.
create function automation_priv.anchor_limit(p_date date, p_time time, p_zone text) returns timestamptz
language plpgsql stable set search_path = '' as $$
begin
    return case when p_time is null then (p_date + 1)::timestamp at time zone p_zone else (p_date + p_time) at time zone p_zone end;
end $$;

-- The limit that still lies ahead at p_at: null when it has passed; that of the next year for what comes yearly.
create function automation_priv.limit_ahead(p_date date, p_time time, p_zone text, p_yearly boolean, p_at timestamptz) returns timestamptz
language plpgsql stable set search_path = '' as $$
declare
    v_years integer := case when p_yearly then greatest(0, extract(year from p_at at time zone p_zone) - extract(year from p_date)) else 0 end;
begin
    return (select min(x.t) from generate_series(v_years, v_years + coalesce(p_yearly, false)::integer) n
        cross join lateral (select automation_priv.anchor_limit((p_date + make_interval(years => n))::date, p_time, p_zone) as t) x where x.t >= p_at);
end $$;

-- A timing's instant for one wedding: what is due before its anchor is not moved past it by the window.
create function automation_priv.timing_instant(k automation.timing_keys, p_date date, p_time time, p_wedding_zone text, p_tenant_zone text, p_occurrence integer)
returns timestamptz
language plpgsql stable set search_path = '' as $$
declare
    v_zone text := case k.zone_mode when 'wedding' then p_wedding_zone when 'tenant' then p_tenant_zone else k.zone_mode end;
    v_years interval := make_interval(years => case when k.yearly is null then 0 else p_occurrence - 1 end);
    -- Without a time of its own it keeps the anchor's, which is the wedding's.
    v_at timestamptz := automation_priv.instant(p_date, p_time, case when k.at_time is null then p_wedding_zone else v_zone end, k.months + case when k.yearly is null then 0 else 12 * (p_occurrence - 1) end, k.days,
        k.seconds, k.at_time);
begin
    if k.send_window is null then return v_at; end if;
    return automation_priv.open_instant(v_at, v_zone, k.send_window,
        case when least(k.months, k.days, k.seconds) < 0 then automation_priv.anchor_limit((p_date + v_years)::date, p_time, p_wedding_zone) end);
end $$;

-- Brings the timings of some weddings (null: all of the tenant) and some keys (null: all) in line. Fired ones stay fired, unless they are in p_again.
create function automation_priv.refresh_timings(p_tenant uuid, p_weddings uuid[], p_timing uuid, p_again uuid[] default '{}') returns void
language plpgsql security definer set search_path = '' as $$
begin
    insert into automation.timings as t (tenant_id, wedding_id, timing_id, state, due_at, revision)
    select w.tenant_id, w.wedding_id, k.timing_id,
           case when d.due_at is null or w.status in ('postponed', 'cancelled', 'archived') then 'suspended' else 'pending' end, d.due_at, w.revision
    from automation.weddings w
    join automation.tenants n using (tenant_id)
    join automation.timing_keys k using (tenant_id)
    left join automation.milestones m on m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id and m.name = k.milestone
    cross join lateral (select automation_priv.timing_instant(k, m.local_date, m.local_time, w.time_zone, n.time_zone, case when k.yearly is not null then
        coalesce((select s.occurrence from automation.timings s where s.tenant_id = w.tenant_id and s.wedding_id = w.wedding_id and s.timing_id = k.timing_id), 1)
        else 1 end) as due_at) d
    where w.tenant_id = p_tenant and (p_weddings is null or w.wedding_id = any (p_weddings)) and (p_timing is null or k.timing_id = p_timing)
    order by w.wedding_id, k.timing_id
    on conflict (tenant_id, wedding_id, timing_id) do update set
        due_at = excluded.due_at, revision = excluded.revision,
        state = case when t.state = 'fired' and not t.timing_id = any (p_again) then 'fired' else excluded.state end
    where (t.due_at, t.revision, t.state) is distinct from (excluded.due_at, excluded.revision, excluded.state);
end $$;

-- A yearly timing's instant a year on.
create function automation_priv.timing_due(p_tenant uuid, p_wedding uuid, p_timing uuid, p_occurrence integer) returns timestamptz
language plpgsql stable security definer set search_path = '' as $$
begin
    return (
    select automation_priv.timing_instant(k, m.local_date, m.local_time, w.time_zone, n.time_zone, p_occurrence)
    from automation.weddings w join automation.tenants n using (tenant_id) join automation.timing_keys k using (tenant_id)
    left join automation.milestones m on m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id and m.name = k.milestone
    where w.tenant_id = p_tenant and w.wedding_id = p_wedding and k.timing_id = p_timing);
end $$;

-- After a move: timings that have fired for another instant and that a rule with on_date_change `refire` uses fire once more.
create function automation_priv.refire_timings(p_tenant uuid, p_wedding uuid) returns void
language plpgsql security definer set search_path = '' as $$
begin
    update automation.timings t set state = 'pending', occurrence = (t.occurrence + 1)::smallint
    where t.tenant_id = p_tenant and t.wedding_id = p_wedding and t.state = 'fired' and t.due_at <> t.fired_due
      and exists (select from automation.timing_keys k where k.tenant_id = p_tenant and k.timing_id = t.timing_id and k.yearly is null)
      and exists (select from automation.rules r where r.tenant_id = p_tenant and r.timing_id = t.timing_id and r.status = 'active'
          and r.definition #>> '{settings,on_date_change}' = 'refire');
end $$;

-- The instant a step is due, from its specification, and the wedding's revision where it derives from the wedding's date.
create function automation_priv.resolve_due(p_tenant uuid, p_wedding uuid, p_spec jsonb, p_now timestamptz)
returns table (due_at timestamptz, revision bigint)
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
begin
    if p_spec is null or p_spec = '{}' then
        return query select p_now, null::bigint;
        return;
    end if;
    return query
    select case
            when p_spec ? 'window' then (select case when x.t > v.top then p_now else x.t end
                from (select automation_priv.limit_ahead(m.local_date, m.local_time, z.zone, (p_spec #> '{window,yearly}')::boolean, p_now) as top) v
                cross join lateral (select automation_priv.open_instant(p_now, case p_spec #>> '{window,zone}' when 'wedding' then w.time_zone when 'tenant'
                    then n.time_zone else p_spec #>> '{window,zone}' end, p_spec -> 'window', null) as t) x)
            when p_spec ? 'milestone' then (select case when x.t is null or w.status = 'postponed' then null else greatest(p_now, x.t) end -- greatest() skips nulls
                from (select automation_priv.instant(m.local_date, m.local_time, z.zone, (p_spec ->> 'months')::integer,
                    (p_spec ->> 'days')::integer, (p_spec ->> 'seconds')::bigint, (p_spec ->> 'at')::time) as t) x)
            when p_spec ? 'time' then (select min(x.t) from (values (0), (1)) as d(n)
                cross join lateral (select ((p_now at time zone z.zone)::date + d.n + (p_spec ->> 'time')::time) at time zone z.zone as t) x where x.t >= p_now)
            else ((p_now at time zone z.zone) + make_interval(months => coalesce((p_spec ->> 'months')::integer, 0), days => coalesce((p_spec ->> 'days')::integer, 0)))
                at time zone z.zone + coalesce((p_spec ->> 'seconds')::bigint, 0) * interval '1 second'
        end,
        case when p_spec ? 'milestone' then w.revision end
    from (select 1) one
    left join automation.weddings w on w.tenant_id = p_tenant and w.wedding_id = p_wedding
    left join automation.milestones m on m.tenant_id = p_tenant and m.wedding_id = p_wedding and m.name = coalesce(p_spec ->> 'milestone', p_spec #>> '{window,limit}')
    left join automation.tenants n on n.tenant_id = p_tenant
    cross join lateral (select coalesce(w.time_zone, n.time_zone, 'UTC') as zone) z;
end $$;

-- ---- load shape --------------------------------------------------------------------------------------------------------------------------
-- The leader's settings (--smear-above, --smear-within), here because previews answer by them too.
create table automation_priv.load_shape (
    one boolean primary key default true check (one),
    above integer not null default 0, -- runs due in one minute that are not spread; 0: none ever is
    within_s integer not null default 1800
);
insert into automation_priv.load_shape default values;
-- Minutes in which more fell due: written when the first of it is planned, since what is planned is no longer counted.
create table automation_priv.herds (
    minute timestamptz primary key,
    seconds integer not null check (seconds > 0)
);

create function automation_priv.shape_load(p_term bigint, p_above integer, p_within_s integer) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    perform automation_priv.lead(p_term);
    update automation_priv.load_shape x set above = p_above, within_s = p_within_s where (x.above, x.within_s) is distinct from (p_above, p_within_s);
    return found;
end $$;

-- Over how many seconds what is due in a minute is spread; 0: it is not. Counts runs as if all conditions held.
create function automation_priv.herd_seconds(p_at timestamptz) returns integer
language plpgsql stable security definer set search_path = '' set enable_seqscan = off as $$
declare
    v_minute timestamptz := date_trunc('minute', p_at);
    s automation_priv.load_shape;
    v_seconds integer;
    n bigint;
begin
    select x.seconds into v_seconds from automation_priv.herds x where x.minute = v_minute;
    if found then return v_seconds; end if;
    select x.* into s from automation_priv.load_shape x;
    if s.above = 0 then return 0; end if;
    select coalesce(sum(c.weddings * r.rules), 0) into n
    from (select t.tenant_id, t.timing_id, count(*) as weddings from automation.timings t
          where t.state = 'pending' and t.due_at >= v_minute and t.due_at < v_minute + interval '1 minute' group by 1, 2) c
    cross join lateral (select count(*) as rules from automation.rules u where u.tenant_id = c.tenant_id and u.timing_id = c.timing_id and u.status = 'active') r;
    return case when n > s.above then least(s.within_s, ceil(60.0 * n / s.above)) else 0 end;
end $$;

-- Before due timings are taken: the herds among the minutes of the next p_limit.
create function automation_priv.due_herds(p_term bigint, p_limit integer) returns table (minute timestamptz, seconds integer)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
begin
    perform automation_priv.lead(p_term);
    return query
    with due as (
        select distinct date_trunc('minute', t.due_at) as minute
        from (select x.due_at from automation.timings x where x.state = 'pending' and x.due_at <= automation.now() order by x.due_at limit p_limit) t),
    spans as materialized (
        select d.minute, automation_priv.herd_seconds(d.minute) as seconds from due d),
    noted as (
        insert into automation_priv.herds select s.minute, s.seconds from spans s where s.seconds > 0 on conflict do nothing)
    select s.minute, s.seconds from spans s where s.seconds > 0;
end $$;

-- Where a run begins that may be moved on from its planned moment: by its share of a span that ends with the send window or the local day, and with the
-- milestone that the run is to be before. What has less than half a day until then takes no part in the smear of a herd.
create function automation_priv.spread_due(p_tenant uuid, p_wedding uuid, p_spread jsonb, p_at timestamptz) returns timestamptz
language plpgsql stable security definer set search_path = '' as $$
declare
    v_seconds double precision := (p_spread ->> 'seconds')::double precision;
    v_limit timestamptz;
    v_zone text;
begin
    select case p_spread ->> 'zone' when 'wedding' then w.time_zone when 'tenant' then n.time_zone else p_spread ->> 'zone' end,
        automation_priv.limit_ahead(m.local_date, m.local_time, w.time_zone, (p_spread -> 'yearly')::boolean, p_at) into v_zone, v_limit
    from automation.weddings w join automation.tenants n using (tenant_id)
    left join automation.milestones m on m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id and m.name = p_spread ->> 'limit'
    where w.tenant_id = p_tenant and w.wedding_id = p_wedding;
    if v_limit is null or v_limit >= p_at + interval '12 hours' then
        v_seconds := greatest(v_seconds, (p_spread ->> 'herd')::double precision);
    end if;
    v_limit := least(v_limit, ((p_at at time zone v_zone)::date + make_interval(mins => (p_spread ->> 'until')::integer)) at time zone v_zone);
    v_seconds := greatest(least(v_seconds, extract(epoch from v_limit - p_at)), 0);
    return p_at + floor(v_seconds * (p_spread ->> 'share')::integer / 1000000) * interval '1 second';
end $$;

-- ---- triggers on weddings and milestones ------------------------------------------------------------------------------------------------
-- Weddings whose unclaimed jobs the leader must look at again.
create table automation_priv.wedding_changes (
    tenant_id uuid not null,
    wedding_id uuid not null,
    at timestamptz not null,
    primary key (tenant_id, wedding_id)
);

-- Names that were looked up before: the view reads every file of the time zone database, a tenth of a second each time.
create table automation_priv.zones (name text primary key, rules text, year integer); -- rules: zone_rules, as of that year
create function automation_priv.check_zone(p_zone text) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if exists (select from automation_priv.zones z where z.name = p_zone) then return; end if;
    insert into automation_priv.zones select z.name from pg_catalog.pg_timezone_names z where z.name = p_zone on conflict do nothing;
    if not found then
        raise exception 'time zone %: expected an IANA name such as Europe/Lisbon', quote_nullable(p_zone) using errcode = '22023';
    end if;
end $$;

-- What PostgreSQL's time zone database says of a zone: its offsets twice a month from two years before that year to eight after it. An update of the
-- database that changes a rule within that span changes this text.
create function automation_priv.zone_rules(p_zone text, p_year integer) returns text
language plpgsql stable security definer set search_path = '' as $$
begin
    return (
    select md5(string_agg(extract(epoch from (t at time zone p_zone) - (t at time zone 'UTC'))::text, ',' order by t))
    from generate_series(make_timestamptz(p_year - 2, 1, 1, 0, 0, 0, 'UTC'), make_timestamptz(p_year + 8, 1, 1, 0, 0, 0, 'UTC'), interval '15 days') t);
end $$;

-- After an update of the time zone database: instants of weddings and tenants in zones whose rules have changed are derived anew from their local
-- times, and their unclaimed jobs are looked at again. Returns these zones. The leader asks once a day; `usher zones refresh` at once.
create function automation_priv.refresh_zones() returns setof text
language plpgsql security definer set search_path = '' as $$
declare
    z record;
    t record;
begin
    for z in
        select x.name, x.rules as before, automation_priv.zone_rules(x.name, coalesce(x.year, y.now)) as rules, coalesce(x.year, y.now) as year, y.now as year_now
        from automation_priv.zones x cross join (select extract(year from automation.now())::integer as now) y order by x.name for update of x
    loop
        update automation_priv.zones x set year = z.year_now, rules = case when z.year = z.year_now then z.rules else automation_priv.zone_rules(z.name, z.year_now) end
        where x.name = z.name and (x.rules, x.year) is distinct from (z.rules, z.year_now);
        continue when z.before is null or z.before = z.rules; -- compared over the years that were noted
        for t in
            select w.tenant_id, array_agg(w.wedding_id order by w.wedding_id) as weddings from automation.weddings w join automation.tenants n using (tenant_id)
            where z.name in (w.time_zone, n.time_zone) or exists (select from automation.timing_keys k where k.tenant_id = w.tenant_id and k.zone_mode = z.name) group by 1 order by 1
        loop
            update automation.weddings w set revision = w.revision + 1 where w.tenant_id = t.tenant_id and w.wedding_id = any (t.weddings);
        end loop;
        return next z.name;
    end loop;
end $$;

create function automation_priv.weddings_before() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'INSERT' or new.time_zone <> old.time_zone then
        perform automation_priv.check_zone(new.time_zone);
    end if;
    if tg_op = 'UPDATE' then
        new.change_no := old.change_no + 1;
        new.updated_at := automation.now();
        if (new.ceremony_date, new.ceremony_time, new.time_zone, new.status = 'postponed')
            is distinct from (old.ceremony_date, old.ceremony_time, old.time_zone, old.status = 'postponed') and new.revision = old.revision then
            new.revision := old.revision + 1;
        end if;
    end if;
    return new;
end $$;
create trigger weddings_insert before insert on automation.weddings for each row execute function automation_priv.weddings_before();
create trigger weddings_update before update on automation.weddings for each row execute function automation_priv.weddings_before();

-- Derived milestones follow others, which may be derived themselves: one pass for each link of the chain.
create function automation_priv.derive_milestones(p_tenant uuid, p_weddings uuid[]) returns void
language plpgsql security definer set search_path = '' as $$
begin
    for pass in 1 .. 16 loop
        update automation.milestones d set local_date = m.local_date + d.derived_days,
            local_time = case when m.local_date is not null then coalesce(d.derived_time, m.local_time) end
        from automation.milestones m
        where d.tenant_id = p_tenant and d.wedding_id = any (p_weddings) and d.source = 'derived' and m.tenant_id = d.tenant_id
          and m.wedding_id = d.wedding_id and m.name = d.derived_from
          and (d.local_date, d.local_time) is distinct from (m.local_date + d.derived_days, case when m.local_date is not null then coalesce(d.derived_time, m.local_time) end);
        exit when not found;
    end loop;
    -- What it followed is gone: it has no date until that comes again.
    update automation.milestones d set local_date = null, local_time = null
    where d.tenant_id = p_tenant and d.wedding_id = any (p_weddings) and d.source = 'derived' and d.local_date is not null
      and not exists (select from automation.milestones m where m.tenant_id = d.tenant_id and m.wedding_id = d.wedding_id and m.name = d.derived_from);
end $$;

-- A chain of derived milestones ends at one that is not: a cycle, or more than 16 links, is refused.
create function automation_priv.milestones_before() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_from text := new.derived_from;
    v_links integer := 0;
begin
    while v_from is not null loop
        v_links := v_links + 1;
        if v_from = new.name or v_links > 16 then
            raise exception 'milestone %: it is derived from itself, or over more than 16 others', quote_literal(new.name) using errcode = '22023';
        end if;
        select m.derived_from into v_from from automation.milestones m where m.tenant_id = new.tenant_id and m.wedding_id = new.wedding_id and m.name = v_from;
    end loop;
    return new;
end $$;
create trigger milestones_before before insert or update of derived_from, name on automation.milestones
    for each row when (new.derived_from is not null) execute function automation_priv.milestones_before();

-- After a statement on weddings: mirror dates into milestones, bring timings in line, note the change for the leader, publish events.
create function automation_priv.weddings_after() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_now timestamptz := automation.now();
    t record;
    c record;
begin
    perform set_config('automation.deriving', 'on', true); -- milestones_after leaves these to us
    insert into automation.milestones as m (tenant_id, wedding_id, name, source, local_date, local_time)
    select w.tenant_id, w.wedding_id, x.name, 'wedding', x.d, x.t from new_rows w
    cross join lateral (values ('ceremony', w.ceremony_date, coalesce(w.ceremony_time, '15:00')), ('inquiry_received', w.inquired_on, null),
        ('booking_confirmed', w.booked_on, null), ('anniversary', (w.ceremony_date + interval '1 year')::date, null)) x(name, d, t)
    order by 1, 2, 3
    on conflict (tenant_id, wedding_id, name) do update set local_date = excluded.local_date, local_time = excluded.local_time
    where (m.local_date, m.local_time) is distinct from (excluded.local_date, excluded.local_time);

    for t in select w.tenant_id, array_agg(w.wedding_id order by w.wedding_id) as weddings from new_rows w group by 1 order by 1 loop
        perform automation_priv.derive_milestones(t.tenant_id, t.weddings);
        perform automation_priv.refresh_timings(t.tenant_id, t.weddings, null);
    end loop;
    perform set_config('automation.deriving', 'off', true);

    if tg_op = 'INSERT' then
        for c in select * from new_rows order by tenant_id, wedding_id loop
            perform automation_priv.wedding_event(c.tenant_id, c.wedding_id, c.change_no, 'wedding.created', jsonb_build_object('status', c.status));
        end loop;
        return null;
    end if;

    for c in
        select n.tenant_id, n.wedding_id, n.change_no, n.revision <> o.revision as moved, n.status, o.status as old_status, n.stage, o.stage as old_stage,
               n.ceremony_date, o.ceremony_date as old_date, n.guest_count, o.guest_count as old_guests
        -- A full join, which can not become a nested loop: the plan is kept from a first call with one row.
        from new_rows n full join old_rows o on o.tenant_id = n.tenant_id and o.wedding_id = n.wedding_id
        where (n.revision, n.status, n.stage, n.guest_count) is distinct from (o.revision, o.status, o.stage, o.guest_count)
        order by n.tenant_id, n.wedding_id
    loop
        continue when c.wedding_id is null or c.old_status is null;
        if c.moved or c.status <> c.old_status then
            insert into automation_priv.wedding_changes values (c.tenant_id, c.wedding_id, v_now) on conflict do nothing;
        end if;
        if c.ceremony_date is distinct from c.old_date then
            perform automation_priv.wedding_event(c.tenant_id, c.wedding_id, c.change_no,
                case when c.old_date is null then 'wedding.date_set' when c.ceremony_date is null then 'wedding.date_removed' else 'wedding.date_changed' end,
                jsonb_build_object('from', c.old_date, 'to', c.ceremony_date, 'changed', jsonb_build_array('wedding.date'), 'old', jsonb_build_object('wedding.date', c.old_date)));
        end if;
        if c.status <> c.old_status then
            perform automation_priv.wedding_event(c.tenant_id, c.wedding_id, c.change_no, 'wedding.status_changed',
                jsonb_build_object('from', c.old_status, 'to', c.status, 'changed', jsonb_build_array('wedding.status'), 'old', jsonb_build_object('wedding.status', c.old_status)));
        end if;
        if c.stage is distinct from c.old_stage then
            perform automation_priv.wedding_event(c.tenant_id, c.wedding_id, c.change_no, 'stage.changed',
                jsonb_build_object('from', c.old_stage, 'to', c.stage, 'changed', jsonb_build_array('project.stage'), 'old', jsonb_build_object('project.stage', c.old_stage)));
        end if;
        if c.guest_count is distinct from c.old_guests then
            perform automation_priv.wedding_event(c.tenant_id, c.wedding_id, c.change_no, 'guest_count.changed',
                jsonb_build_object('from', c.old_guests, 'to', c.guest_count, 'changed', jsonb_build_array('wedding.guest_count'), 'old', jsonb_build_object('wedding.guest_count', c.old_guests)));
        end if;
    end loop;
    return null;
end $$;

-- Events of our own tables: an id that is the same in every play; only for tenants that have rules.
create function automation_priv.wedding_event(p_tenant uuid, p_wedding uuid, p_change bigint, p_type text, p_payload jsonb) returns void
language plpgsql security definer set search_path = '' as $$
begin
    perform automation.publish_event(p_tenant, p_type, p_wedding, p_payload,
        automation_priv.derive('wedding_event', p_tenant::text, p_wedding::text, p_change::text, p_type))
    where exists (select from automation.rules r where r.tenant_id = p_tenant and r.status = 'active')
      and coalesce(nullif(current_setting('automation.hops', true), '')::smallint, 0) < 8;
end $$;

create trigger weddings_after_insert after insert on automation.weddings
    referencing new table as new_rows for each statement execute function automation_priv.weddings_after();
create trigger weddings_after_update after update on automation.weddings
    referencing old table as old_rows new table as new_rows for each statement execute function automation_priv.weddings_after();

-- A milestone set by hand, or by a trigger of the host's, moves the wedding's revision, which brings the timings in line through the trigger above.
create function automation_priv.milestones_after() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if current_setting('automation.deriving', true) = 'on' then return null; end if;
    update automation.weddings w set revision = w.revision + 1
    from (select distinct c.tenant_id, c.wedding_id from changed c where c.source <> 'wedding') c
    where w.tenant_id = c.tenant_id and w.wedding_id = c.wedding_id;
    return null;
end $$;
create trigger milestones_after_insert after insert on automation.milestones
    referencing new table as changed for each statement execute function automation_priv.milestones_after();
create trigger milestones_after_update after update on automation.milestones
    referencing new table as changed for each statement execute function automation_priv.milestones_after();
create trigger milestones_after_delete after delete on automation.milestones
    referencing old table as changed for each statement execute function automation_priv.milestones_after();

-- ---- approval -----------------------------------------------------------------------------------------------------------------------------
-- A step that a person must approve waits here with its rendered content, which is what goes out. Its ledger row is parked (`approval`) and comes up for
-- the reminder after a day, and when the item expires; other runs go on meanwhile.
create table automation.approvals (
    tenant_id uuid not null,
    approval_id uuid not null, -- the step's job
    run_id uuid not null,
    rule_id uuid not null,
    wedding_id uuid,
    step smallint not null,
    kind text not null,
    content jsonb not null,
    rendered jsonb, -- the content before anybody edited it
    revision bigint, -- the wedding's, where the run follows its date: of another one it is rendered anew
    state text not null default 'pending' check (state in ('pending', 'approved', 'rejected', 'expired')),
    requested_at timestamptz not null,
    expires_at timestamptz not null,
    reminded_at timestamptz,
    decided_at timestamptz,
    decided_by text,
    edited_by text, -- who changed the content last
    note text,
    primary key (tenant_id, approval_id)
);
create index approvals_pending on automation.approvals (tenant_id, requested_at) where state = 'pending';
alter table automation.approvals enable row level security;

-- A word given ahead: this rule may act for this wedding (null: for all) without asking again.
create table automation.preapprovals (
    tenant_id uuid not null references automation.tenants on delete cascade,
    rule_id uuid not null,
    wedding_id uuid,
    granted_by text not null,
    granted_at timestamptz not null default automation.now(),
    foreign key (tenant_id, rule_id) references automation.rules on delete cascade,
    foreign key (tenant_id, wedding_id) references automation.weddings on delete cascade,
    unique nulls not distinct (tenant_id, rule_id, wedding_id)
);
create index preapprovals_wedding on automation.preapprovals (tenant_id, wedding_id) where wedding_id is not null;
alter table automation.preapprovals enable row level security;

-- The name that goes on record with what a person decides.
create function automation_priv.check_who(p_by text) returns void
language plpgsql immutable set search_path = '' as $$
begin
    if coalesce(length(btrim(p_by)), 0) not between 1 and 200 then
        raise exception 'who decides is %: expected a name of 1 to 200 characters', coalesce(quote_literal(left(p_by, 40)), 'NULL') using errcode = '22023';
    end if;
end $$;

-- What both doors of words given ahead ask: the tenant's rule, its wedding or none, and who.
create function automation_priv.check_preapproval(p_tenant uuid, p_rule uuid, p_by text, p_wedding uuid) returns void
language plpgsql stable security definer set search_path = '' as $$
begin
    perform automation_priv.check_who(p_by);
    if not exists (select from automation.rules u where u.tenant_id = p_tenant and u.rule_id = p_rule) then
        raise exception 'tenant % has no rule %', coalesce(p_tenant::text, 'NULL'), coalesce(p_rule::text, 'NULL') using errcode = '22023';
    end if;
    if p_wedding is not null and not exists (select from automation.weddings w where w.tenant_id = p_tenant and w.wedding_id = p_wedding) then
        raise exception 'tenant % has no wedding %', p_tenant, p_wedding using errcode = '22023';
    end if;
end $$;

-- From now on the rule's steps that ask for approval act without asking: for this wedding, or for all (null). What waits already goes on waiting. False: the
-- word stands already, as whoever gave it first gave it.
create function automation.preapprove(p_tenant uuid, p_rule uuid, p_by text, p_wedding uuid default null) returns boolean
language plpgsql security definer set search_path = '' as $$
declare v_new boolean;
begin
    perform automation_priv.check_preapproval(p_tenant, p_rule, p_by, p_wedding);
    insert into automation.preapprovals (tenant_id, rule_id, wedding_id, granted_by) values (p_tenant, p_rule, p_wedding, p_by) on conflict do nothing;
    v_new := found;
    if v_new then
        insert into automation_priv.audit_trail (who, what, tenant_id, asked, n, filter)
        values (p_by, 'preapprove', p_tenant, 1, 1, jsonb_build_object('rule', p_rule, 'wedding', p_wedding));
    end if;
    return v_new;
end $$;

-- Takes the word for this wedding back, or that for all (null): each stands by itself. What acted on it stays. False: there was none.
create function automation.revoke_preapproval(p_tenant uuid, p_rule uuid, p_by text, p_wedding uuid default null) returns boolean
language plpgsql security definer set search_path = '' as $$
declare v_granted_by text;
begin
    perform automation_priv.check_preapproval(p_tenant, p_rule, p_by, p_wedding);
    delete from automation.preapprovals p where p.tenant_id = p_tenant and p.rule_id = p_rule and p.wedding_id is not distinct from p_wedding
    returning p.granted_by into v_granted_by;
    if not found then return false; end if;
    insert into automation_priv.audit_trail (who, what, tenant_id, asked, n, filter)
    values (p_by, 'revoke_preapproval', p_tenant, 1, 1, jsonb_build_object('rule', p_rule, 'wedding', p_wedding, 'granted_by', v_granted_by));
    return true;
end $$;
grant execute on function automation.preapprove, automation.revoke_preapproval to automation_scheduler;

-- What people have to know is an event, so that a rule can tell them, and a task of the team.
create function automation_priv.approval_event(a automation.approvals, p_type text, p_now timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
declare v_text text;
begin
    perform automation.publish_event(a.tenant_id, p_type, a.wedding_id, jsonb_build_object('approval', a.approval_id, 'rule', a.rule_id, 'kind', a.kind,
        'content', a.content, 'expires_at', a.expires_at), automation_priv.derive(p_type, a.approval_id::text, extract(epoch from a.requested_at)::text));
    select format(case p_type when 'approval.expired' then 'Not sent, since nobody approved it: %s for %s (%s)' else 'Waiting for approval since a day: %s for %s (%s)' end,
        coalesce(a.content ->> 'subject', a.content ->> 'title', a.kind), coalesce(w.title, 'no wedding'), u.name) into v_text
    from automation.rules u left join automation.weddings w on w.tenant_id = a.tenant_id and w.wedding_id = a.wedding_id
    where u.tenant_id = a.tenant_id and u.rule_id = a.rule_id;
    if p_type in ('approval.reminder', 'approval.expired') and v_text is not null then
        insert into automation.tasks (tenant_id, task_id, wedding_id, run_id, title, created_at)
        values (a.tenant_id, automation_priv.derive('approval_task', a.approval_id::text, p_type, extract(epoch from a.requested_at)::text), a.wedding_id, a.run_id, left(v_text, 500), p_now) on conflict do nothing;
    end if;
end $$;

-- The step's turn: the first time the item is made, after a day its reminder, at its end it expires. When the wedding has moved it has that date's end, and is
-- asked anew if that is another text. The settling transaction calls this before it parks the row at approval_due.
create function automation_priv.request_approval(p_tenant uuid, p_wedding uuid, p_run uuid, p_job uuid, p_effect jsonb, p_now timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
declare
    a automation.approvals;
    r automation.runs;
    v_revision bigint;
    v_expires timestamptz;
begin
    select * into r from automation.runs x where x.tenant_id = p_tenant and x.run_id = p_run;
    select w.revision into v_revision from automation.weddings w where r.wedding_revision is not null and w.tenant_id = p_tenant and w.wedding_id = p_wedding;
    select * into a from automation.approvals x where x.tenant_id = p_tenant and x.approval_id = p_job for update;
    v_expires := greatest(coalesce((select automation_priv.limit_ahead(m.local_date, m.local_time, w.time_zone, (p_effect -> 'yearly')::boolean, p_now)
        from automation.milestones m join automation.weddings w using (tenant_id, wedding_id)
        where m.tenant_id = p_tenant and m.wedding_id = p_wedding and m.name = p_effect ->> 'limit'), p_now + interval '30 days'), p_now + interval '1 hour');
    if a.approval_id is null then
        insert into automation.approvals (tenant_id, approval_id, run_id, rule_id, wedding_id, step, kind, content, rendered, revision, requested_at, expires_at, state,
            decided_at, decided_by)
        select p_tenant, p_job, p_run, r.rule_id, p_wedding, l.step, l.kind, p_effect -> 'content', p_effect -> 'content', v_revision, p_now, v_expires,
            case when g.granted_by is null then 'pending' else 'approved' end, case when g.granted_by is not null then p_now end, g.granted_by
        from automation_priv.ledger l
        left join lateral (select p.granted_by from automation.preapprovals p where p.tenant_id = p_tenant and p.rule_id = r.rule_id
            and (p.wedding_id is null or p.wedding_id = p_wedding) order by p.wedding_id nulls last limit 1) g on true
        where l.job_id = p_job returning * into a;
        if a.state = 'approved' then
            update automation_priv.ledger l set wake = jsonb_build_object('approval', 'approved', 'content', a.content) where l.job_id = p_job;
        else
            perform automation_priv.approval_event(a, 'approval.requested', p_now);
        end if;
    elsif a.state = 'pending' and a.revision <> v_revision then
        update automation.approvals x set revision = v_revision, expires_at = v_expires where x.tenant_id = p_tenant and x.approval_id = p_job;
        if a.rendered <> p_effect -> 'content' then
            update automation.approvals x set content = p_effect -> 'content', rendered = p_effect -> 'content', edited_by = null, requested_at = p_now, reminded_at = null
            where x.tenant_id = p_tenant and x.approval_id = p_job returning * into a;
            perform automation_priv.approval_event(a, 'approval.requested', p_now);
        end if;
    elsif a.state = 'pending' and p_now >= a.expires_at then
        update automation.approvals x set state = 'expired', decided_at = p_now where x.tenant_id = p_tenant and x.approval_id = p_job;
        update automation_priv.ledger l set wake = '{"approval": "expired"}' where l.job_id = p_job;
        perform automation_priv.approval_event(a, 'approval.expired', p_now);
    elsif a.state = 'pending' and a.reminded_at is null and p_now >= a.requested_at + interval '1 day' then
        update automation.approvals x set reminded_at = p_now where x.tenant_id = p_tenant and x.approval_id = p_job;
        perform automation_priv.approval_event(a, 'approval.reminder', p_now);
    end if;
end $$;

create function automation_priv.approval_due(p_tenant uuid, p_job uuid, p_now timestamptz) returns timestamptz
language plpgsql stable security definer set search_path = '' as $$
begin
    return (
    select case when a.state <> 'pending' then p_now when a.reminded_at is null then least(a.requested_at + interval '1 day', a.expires_at) else a.expires_at end
    from automation.approvals a where a.tenant_id = p_tenant and a.approval_id = p_job);
end $$;

-- approved, rejected, or edited and still to be decided; p_content: texts of the content that change. False: it is decided already, its run has ended, or the
-- wedding has moved and it is about to be asked anew.
create function automation.decide_approval(p_tenant uuid, p_approval uuid, p_decision text, p_by text, p_content jsonb default null, p_note text default null)
returns boolean
language plpgsql security definer set search_path = '' as $$
declare
    v_now timestamptz := automation.now();
    a automation.approvals;
    k text;
begin
    if p_decision is null or p_decision not in ('approved', 'rejected', 'edited') then
        raise exception 'decision %: expected approved, rejected or edited', quote_nullable(p_decision) using errcode = '22023';
    end if;
    perform automation_priv.check_who(p_by);
    if pg_column_size(p_content) > 65536 then
        raise exception 'content has % bytes; allowed are 65536', pg_column_size(p_content) using errcode = '22023';
    end if;
    -- The row first, then the item: the order in which settling locks them.
    perform from automation_priv.ledger l where l.job_id = p_approval and l.tenant_id = p_tenant and l.owner is null and l.parked_reason = 'approval' for update;
    if not found then return false; end if;
    select * into a from automation.approvals x where x.tenant_id = p_tenant and x.approval_id = p_approval and x.state = 'pending'
        and not exists (select from automation.weddings w where w.tenant_id = x.tenant_id and w.wedding_id = x.wedding_id and w.revision <> x.revision) for update;
    if not found then return false; end if;
    select x into k from jsonb_object_keys(coalesce(p_content, '{}')) x where not a.content ? x limit 1;
    if k is not null then
        raise exception 'content has no "%": it has %', k, (select string_agg(x, ', ' order by x) from jsonb_object_keys(a.content) x) using errcode = '22023';
    end if;
    select x.key into k from jsonb_each(coalesce(p_content, '{}')) x where jsonb_typeof(x.value) <> 'string' limit 1;
    if k is not null then
        raise exception 'content "%" is of type %; expected a string', k, jsonb_typeof(p_content -> k) using errcode = '22023';
    end if;
    if p_decision = 'edited' then
        update automation.approvals x set content = a.content || coalesce(p_content, '{}'), note = coalesce(p_note, x.note), edited_by = p_by
        where x.tenant_id = p_tenant and x.approval_id = p_approval;
        return true;
    end if;
    update automation.approvals x set state = p_decision, decided_at = v_now, decided_by = p_by, note = p_note, content = a.content || coalesce(p_content, '{}'),
        edited_by = case when p_content is null then x.edited_by else p_by end
    where x.tenant_id = p_tenant and x.approval_id = p_approval;
    update automation_priv.ledger l set wake = jsonb_build_object('approval', p_decision, 'content', a.content || coalesce(p_content, '{}')), parked_reason = null,
        due_at = case when p_decision = 'approved' then coalesce((select d.due_at from automation_priv.resolve_due(p_tenant, l.wedding_id, l.due_spec, v_now) d
            where l.due_spec ? 'window'), v_now) else v_now end
    where l.job_id = p_approval;
    perform automation_priv.wake();
    return true;
end $$;
grant execute on function automation.decide_approval to automation_scheduler;

-- ---- effects of steps on our own tables ---------------------------------------------------------------------------------------------------
create function automation_priv.apply_effect(p_tenant uuid, p_wedding uuid, p_run uuid, p_job uuid, p_effect jsonb, p_now timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
declare
    v_op text := p_effect ->> 'op';
    v_key text := p_effect ->> 'field';
    v_hops integer := coalesce((select r.hops from automation.runs r where r.tenant_id = p_tenant and r.run_id = p_run), 0) + 1;
begin
    perform set_config('automation.hops', v_hops::text, true), set_config('automation.causation', p_job::text, true);
    if v_op = 'create_task' then
        insert into automation.tasks (tenant_id, task_id, wedding_id, run_id, title, assignee, notes, due_on, created_at)
        values (p_tenant, p_job, p_wedding, p_run, p_effect ->> 'title', p_effect ->> 'assignee', p_effect ->> 'notes',
                (select (d.due_at at time zone coalesce(w.time_zone, 'UTC'))::date
                 from automation_priv.resolve_due(p_tenant, p_wedding, p_effect -> 'due', p_now) d
                 left join automation.weddings w on w.tenant_id = p_tenant and w.wedding_id = p_wedding
                 where p_effect ? 'due'), p_now)
        on conflict do nothing;
    elsif v_op = 'create_note' then
        insert into automation.notes values (p_tenant, p_job, p_wedding, p_run, p_effect ->> 'body', p_now) on conflict do nothing;
    elsif v_op = 'emit_event' then
        perform automation.publish_event(p_tenant, p_effect ->> 'type', p_wedding, coalesce(p_effect -> 'payload', '{}'),
            automation_priv.derive('event', p_job::text));
    elsif v_op = 'request_approval' then
        perform automation_priv.request_approval(p_tenant, p_wedding, p_run, p_job, p_effect, p_now);
    elsif v_op = 'start_rule' then
        perform automation.start_rule(p_tenant, (p_effect ->> 'rule')::uuid, p_wedding, '{}', automation_priv.derive('event', p_job::text));
    elsif v_op = 'stop_rule' then
        perform automation_priv.stop_runs(p_tenant, (p_effect ->> 'rule')::uuid, p_wedding, p_run, 'stopped_by_rule');
    elsif p_wedding is null then
        raise exception 'action % needs a wedding', v_op using errcode = '22023';
    elsif v_op = 'move_stage' then
        update automation.weddings set stage = p_effect ->> 'stage' where tenant_id = p_tenant and wedding_id = p_wedding
            and stage is distinct from p_effect ->> 'stage';
    elsif v_op = 'add_tag' then
        update automation.weddings set tags = array_append(tags, p_effect ->> 'tag') where tenant_id = p_tenant and wedding_id = p_wedding
            and not p_effect ->> 'tag' = any (tags);
    elsif v_op = 'remove_tag' then
        update automation.weddings set tags = array_remove(tags, p_effect ->> 'tag') where tenant_id = p_tenant and wedding_id = p_wedding
            and p_effect ->> 'tag' = any (tags);
    elsif v_op = 'set_field' and v_key like 'attributes.%' then
        update automation.weddings set attributes = jsonb_set(attributes, array[substr(v_key, 12)], coalesce(p_effect -> 'value', 'null'))
        where tenant_id = p_tenant and wedding_id = p_wedding;
    elsif v_op = 'set_field' and v_key in ('guest_count', 'package', 'budget_cents', 'stage', 'title', 'client_phone') then
        execute format('update automation.weddings w set %1$I = (jsonb_populate_record(w, jsonb_build_object(%1$L::text, $3))).%1$I
                        where w.tenant_id = $1 and w.wedding_id = $2', v_key) using p_tenant, p_wedding, p_effect -> 'value';
    else
        raise exception 'effect % of field %: not allowed', quote_nullable(v_op), quote_nullable(v_key) using errcode = '22023';
    end if;
    perform set_config('automation.hops', '', true), set_config('automation.causation', '', true);
end $$;

-- ---- the leader: events, timings, planning ----------------------------------------------------------------------------------------------------
-- The next events: the oldest; while there is a backlog up to half of them are instead the first ones of tenants who have none among the oldest, looked
-- for from a tenant picked at random. So a tenant's hundred thousand events keep nobody else's waiting for long, and each tenant's stay in their order.
create function automation_priv.next_events(p_limit integer, p_now timestamptz) returns bigint[]
language plpgsql security definer set search_path = '' as $$
declare
    v_from uuid := gen_random_uuid();
    v_oldest bigint[];
    v_of uuid[];
    v_others uuid[];
    v_first bigint[];
begin
    select array_agg(o.id), array_agg(distinct o.tenant_id) into v_oldest, v_of from (
        select x.id, x.tenant_id from automation_priv.outbox x where x.available_at <= p_now
        order by x.available_at, x.event_id limit p_limit for update skip locked) o;
    if v_oldest is null or cardinality(v_oldest) < p_limit then
        return v_oldest;
    end if;
    -- One descent of the index for each tenant, 64 at most; behind the last one it begins at the first.
    with recursive round(id, n) as (
        select v_from, 0
        union all select coalesce((select o.tenant_id from automation_priv.outbox o where o.tenant_id > r.id order by o.tenant_id limit 1),
            (select o.tenant_id from automation_priv.outbox o order by o.tenant_id limit 1)), r.n + 1
        from round r where r.n < 64)
    select array_agg(distinct r.id) into v_others from round r where r.n > 0 and not r.id = any (v_of);
    v_first := array(
        select e.id from unnest(v_others) t(id) cross join lateral (
            select o.id, row_number() over (order by o.available_at, o.event_id) as turn from automation_priv.outbox o
            where o.tenant_id = t.id and o.available_at <= p_now order by o.available_at, o.event_id limit 1 + p_limit / cardinality(v_others)) e
        order by e.turn limit p_limit / 2);
    return v_oldest[:p_limit - cardinality(v_first)] || v_first;
end $$;

-- Takes up to p_limit available events (or just the one named) out of the outbox, records them, and returns what matching needs. A repeated event id
-- is dropped. `waits`: parked steps that wait for such an event.
create function automation_priv.take_events(p_term bigint, p_limit integer, p_only bigint default null)
returns table (event_id uuid, tenant_id uuid, event_type text, wedding_id uuid, payload jsonb, hops smallint, occurred_at timestamptz, seq bigint,
    ruleset_version bigint, facts jsonb, wedding_revision bigint, wedding_status text, waits jsonb, now timestamptz)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare
    v_now timestamptz := automation.now();
    v_ids bigint[];
begin
    perform automation_priv.lead(p_term);
    v_ids := case when p_only is null then automation_priv.next_events(p_limit, v_now) else array[p_only] end;
    return query
    with picked as (select o.id from automation_priv.outbox o where o.id = any (v_ids) and o.available_at <= v_now for update skip locked),
    taken as (delete from automation_priv.outbox o using picked p where o.id = p.id returning o.*),
    noted as (
        insert into automation.trigger_events (tenant_id, event_id, event_type, wedding_id, payload, causation_id, hops, occurred_at, dispatched_at)
        select t.tenant_id, t.event_id, t.event_type, t.wedding_id, t.payload, t.causation_id, t.hops, t.occurred_at, v_now
        from taken t order by t.available_at, t.event_id on conflict do nothing returning event_id, seq)
    select t.event_id, t.tenant_id, t.event_type, t.wedding_id, t.payload, t.hops, t.occurred_at, n.seq, coalesce(s.version, 0),
        automation_priv.facts(t.tenant_id, t.wedding_id, v_now), w.revision, w.status,
        (select jsonb_agg(jsonb_build_object('job', l.job_id, 'rule', r.rule_id, 'revision', r.rule_revision, 'step', l.step, 'definition', v.definition) order by l.job_id)
         from automation_priv.ledger l
         join automation.runs r on r.tenant_id = l.tenant_id and r.run_id = l.run_id
         join automation.rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.rule_id and v.revision = r.rule_revision
         where l.tenant_id = t.tenant_id and l.wait_event = t.event_type and l.wedding_id is not distinct from t.wedding_id and l.wake is null and l.owner is null),
        v_now
    from taken t join noted n on n.event_id = t.event_id
    left join automation.ruleset_state s on s.tenant_id = t.tenant_id
    left join automation.weddings w on w.tenant_id = t.tenant_id and w.wedding_id = t.wedding_id
    order by n.seq;
end $$;

-- After a takeover or a failed batch events are taken one by one, each marked first in a transaction of its own. An event found marked twice was
-- being dispatched when two leaders in turn died, or failed twice: it goes to quarantine. (Once may be chance: a leader can be killed at any time.)
-- Returns the id to take, or null when nothing is available.
create function automation_priv.mark_event(p_term bigint) returns bigint
language plpgsql security definer set search_path = '' as $$
declare o automation_priv.outbox;
begin
    perform automation_priv.lead(p_term);
    loop
        select * into o from automation_priv.outbox x where x.available_at <= automation.now() order by x.available_at, x.event_id limit 1 for update skip locked;
        if not found then return null; end if;
        if o.marks < 2 then
            update automation_priv.outbox x set marks = x.marks + 1 where x.id = o.id;
            return o.id;
        end if;
        insert into automation_priv.outbox_quarantine select o.*;
        delete from automation_priv.outbox x where x.id = o.id;
    end loop;
end $$;

-- Takes a mark back: the dispatch failed for a reason that is not the event's (a lock, a lost connection). Whoever set it may do so, leading or
-- not: a server that restarts three times while the same event is dispatched must not look like an event that kills leaders.
create function automation_priv.unmark_event(p_id bigint) returns void
language plpgsql security definer set search_path = '' as $$
begin
    update automation_priv.outbox x set marks = x.marks - 1 where x.id = p_id and x.marks > 0;
end $$;

-- Puts quarantined events (null: all) back into the outbox, once what they failed of has been mended. Returns their number.
create function automation_priv.retry_events(p_events uuid[], p_by text) returns integer
language plpgsql security definer set search_path = '' as $$
declare n integer;
begin
    with taken as (delete from automation_priv.outbox_quarantine q where p_events is null or q.event_id = any (p_events) returning q.*)
    insert into automation_priv.outbox (event_id, tenant_id, event_type, wedding_id, payload, causation_id, hops, occurred_at, available_at)
    select t.event_id, t.tenant_id, t.event_type, t.wedding_id, t.payload, t.causation_id, t.hops, t.occurred_at, t.available_at
    from taken t order by t.available_at, t.event_id on conflict (event_id) do nothing;
    get diagnostics n = row_count;
    insert into automation_priv.audit_trail (who, what, asked, n) values (p_by, 'retry_events', coalesce(cardinality(p_events), n), n);
    perform automation_priv.wake();
    return n;
end $$;

-- The look-back of new event waits: each with the events of its type and wedding since the run's own trigger; within a for_each, since its item began.
create function automation_priv.take_wait_checks(p_term bigint, p_limit integer)
returns table (job_id uuid, tenant_id uuid, wedding_id uuid, rule_id uuid, rule_revision bigint, step smallint, definition jsonb, events jsonb, facts jsonb, now timestamptz)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare v_now timestamptz := automation.now();
begin
    perform automation_priv.lead(p_term);
    return query
    with taken as (
        delete from automation_priv.wait_checks c where c.job_id in (select x.job_id from automation_priv.wait_checks x limit p_limit for update skip locked)
        returning c.job_id)
    select l.job_id, l.tenant_id, l.wedding_id, r.rule_id, r.rule_revision, l.step, v.definition, e.events, automation_priv.facts(l.tenant_id, l.wedding_id, v_now), v_now
    from taken t
    join automation_priv.ledger l on l.job_id = t.job_id
    join automation.runs r on r.tenant_id = l.tenant_id and r.run_id = l.run_id
    join automation.rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.rule_id and v.revision = r.rule_revision
    cross join lateral ( -- one loop at a time has an item
        select coalesce(max('epoch'::timestamptz + (s.value ->> 'since')::bigint * interval '1 microsecond'), '-infinity') as since
        from jsonb_each(r.context -> 'steps') s where s.value ? 'items') i
    cross join lateral (
        select jsonb_agg(jsonb_build_object('id', x.event_id, 'type', x.event_type, 'payload', x.payload) order by x.seq) as events from (
            select * from automation.trigger_events te where te.tenant_id = l.tenant_id and te.wedding_id is not distinct from l.wedding_id
                and te.event_type = l.wait_event and te.seq > r.trigger_seq and te.dispatched_at > i.since
                and not exists (select from jsonb_each(r.context -> 'steps') s where s.value #>> '{event,id}' = te.event_id::text) -- it has ended a wait of this run
                order by te.seq limit 100) x) e
    where e.events is not null and l.wake is null
    order by l.job_id;
end $$;

-- Event and timeout race on this one update. Returns the number of waits woken.
create function automation_priv.wake_waits(p_term bigint, p_jobs uuid[], p_events jsonb) returns integer
language plpgsql security definer set search_path = '' as $$
declare n integer;
begin
    perform automation_priv.lead(p_term);
    update automation_priv.ledger l set wake = p_events -> (a.i::integer - 1), due_at = least(l.due_at, automation.now())
    from unnest(p_jobs) with ordinality as a(job, i)
    where l.job_id = a.job and l.owner is null and l.wake is null and l.wait_event is not null;
    get diagnostics n = row_count;
    return n;
end $$;

-- Due timings, locked. Every row is looked up by index: a plan that was made while the tables were small reads them whole.
create function automation_priv.due_timings(p_term bigint, p_limit integer)
returns table (tenant_id uuid, wedding_id uuid, timing_id uuid, due_at timestamptz, ruleset_version bigint, wedding_revision bigint,
    wedding_status text, now timestamptz, occurrence smallint)
language plpgsql security definer set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare v_now timestamptz := automation.now();
begin
    perform automation_priv.lead(p_term);
    return query
    with picked as (
        select t.ctid as at, t.tenant_id, t.wedding_id, t.timing_id, t.due_at, t.occurrence from automation.timings t
        where t.state = 'pending' and t.due_at <= v_now order by t.due_at limit p_limit for update skip locked), -- locked, so a row stays where it is
    fired as (
        update automation.timings t set fired_at = v_now, fired_due = p.due_at, state = case when p.occurrence < k.yearly then 'pending' else 'fired' end,
            occurrence = (p.occurrence + coalesce(p.occurrence < k.yearly, false)::integer)::smallint,
            due_at = case when p.occurrence < k.yearly then automation_priv.timing_due(p.tenant_id, p.wedding_id, p.timing_id, p.occurrence + 1) else p.due_at end
        from picked p left join automation.timing_keys k on k.tenant_id = p.tenant_id and k.timing_id = p.timing_id
        where t.ctid = p.at)
    select p.tenant_id, p.wedding_id, p.timing_id, p.due_at, coalesce(s.version, 0), w.revision, w.status, v_now, p.occurrence
    from picked p join automation.weddings w on w.tenant_id = p.tenant_id and w.wedding_id = p.wedding_id
    left join automation.ruleset_state s on s.tenant_id = p.tenant_id
    order by p.due_at, p.tenant_id, p.wedding_id, p.timing_id;
end $$;

-- The facts of the weddings of due timings, in order: only those parts that the conditions of their rules read, null where a wedding is gone.
-- The whole document of a wedding costs more than the rest of its timing's way to a run. A sub-select and no join: below an outer join every part would be
-- made before it is asked for.
create function automation_priv.timing_facts(p_tenants uuid[], p_weddings uuid[], p_parts text[], p_now timestamptz) returns setof jsonb
language plpgsql stable security definer set search_path = '' set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_wedding boolean := 'wedding' = any (p_parts);
    v_venue boolean := 'venue' = any (p_parts);
    v_project boolean := 'project' = any (p_parts);
    v_client boolean := 'client' = any (p_parts);
    v_tenant boolean := 'tenant' = any (p_parts);
    v_vendors boolean := 'vendors' = any (p_parts);
    v_timeline boolean := 'timeline' = any (p_parts);
    v_today boolean := 'today' = any (p_parts);
    v_attributes boolean := 'attributes' = any (p_parts);
begin
    return query
    select (select case when v_attributes then f.attributes else '{}' end || jsonb_build_object('wedding', case when v_wedding then f.wedding end,
            'venue', case when v_venue then f.venue end, 'project', case when v_project then f.project end, 'client', case when v_client then f.client end,
            'tenant', case when v_tenant then f.tenant end, 'vendors', case when v_vendors then f.vendors end,
            'timeline', case when v_timeline then f.timeline end)
        || case when v_today then automation_priv.facts_now(f.time_zone, p_now) else '{}' end
        from automation_priv.wedding_facts f where f.tenant_id = a.tenant_id and f.wedding_id = a.wedding_id)
    from unnest(p_tenants, p_weddings) with ordinality a(tenant_id, wedding_id, i) order by a.i;
end $$;

-- Ends what has not begun of these runs and the runs themselves; what a worker is doing now ends with what really happens, and nothing follows it.
create function automation_priv.stop_runs(p_tenant uuid, p_rule uuid, p_wedding uuid, p_except uuid, p_reason text) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    v_runs uuid[];
    v_jobs uuid[];
begin
    select array_agg(r.run_id) into v_runs from (
        select x.run_id from automation.runs x where x.tenant_id = p_tenant and x.rule_id = p_rule and x.wedding_id is not distinct from p_wedding
            and x.state = 'running' and x.run_id is distinct from p_except order by x.run_id for update) r;
    if v_runs is null then return 0; end if;
    select array_agg(l.job_id) into v_jobs from (
        select j.job_id from automation_priv.ledger j where j.tenant_id = p_tenant and j.wedding_id is not distinct from p_wedding and j.run_id = any (v_runs)
            and j.owner is null for update skip locked) l;
    perform automation_priv.end_unrun(v_jobs, 'cancelled', p_reason, 3::smallint);
    update automation.runs r set state = 'cancelled', reason = p_reason, finished_at = automation.now()
    where r.tenant_id = p_tenant and r.run_id = any (v_runs) and r.state = 'running';
    return cardinality(v_runs);
end $$;

-- A rule that ran 16 times within an hour for one wedding is paused, and the team finds a task that says so.
create function automation_priv.pause_rule(p_tenant uuid, p_rule uuid, p_wedding uuid, p_now timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
begin
    update automation.rules u set status = 'paused' where u.tenant_id = p_tenant and u.rule_id = p_rule and u.status = 'active';
    if not found then return; end if;
    insert into automation.tasks (tenant_id, task_id, wedding_id, title, created_at)
    select p_tenant, automation_priv.derive('loop_guard', p_rule::text, coalesce(p_wedding::text, ''), p_now::text), p_wedding,
        format('Rule "%s" was paused: it ran 16 times within an hour for one wedding', u.name), p_now
    from automation.rules u where u.tenant_id = p_tenant and u.rule_id = p_rule on conflict do nothing;
end $$;

-- Steps that wait for an earlier run of their rule and wedding (mode `queued`), whose turn has come. One at a time for each.
-- Asked in every round, mostly for nothing: from the steps that wait to their runs by index, whatever the sizes of the tables when it was planned.
create function automation_priv.queued_ready(p_limit integer) returns setof uuid
language plpgsql stable security definer set search_path = '' set enable_hashjoin = off set enable_mergejoin = off set max_parallel_workers_per_gather = 0 as $$
begin
    return query
    select distinct on (r.tenant_id, r.rule_id, r.wedding_id) l.job_id
    from automation_priv.ledger l join automation.runs r on r.tenant_id = l.tenant_id and r.run_id = l.run_id
    where l.parked_reason = 'queued' and not exists (
        select from automation.runs o where o.tenant_id = r.tenant_id and o.rule_id = r.rule_id and o.wedding_id is not distinct from r.wedding_id
            and o.state = 'running' and not exists (select from automation_priv.ledger x where x.parked_reason = 'queued' and x.run_id = o.run_id))
    order by r.tenant_id, r.rule_id, r.wedding_id, r.due_at, r.trigger_seq, l.job_id limit p_limit;
end $$;
create function automation_priv.release_queued(p_term bigint, p_limit integer) returns integer
language plpgsql security definer set search_path = '' as $$
declare n integer;
begin
    perform automation_priv.lead(p_term);
    update automation_priv.ledger l set parked_reason = case when d.due_at is null then 'anchor_missing' end, due_at = d.due_at
    from automation_priv.ledger o cross join lateral automation_priv.resolve_due(o.tenant_id, o.wedding_id, o.due_spec, automation.now()) d
    where o.job_id in (select automation_priv.queued_ready(p_limit)) and l.job_id = o.job_id and l.owner is null;
    get diagnostics n = row_count;
    return n;
end $$;

-- Starts a rule for a wedding by hand: its conditions are asked as ever, its trigger is not. The event's id makes a repeated call one start.
create function automation.start_rule(p_tenant uuid, p_rule uuid, p_wedding uuid, p_payload jsonb default '{}', p_event_id uuid default null) returns uuid
language plpgsql security definer set search_path = '' as $$
begin
    if not exists (select from automation.rules u where u.tenant_id = p_tenant and u.rule_id = p_rule and u.status = 'active') then
        raise exception 'tenant % has no active rule %', p_tenant, p_rule using errcode = '22023';
    end if;
    return automation.publish_event(p_tenant, 'rule.start', p_wedding, p_payload || jsonb_build_object('rule', p_rule), p_event_id);
end $$;
grant execute on function automation.start_rule to automation_worker, automation_scheduler;

-- Whether a rule has run for a wedding and milestone before its trigger was edited: it does not run again at the hour that it has now. A yearly one does not
-- in the same year.
create function automation_priv.ran_before(p_tenant uuid, p_rule uuid, p_wedding uuid, p_timing uuid, p_milestone text, p_yearly boolean, p_due timestamptz) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
    return exists (select from automation.runs r where r.tenant_id = p_tenant and r.rule_id = p_rule and r.wedding_id = p_wedding and r.trigger_type = 'milestone'
        and r.trigger_ref <> p_timing and r.context ->> 'milestone' = p_milestone and (r.acted or r.state not in ('skipped', 'superseded', 'cancelled'))
        and (r.due_at > p_due - interval '6 months' or p_yearly is not true));
end $$;

-- Starts runs: {tenant, run, job, rule, revision, wedding, type, ref, once, yearly, seq, due, state, reason, bound, wedding_revision, wedding_status, hops, context,
-- mode, max_runs, priority, kind, step, spec, spread, event, templates}; once: the milestone, where the rule runs for it once (ran_before). A run that stands is not started again, unless it was superseded before any outward step acted.
-- One statement for the whole batch, so what stands for a rule and a wedding is looked at before any run of the batch is there: the caller puts no two
-- runs of the same rule and wedding into one batch. job: the first step's id in the run's first generation.
-- Every look-up is a lateral one by index, and never a scan: the plan is kept from the first calls, when the tables may have been empty.
create function automation_priv.plan_runs(p_term bigint, p_runs jsonb) returns integer
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
    v_now timestamptz := automation.now();
    v_day date := (v_now at time zone 'UTC')::date;
    v_seq bigint;
    v_unknown text;
    v_after jsonb;
    n integer;
begin
    perform automation_priv.lead(p_term);
    -- A run without an event of its own waits for events from now on: those dispatched so far are before it.
    v_seq := coalesce(pg_catalog.pg_sequence_last_value('automation.trigger_events_seq_seq'), 0);
    with asked as materialized (
        select * from jsonb_to_recordset(p_runs) as x(tenant uuid, run uuid, job uuid, rule uuid, revision bigint, wedding uuid, type text, ref uuid, once text,
            yearly boolean, seq bigint, due timestamptz, state text, reason text, bound boolean, wedding_revision bigint, wedding_status text, hops smallint, context jsonb,
            mode text, max_runs integer, priority smallint, kind text, step smallint, spec jsonb, spread jsonb, event text, templates jsonb)),
    looked as materialized (
        select a.*, o.running > 0 as running, d.due_at as spec_due, d.revision as spec_revision, case
            when a.state <> 'running' then a.reason
            -- A rule begins with its activation: dates that had passed then, of weddings that were there then, never fire.
            when a.type = 'milestone' and a.due < u.activated_ms and w.created_at < u.activated_at then 'before_activation'
            when u.booked_only and coalesce(a.due < date_trunc('milliseconds', w.booked_at), true) then 'not_booked'
            when exists (select from automation.rule_dependencies y where y.tenant_id = a.tenant and y.rule_id = a.rule
                and not exists (select from automation.runs r where r.tenant_id = a.tenant and r.rule_id = y.needs_rule_id and r.wedding_id = a.wedding
                    and r.state = 'succeeded')
                and not exists (select from automation.runs r where a.wedding is null and r.tenant_id = a.tenant and r.rule_id = y.needs_rule_id
                    and r.wedding_id is null and r.state = 'succeeded')) then 'dependency'
            when a.once is not null and o.counted > 0 and automation_priv.ran_before(a.tenant, a.rule, a.wedding, a.ref, a.once, a.yearly, a.due) then 'ran_before'
            when a.mode = 'single' and o.running > 0 then 'already_running'
            when o.counted >= a.max_runs then 'max_runs'
            when o.recent >= 16 then 'loop_guard'
            when a.spec #>> '{window,outside}' = 'skip' and d.due_at > v_now then 'outside_window' end as why
        from asked a
        left join lateral (select x.booked_only, x.activated_at, date_trunc('milliseconds', x.activated_at) as activated_ms -- a.due came in milliseconds
            from automation.rules x where x.tenant_id = a.tenant and x.rule_id = a.rule limit 1) u on true
        left join lateral (select x.created_at, x.booked_at from automation.weddings x where x.tenant_id = a.tenant and x.wedding_id = a.wedding limit 1) w on true
        -- Runs of the rule for the wedding: this one, and the others. `is not distinct from` is no condition of an index.
        cross join lateral (
            select bool_or(r.run_id = a.run and r.state not in ('superseded', 'skipped')) as stands,
                count(*) filter (where r.run_id <> a.run and r.state = 'running') as running,
                count(*) filter (where r.run_id <> a.run and r.state not in ('skipped', 'superseded')) as counted,
                count(*) filter (where r.run_id <> a.run and r.state <> 'skipped' and r.started_at > v_now - interval '1 hour') as recent
            from (select x.run_id, x.state, x.started_at from automation.runs x where a.state = 'running' and x.tenant_id = a.tenant and x.rule_id = a.rule
                      and x.wedding_id = a.wedding
                  union all
                  select x.run_id, x.state, x.started_at from automation.runs x where a.state = 'running' and a.wedding is null and x.tenant_id = a.tenant
                      and x.rule_id = a.rule and x.wedding_id is null
                  union all -- what does not begin is asked for nothing else
                  select x.run_id, x.state, x.started_at from automation.runs x where a.state <> 'running' and x.tenant_id = a.tenant and x.run_id = a.run) r) o
        -- offset 0: the function is not called to be thrown away.
        left join lateral (select x.* from (select where a.state = 'running' and a.spec is not null offset 0) y
            cross join lateral automation_priv.resolve_due(a.tenant, a.wedding, a.spec, v_now) x) d on true
        -- What happened before a rule went live never starts it, however late it is dispatched.
        where (a.type = 'event' and u.activated_ms > a.due) is not true and o.stands is not true),
    decided as materialized (
        select l.*, l.why is null as runs, l.why is null and l.mode = 'queued' and l.running as queued from looked l),
    messages as materialized (
        select x.tenant, x.templates, automation_priv.message_snapshot(x.tenant, x.templates) as snapshot
        from (select distinct d.tenant, d.templates from decided d where d.templates is not null) x),
    started as (
        insert into automation.runs as r (tenant_id, run_id, rule_id, rule_revision, wedding_id, trigger_type, trigger_ref, trigger_seq, due_at, state, reason,
            wedding_revision, wedding_status, hops, context, started_at, finished_at)
        select d.tenant, d.run, d.rule, d.revision, d.wedding, d.type, d.ref, coalesce(d.seq, v_seq), d.due, case when d.runs then 'running' else 'skipped' end, d.why,
            case when d.bound then d.wedding_revision end, d.wedding_status, coalesce(d.hops, 0::smallint), coalesce(d.context, '{}') || coalesce(m.snapshot, '{}'), v_now,
            case when not d.runs then v_now end
        from decided d left join messages m on m.tenant = d.tenant and m.templates = d.templates
        on conflict (tenant_id, run_id) do update set rule_revision = excluded.rule_revision, generation = r.generation + 1::smallint, due_at = excluded.due_at,
            state = excluded.state, reason = excluded.reason, wedding_revision = excluded.wedding_revision, wedding_status = excluded.wedding_status,
            context = excluded.context, started_at = excluded.started_at, finished_at = excluded.finished_at, failed_steps = 0::smallint
            where r.state in ('superseded', 'skipped') and not r.acted and r.reason is distinct from 'past_due' and r.reason is distinct from 'before_activation'
        returning r.tenant_id, r.run_id, r.generation),
    first_steps as materialized (
        select d.*, k.kind as known, k.timeout_ms, k.max_attempts, k.queue,
            case when s.generation = 1 then d.job else automation_priv.derive('job', d.run::text, d.step::text, '0', s.generation::text) end as job_id
        from decided d join started s on s.tenant_id = d.tenant and s.run_id = d.run left join automation.kinds k on k.kind = d.kind where d.runs),
    jobs as (
        insert into automation_priv.ledger (job_id, tenant_id, run_id, wedding_id, due_at, accepted_at, accepted_day, timeout_ms, step, priority, max_attempts,
            kind, queue, wait_event, effect_key, revision, due_spec, parked_reason)
        select f.job_id, f.tenant, f.run, f.wedding, case when f.queued then null when f.spread is not null
                then greatest(f.spec_due, automation_priv.spread_due(f.tenant, f.wedding, f.spread, case when f.spec_due > v_now then f.spec_due else f.due end))
                when f.spec is null then f.due else f.spec_due end, v_now, v_day, f.timeout_ms,
            f.step, f.priority, f.max_attempts, f.kind, f.queue, f.event, f.job_id, case when f.bound then f.wedding_revision else f.spec_revision end, f.spec,
            case when f.queued then 'queued' when f.spec is not null and f.spec_due is null then 'anchor_missing' end
        from first_steps f where f.known is not null),
    checks as (
        insert into automation_priv.wait_checks select f.job_id from first_steps f where f.event is not null on conflict do nothing),
    counted as (
        insert into automation_priv.job_deltas select f.tenant, v_day, 'accepted', count(*) from first_steps f group by 1)
    select (select count(*) from started),
        (select format('kind %s of rule %s is not in automation.kinds', f.kind, f.rule) from first_steps f where f.known is null limit 1),
        (select jsonb_agg(jsonb_build_object('tenant', x.tenant, 'rule', x.rule, 'wedding', x.wedding, 'run', x.run, 'pause', x.pause)) from (
            select d.tenant, d.rule, d.wedding, d.run, true as pause from decided d where d.why = 'loop_guard'
            union all select f.tenant, f.rule, f.wedding, f.run, false from first_steps f where f.mode = 'restart') x)
    into n, v_unknown, v_after;
    if v_unknown is not null then
        raise exception '%', v_unknown using errcode = '22023';
    end if;
    perform case when x.pause then automation_priv.pause_rule(x.tenant, x.rule, x.wedding, v_now) end,
        case when not x.pause then automation_priv.stop_runs(x.tenant, x.rule, x.wedding, x.run, 'restarted') end
    from jsonb_to_recordset(v_after) as x(tenant uuid, rule uuid, wedding uuid, run uuid, pause boolean);
    return n;
end $$;

-- Whether what was planned for an instant of a timing is due then still: a wedding's revision rises with whatever is written of its dates. Nothing is
-- while it is postponed, whether its date was taken away or stands.
create function automation_priv.still_due(p_tenant uuid, p_wedding uuid, p_timing uuid, p_due timestamptz) returns boolean
language plpgsql stable security definer set search_path = '' as $$
begin
    return not exists (select from automation.weddings w where w.tenant_id = p_tenant and w.wedding_id = p_wedding and w.status = 'postponed')
        and exists (select from automation.timing_keys k cross join lateral generate_series(1, coalesce(k.yearly, 1)) n
        where k.tenant_id = p_tenant and k.timing_id = p_timing
          and date_trunc('milliseconds', automation_priv.timing_due(p_tenant, p_wedding, p_timing, n)) = date_trunc('milliseconds', p_due));
end $$;

-- After a wedding moved or ended: its unclaimed jobs are superseded, planned anew or cancelled. Returns the weddings handled; rows that somebody has locked
-- leave their wedding for the next call (what is claimed meanwhile is fenced by the claim).
create function automation_priv.replan_weddings(p_term bigint, p_limit integer) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    c record;
    v_ids uuid[];
    v_locked boolean;
    n integer := 0;
begin
    perform automation_priv.lead(p_term);
    for c in
        select x.tenant_id, x.wedding_id, w.status, w.revision from automation_priv.wedding_changes x
        left join automation.weddings w using (tenant_id, wedding_id) order by x.at limit p_limit for update of x skip locked
    loop
        n := n + 1;
        if c.status is null or c.status in ('cancelled', 'archived') then
            select array_agg(l.job_id) into v_ids from (
                select j.job_id from automation_priv.ledger j left join automation.runs r on r.tenant_id = j.tenant_id and r.run_id = j.run_id
                where j.tenant_id = c.tenant_id and j.wedding_id = c.wedding_id and j.owner is null
                  and coalesce(r.wedding_status, '') not in ('cancelled', 'archived') for update of j skip locked) l;
            perform automation_priv.end_unrun(v_ids, 'cancelled', 'wedding_' || coalesce(c.status, 'deleted'), 3::smallint);
            update automation.runs r set state = 'cancelled', reason = 'wedding_' || coalesce(c.status, 'deleted'), finished_at = automation.now()
            where r.tenant_id = c.tenant_id and r.wedding_id = c.wedding_id and r.state = 'running' and coalesce(r.wedding_status, '') not in ('cancelled', 'archived')
              and not exists (select from automation_priv.ledger l where l.tenant_id = r.tenant_id and l.wedding_id = r.wedding_id and l.run_id = r.run_id);
            v_locked := exists (select from automation_priv.ledger j left join automation.runs r on r.tenant_id = j.tenant_id and r.run_id = j.run_id
                where j.tenant_id = c.tenant_id and j.wedding_id = c.wedding_id and j.owner is null and coalesce(r.wedding_status, '') not in ('cancelled', 'archived'));
        else
            -- Not begun, and due at another instant now: superseded, and the timing may fire again at that. So may that of a run whose claim found the move
            -- first. Under way, or due as it was: a step that follows a milestone has its instant derived anew, the others keep theirs.
            select array_agg(l.job_id) into v_ids from (
                select j.job_id from automation_priv.ledger j join automation.runs r on r.tenant_id = j.tenant_id and r.run_id = j.run_id
                where j.tenant_id = c.tenant_id and j.wedding_id = c.wedding_id and j.owner is null and j.revision <> c.revision
                  and r.wedding_revision = j.revision and not r.acted and r.trigger_type = 'milestone'
                  and not automation_priv.still_due(c.tenant_id, c.wedding_id, r.trigger_ref, r.due_at) for update of j skip locked) l;
            perform automation_priv.end_unrun(v_ids, 'superseded', 'wedding_moved', 4::smallint);
            perform automation_priv.refresh_timings(c.tenant_id, array[c.wedding_id], null, array(select r.trigger_ref from automation.runs r
                where r.tenant_id = c.tenant_id and r.wedding_id = c.wedding_id and r.state = 'superseded' and not r.acted and r.trigger_type = 'milestone'));
            perform automation_priv.refire_timings(c.tenant_id, c.wedding_id);
            with moved as (
                update automation_priv.ledger l set due_at = case when x.follows then d.due_at else l.due_at end, revision = c.revision,
                    parked_reason = case when not x.follows then l.parked_reason when d.due_at is null then 'anchor_missing' end
                from (select j.job_id, j.due_spec, coalesce(j.due_spec ? 'milestone' and j.parked_reason is distinct from 'queued', false) as follows
                      from automation_priv.ledger j where j.tenant_id = c.tenant_id and j.wedding_id = c.wedding_id and j.owner is null
                      and j.revision <> c.revision for update skip locked) x
                cross join lateral automation_priv.resolve_due(c.tenant_id, c.wedding_id, x.due_spec, automation.now()) d
                where l.job_id = x.job_id returning l.run_id)
            update automation.runs r set wedding_revision = c.revision from moved m where r.tenant_id = c.tenant_id and r.run_id = m.run_id and r.wedding_revision is not null;
            -- What waits for approval is rendered for the new date.
            update automation_priv.ledger l set parked_reason = null, due_at = automation.now()
            from (select j.job_id from automation_priv.ledger j join automation.approvals a on a.tenant_id = j.tenant_id and a.approval_id = j.job_id
                  where j.tenant_id = c.tenant_id and j.wedding_id = c.wedding_id and j.parked_reason = 'approval' and j.owner is null and a.revision <> c.revision
                  for update of j skip locked) x
            where l.job_id = x.job_id;
            v_locked := exists (select from automation_priv.ledger j where j.tenant_id = c.tenant_id and j.wedding_id = c.wedding_id and j.owner is null and j.revision <> c.revision);
        end if;
        if not v_locked then
            delete from automation_priv.wedding_changes x where x.tenant_id = c.tenant_id and x.wedding_id = c.wedding_id;
        end if;
    end loop;
    return n;
end $$;

-- ---- a wedding's whole timeline ------------------------------------------------------------------------------------------------------------------
-- What every active rule on a milestone, every run and every waiting step is to this wedding: done, running, skipped and why, scheduled, suspended.
create function automation.wedding_timeline(p_tenant uuid, p_wedding uuid)
returns table (at timestamptz, local_at text, rule_id uuid, rule text, rule_revision bigint, what text, state text, reason text, run_id uuid)
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    select x.at, to_char(x.at at time zone w.time_zone, 'YYYY-MM-DD HH24:MI'), x.rule_id, u.name, x.revision, x.what, x.state, x.reason, x.run_id
    from automation.weddings w
    cross join lateral (
        select coalesce(r.finished_at, r.due_at) as at, r.rule_id, r.rule_revision as revision, 'run' as what, r.state, r.reason, r.run_id
        from automation.runs r where r.tenant_id = p_tenant and r.wedding_id = p_wedding
        union all
        select l.due_at, r.rule_id, r.rule_revision, l.kind, case when l.owner is not null then 'in_flight' when l.parked_reason is not null then 'parked' else 'waiting' end,
            l.parked_reason, l.run_id
        from automation_priv.ledger l join automation.runs r on r.tenant_id = l.tenant_id and r.run_id = l.run_id
        where l.tenant_id = p_tenant and l.wedding_id = p_wedding
        union all
        select t.due_at, r.rule_id, r.validated_revision, 'start', case t.state when 'pending' then 'scheduled' when 'fired' then 'passed' else t.state end,
            case when t.state = 'suspended' then case when t.due_at is null then 'anchor_missing:' || k.milestone else 'wedding_' || w.status end
                 when t.state = 'fired' then 'not_active_then' end, null
        from automation.timings t
        join automation.timing_keys k on k.tenant_id = t.tenant_id and k.timing_id = t.timing_id
        join automation.rules r on r.tenant_id = t.tenant_id and r.timing_id = t.timing_id and r.status = 'active'
        where t.tenant_id = p_tenant and t.wedding_id = p_wedding and (t.state <> 'fired' or not exists (select from automation.runs f
            where f.tenant_id = p_tenant and f.rule_id = r.rule_id and f.wedding_id = p_wedding and f.trigger_ref = t.timing_id))
    ) x
    left join automation.rules u on u.tenant_id = p_tenant and u.rule_id = x.rule_id
    where w.tenant_id = p_tenant and w.wedding_id = p_wedding
    order by x.at nulls last, u.name, x.what;
end $$;
grant execute on function automation.wedding_timeline to automation_scheduler;

-- Each active rule's instant, and each waiting step's that follows a milestone: {key: {rule, what, due, fired}}. A postponed wedding's
-- are what holds once it is on again.
create function automation_priv.wedding_instants(p_tenant uuid, p_wedding uuid) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    return (select coalesce(jsonb_object_agg(x.key, jsonb_build_object('rule', x.rule_id, 'what', x.what, 'due', x.due_at, 'sent', x.sent, 'again', x.again)), '{}') from (
        select r.rule_id::text as key, r.rule_id, 'start' as what, case when t.state <> 'suspended' or w.status = 'postponed' then t.due_at end as due_at,
            exists (select from automation.runs f where f.tenant_id = p_tenant and f.rule_id = r.rule_id and f.wedding_id = p_wedding and f.trigger_ref = t.timing_id
                and f.state <> 'superseded' and (f.acted or f.state <> 'running')) as sent,
            coalesce(r.definition #>> '{settings,on_date_change}' = 'refire', false) as again
        from automation.timings t join automation.rules r on r.tenant_id = t.tenant_id and r.timing_id = t.timing_id and r.status = 'active'
        join automation.weddings w on w.tenant_id = t.tenant_id and w.wedding_id = t.wedding_id
        where t.tenant_id = p_tenant and t.wedding_id = p_wedding
        union all
        select l.job_id::text, r.rule_id, l.kind, (select d.due_at from automation_priv.resolve_due(p_tenant, p_wedding, l.due_spec, '-infinity') d), false, false
        from automation_priv.ledger l join automation.runs r on r.tenant_id = l.tenant_id and r.run_id = l.run_id
        where l.tenant_id = p_tenant and l.wedding_id = p_wedding and l.due_spec ? 'milestone') x);
end $$;

-- Moves a wedding (null date: postponed without one) and tells what that means: moved, now_past, sent (and stays so), fires_again, unscheduled, unchanged.
-- p_dry_run: tells only. The change itself is the host's UPDATE; everything else follows from it.
create function automation.move_wedding(p_tenant uuid, p_wedding uuid, p_date date, p_time time default null, p_zone text default null, p_dry_run boolean default false)
returns table (rule_id uuid, rule text, what text, change text, from_at timestamptz, to_at timestamptz)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare
    v_before jsonb;
    v_after jsonb;
begin
    if not exists (select from automation.weddings w where w.tenant_id = p_tenant and w.wedding_id = p_wedding) then
        raise exception 'tenant % has no wedding %', p_tenant, p_wedding using errcode = 'P0002';
    end if;
    v_before := automation_priv.wedding_instants(p_tenant, p_wedding);
    begin
        update automation.weddings w set ceremony_date = p_date, ceremony_time = case when p_date is not null then coalesce(p_time, w.ceremony_time) end,
            time_zone = coalesce(p_zone, w.time_zone)
        where w.tenant_id = p_tenant and w.wedding_id = p_wedding;
        v_after := automation_priv.wedding_instants(p_tenant, p_wedding);
        if p_dry_run then
            raise exception using errcode = 'U0002';
        end if;
    exception when sqlstate 'U0002' then null; -- variables outlive the rollback
    end;
    return query
    select (b.v ->> 'rule')::uuid, u.name, b.v ->> 'what', case
            when (b.v ->> 'sent')::boolean and not ((b.v ->> 'again')::boolean and a.due is distinct from b.due) then 'sent'
            when a.due is null then 'unscheduled'
            when a.due is not distinct from b.due then 'unchanged'
            when a.due < automation.now() then 'now_past'
            when (b.v ->> 'sent')::boolean then 'fires_again'
            else 'moved' end, b.due, a.due
    from (select e.key, e.value as v, (e.value ->> 'due')::timestamptz as due from jsonb_each(v_before) e) b
    cross join lateral (select (v_after -> b.key ->> 'due')::timestamptz as due) a
    left join automation.rules u on u.tenant_id = p_tenant and u.rule_id = (b.v ->> 'rule')::uuid
    order by a.due nulls last, u.name, b.key;
end $$;
grant execute on function automation.move_wedding to automation_scheduler;

-- ---- the engine's stamp on rules -----------------------------------------------------------------------------------------------------------------
create function automation_priv.rules_to_check(p_limit integer)
returns table (tenant_id uuid, rule_id uuid, revision bigint, definition jsonb)
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    select r.tenant_id, r.rule_id, r.revision, r.definition from automation.rules r
    where coalesce(r.validated_revision, 0) <> r.revision and coalesce(r.rejected_revision, 0) <> r.revision order by r.tenant_id, r.rule_id limit p_limit;
end $$;

-- p_stamp: {"rejection": […]} or {"trigger_type", "event_type", "warnings": […], "timing": {id, milestone, months, days, seconds, at, zone, window, yearly}}.
create function automation_priv.stamp_rule(p_term bigint, p_tenant uuid, p_rule uuid, p_revision bigint, p_stamp jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare
    k jsonb := p_stamp -> 'timing';
    v_new boolean := false;
begin
    perform automation_priv.lead(p_term);
    if p_stamp ? 'rejection' then
        update automation.rules set rejected_revision = p_revision, rejection = p_stamp -> 'rejection'
        where tenant_id = p_tenant and rule_id = p_rule and revision = p_revision;
        return;
    end if;
    if k is not null then
        insert into automation.timing_keys values (p_tenant, (k ->> 'id')::uuid, k ->> 'milestone', (k ->> 'months')::integer, (k ->> 'days')::integer,
            (k ->> 'seconds')::bigint, (k ->> 'at')::time, k ->> 'zone', k -> 'window', (k ->> 'yearly')::smallint) on conflict do nothing;
        v_new := found; -- the triggers keep the timings of a key that stands
    end if;
    update automation.rules set validated_revision = p_revision, rejected_revision = null, rejection = null, warnings = p_stamp -> 'warnings', trigger_type = p_stamp ->> 'trigger_type',
        event_type = p_stamp ->> 'event_type', timing_id = (k ->> 'id')::uuid
    where tenant_id = p_tenant and rule_id = p_rule and revision = p_revision;
    if v_new then
        perform automation_priv.refresh_timings(p_tenant, null, (k ->> 'id')::uuid);
    end if;
end $$;

-- A wedding that was written while a timing key was being made has seen nothing of the key, nor the key of the wedding: once no transaction is left that
-- ran beside the key's, its timings are brought in line again. Returns the keys handled.
create function automation_priv.settle_timing_keys(p_term bigint, p_limit integer) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    k record;
    n integer := 0;
begin
    perform automation_priv.lead(p_term);
    for k in select x.tenant_id, x.timing_id from automation.timing_keys x where x.made_in < pg_snapshot_xmin(pg_current_snapshot())
             order by x.made_in limit p_limit loop
        perform automation_priv.refresh_timings(k.tenant_id, null, k.timing_id);
        update automation.timing_keys x set made_in = null where x.tenant_id = k.tenant_id and x.timing_id = k.timing_id;
        n := n + 1;
    end loop;
    return n;
end $$;

-- A tenant's live rules as the engine took them, one row without a rule if there are none. Most stand at the revision that runs: their body is the
-- rule's own, without a second look-up.
create function automation_priv.load_ruleset(p_tenant uuid)
returns table (version bigint, rule_id uuid, revision bigint, definition jsonb)
language sql stable security definer set search_path = '' as $$
    select s.version, r.rule_id, r.validated_revision, case when r.revision = r.validated_revision then r.definition
        else (select v.definition from automation.rule_versions v
              where v.tenant_id = r.tenant_id and v.rule_id = r.rule_id and v.revision = r.validated_revision) end
    from automation.ruleset_state s
    left join automation.rules r on r.tenant_id = s.tenant_id and r.status = 'active' and r.live and r.validated_revision is not null
    where s.tenant_id = p_tenant order by r.rule_id
$$;

-- A tenant's other active rules that an event or another rule starts, the first p_limit by id: what the engine looks for chains in.
create function automation_priv.rules_beside(p_tenant uuid, p_rule uuid, p_limit integer) returns table (rule_id uuid, revision bigint, definition jsonb)
language plpgsql stable security definer set search_path = '' as $$
begin
    return query
    select r.rule_id, v.revision, v.definition from automation.rules r
    join automation.rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.rule_id and v.revision = r.validated_revision
    where r.tenant_id = p_tenant and r.rule_id <> p_rule and r.status = 'active' and r.trigger_type <> 'milestone' order by r.rule_id limit p_limit;
end $$;

-- Those of p_names that are no message template, neither the tenant's nor ours.
create function automation_priv.missing_messages(p_tenant uuid, p_names text[]) returns setof text
language plpgsql stable security definer set search_path = '' as $$
begin
    return query
    select n from unnest(p_names) n
    where not exists (select from automation.message_templates t where t.name = n and (t.tenant_id = p_tenant or t.tenant_id is null)) order by n;
end $$;

-- ---- the stepped clock -----------------------------------------------------------------------------------------------------------------------------
create function automation_priv.clock_set(p_at timestamptz) returns void
language sql security definer set search_path = '' as $$
    update automation_priv.clock set mode = case when p_at is null then 'real' else 'stepped' end, at = p_at
$$;

-- Why the clock can not step now, or null: work that is due and waiting, or in flight.
create function automation_priv.clock_busy() returns text
language plpgsql stable security definer set search_path = '' as $$
begin
    return (
    select case
        when exists (select from automation_priv.outbox o where o.available_at <= n.t) then 'events'
        when exists (select from automation.timings t where t.state = 'pending' and t.due_at <= n.t) then 'timings'
        when exists (select from automation_priv.wedding_changes) then 'moved weddings'
        when exists (select from automation_priv.wait_checks) then 'waits'
        when exists (select from automation_priv.queued_ready(1)) then 'queued runs'
        when exists (select from automation_priv.ledger l where l.due_at <= n.t or l.owner is not null) then 'jobs'
        when exists (select from automation_priv.rules_to_check(1)) then 'rules'
        when exists (select from automation.timing_keys k where k.made_in is not null) then 'new timings'
        when exists (select from automation.rules r where r.live_due <= n.t) then 'activations'
        end
    from (select automation.now() as t) n);
end $$;

-- Jumps to the next due instant, or to p_not_after if that comes first. Returns the clock, whether it moved, and why not ('' when nothing is ever due).
create function automation_priv.clock_step(p_not_after timestamptz) returns table (at timestamptz, stepped boolean, busy text)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare
    c automation_priv.clock;
    v_next timestamptz;
begin
    select * into c from automation_priv.clock for update;
    if c.mode <> 'stepped' then
        raise exception 'the clock is not stepped: this database runs on real time' using errcode = '55000';
    end if;
    busy := automation_priv.clock_busy();
    at := c.at;
    stepped := false;
    if busy is null then
        select min(x) into v_next from (
            select p_not_after
            union all select (select o.available_at from automation_priv.outbox o order by o.available_at limit 1)
            union all select (select t.due_at from automation.timings t where t.state = 'pending' order by t.due_at limit 1)
            union all select (select r.live_due from automation.rules r where r.live_due is not null order by r.live_due limit 1)
            union all select (select l.due_at from automation_priv.ledger l where l.due_at is not null order by l.due_at limit 1)) as n(x);
        if v_next > c.at then
            perform automation_priv.ensure_partitions(v_next, v_next); -- a jump may be longer than the runway
            update automation_priv.clock k set at = v_next;
            perform pg_catalog.pg_notify('automation_wake', '');
            at := v_next;
            stepped := true;
        else
            busy := '';
        end if;
    end if;
    return next;
end $$;

-- ---- activation: when an active rule is live ---------------------------------------------------------------------------------------------------
-- An active rule is live within valid_from … valid_until and in the months of its season, on the calendar of its tenant; and for a wedding, where it says
-- booked_only, from the booking on. A rule that is not live is not in the rule set; one that goes live is activated at that instant, so that nothing from
-- before starts it.
create table automation.rule_activations (
    tenant_id uuid not null,
    rule_id uuid not null,
    seq bigint generated always as identity,
    at timestamptz not null,
    live boolean not null,
    reason text not null, -- activated in_window in_season; draft paused archived before_window window_over out_of_season
    primary key (tenant_id, rule_id, seq),
    foreign key (tenant_id, rule_id) references automation.rules on delete cascade
);
alter table automation.rule_activations enable row level security;

-- Whether a rule with these bounds is live, why, and the next instant at which that may change.
create function automation_priv.rule_window(p_from timestamptz, p_until timestamptz, p_months smallint[], p_zone text, p_now timestamptz)
returns table (live boolean, reason text, next timestamptz)
language plpgsql stable set search_path = '' as $$
declare
    v_month timestamp := date_trunc('month', p_now at time zone p_zone);
    v_in boolean := p_months is null or extract(month from v_month)::smallint = any (p_months);
    v_flip timestamptz;
begin
    live := p_now >= coalesce(p_from, '-infinity') and p_now < coalesce(p_until, 'infinity') and v_in;
    reason := case when p_now < p_from then 'before_window' when p_now >= p_until then 'window_over' when not v_in then 'out_of_season'
        when p_months is not null then 'in_season' when p_from is not null or p_until is not null then 'in_window' else 'activated' end;
    select (v_month + make_interval(months => m)) at time zone p_zone into v_flip from generate_series(1, 12) m
    where p_months is not null and (extract(month from v_month + make_interval(months => m))::smallint = any (p_months)) <> v_in order by m limit 1;
    select min(x) into next from unnest(array[p_from, p_until, v_flip]) x where x > p_now;
    if p_now >= p_until then
        next := null; -- over for good
    end if;
    return next;
end $$;

create function automation_priv.rules_live() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_now timestamptz := automation.now();
    t automation.tenants;
    w record;
    v_was boolean := tg_op = 'UPDATE' and old.live;
begin
    if new.status <> 'active' then
        new.live := false;
        new.live_reason := new.status;
        new.live_due := null;
    elsif coalesce(new.valid_from, new.valid_until) is null and new.season_months is null then
        new.live := true;
        new.live_reason := 'activated';
        new.live_due := null;
    else
        select * into t from automation.tenants x where x.tenant_id = new.tenant_id;
        select * into w from automation_priv.rule_window(new.valid_from, new.valid_until, case when cardinality(new.season_months) = 0
            then coalesce((select array_agg(m::smallint) from jsonb_array_elements_text(t.settings -> 'season_months') m), '{5,6,7,8,9,10}') else new.season_months end,
            coalesce(t.time_zone, 'UTC'), v_now);
        new.live := w.live;
        new.live_reason := w.reason;
        new.live_due := w.next;
    end if;
    if new.live is distinct from v_was or tg_op = 'INSERT' then
        new.live_since := v_now;
    else
        new.live_since := old.live_since;
    end if;
    if new.live and tg_op = 'UPDATE' and not v_was then
        new.activated_at := v_now;
    end if;
    return new;
end $$;
create trigger rules_live before insert or update on automation.rules for each row execute function automation_priv.rules_live(); -- after rules_before

create function automation_priv.rules_live_noted() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'INSERT' then
        insert into automation.rule_activations (tenant_id, rule_id, at, live, reason)
        select n.tenant_id, n.rule_id, n.live_since, n.live, n.live_reason from new_rows n where n.status <> 'draft' order by 1, 2;
    else -- a full join can not become a nested loop
        insert into automation.rule_activations (tenant_id, rule_id, at, live, reason)
        select n.tenant_id, n.rule_id, automation.now(), n.live, n.live_reason
        from new_rows n full join old_rows o on o.tenant_id = n.tenant_id and o.rule_id = n.rule_id
        where (n.live, n.live_reason) is distinct from (o.live, o.live_reason) order by 1, 2;
    end if;
    return null;
end $$;
create trigger rules_live_insert after insert on automation.rules
    referencing new table as new_rows for each statement execute function automation_priv.rules_live_noted();
create trigger rules_live_update after update on automation.rules
    referencing old table as old_rows new table as new_rows for each statement execute function automation_priv.rules_live_noted();

-- The leader's: rules whose next instant has come. Their trigger decides.
create function automation_priv.activate_rules(p_term bigint, p_limit integer) returns integer
language plpgsql security definer set search_path = '' as $$
declare n integer;
begin
    perform automation_priv.lead(p_term);
    update automation.rules r set live_due = null from (
        select x.tenant_id, x.rule_id from automation.rules x where x.live_due <= automation.now() order by x.live_due, x.tenant_id, x.rule_id limit p_limit for update skip locked) d
    where r.tenant_id = d.tenant_id and r.rule_id = d.rule_id;
    get diagnostics n = row_count;
    return n;
end $$;

-- Another season or zone of the tenant: its rules are looked at again, and what its weddings have at an hour of that zone.
create function automation_priv.tenants_season() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    update automation.rules r set live_due = null where r.tenant_id = new.tenant_id and r.season_months is not null and r.status = 'active';
    update automation.weddings w set revision = w.revision + 1 where w.tenant_id = new.tenant_id and new.time_zone <> old.time_zone
        and exists (select from automation.timing_keys k where k.tenant_id = w.tenant_id and k.zone_mode = 'tenant');
    return null;
end $$;
create trigger tenants_season after update on automation.tenants for each row
    when ((old.time_zone, old.settings -> 'season_months') is distinct from (new.time_zone, new.settings -> 'season_months'))
    execute function automation_priv.tenants_season();

-- Since when a wedding is booked: what booked_on says, where it lies before now, or now.
create function automation_priv.weddings_booked() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if new.status = 'inquiry' then
        new.booked_at := null;
    elsif new.status in ('booked', 'planning', 'completed') and new.booked_at is null then
        new.booked_at := least(automation.now(), new.booked_on::timestamp at time zone new.time_zone);
    end if;
    return new;
end $$;
create trigger weddings_when_booked before insert or update of status on automation.weddings for each row execute function automation_priv.weddings_booked();

-- ---- retention of this file's tables (031) -------------------------------------------------------------------------------------------------
insert into automation_priv.retention (table_name, reason) values
    ('automation.timing_keys', 'bounded: one row a distinct timing of a tenant''s rules'),
    ('automation.timings', 'kept: they belong to weddings'),
    ('automation.preapprovals', 'kept: they belong to rules'),
    ('automation_priv.outbox', 'bounded: an event that was dispatched leaves'),
    ('automation_priv.wedding_changes', 'bounded: one row a changed wedding until the leader has looked'),
    ('automation_priv.zones', 'bounded: names of time zones'),
    ('automation_priv.load_shape', 'bounded: one row');
insert into automation_priv.retention (table_name, stamp, keep, only_if, reason) values
    ('automation.trigger_events', 't.dispatched_at', '13 months', $x$
        not exists (select from automation.runs r where r.tenant_id = t.tenant_id and r.wedding_id = t.wedding_id and r.state = 'running')
        and (t.wedding_id is not null
            or not exists (select from automation.runs r where r.tenant_id = t.tenant_id and r.wedding_id is null and r.state = 'running')) $x$,
        'history; what a running run of the wedding may still look back at stays'),
    ('automation_priv.herds', 't.minute', '30 days', 'true', 'minutes whose runs were spread, as long as something of them may be late'),
    ('automation.rule_activations', 't.at', '2 years', 'true', 'history: when rules were live, and why'),
    ('automation.approvals', 't.requested_at', '13 months', 't.state <> ''pending''', 'who approved what'),
    ('automation_priv.outbox_quarantine', 't.quarantined_at', '1 year', 'true', 'events that could not be dispatched; somebody has to look');
create index rule_activations_at on automation.rule_activations (at);
create index approvals_requested on automation.approvals (requested_at);
create index outbox_quarantine_at on automation_priv.outbox_quarantine (quarantined_at);

do $$
declare f text;
begin
    for f in select p.oid::regprocedure from pg_catalog.pg_proc p where p.pronamespace = 'automation_priv'::regnamespace loop
        execute format('revoke execute on function %s from public', f);
    end loop;
end $$;

-- ---- grants: workers touch the ledger through functions and append to the log and its staging table; the scheduler runs the duties ------------------
grant execute on function automation_priv.worker_register, automation_priv.worker_beat, automation_priv.worker_leave, automation_priv.tenant_ids, automation_priv.claim_jobs,
    automation_priv.recheck_jobs, automation_priv.settle_jobs, automation_priv.settle_done, automation_priv.adopt_entries, automation_priv.merge_logs, automation_priv.facts
    to automation_worker;
grant insert on automation.execution_logs, automation_priv.log_stage, automation_priv.log_quarantine,
    automation_priv.rollup_deltas to automation_worker;
grant select on automation.kinds to automation_worker, automation_scheduler;
grant select on automation_priv.clock to automation_worker, automation_scheduler;
do $$
declare t text;
begin
    -- Not `all tables`: the migration runner's own table may belong to another role.
    for t in select c.oid::regclass from pg_catalog.pg_class c where c.relnamespace in ('automation'::regnamespace, 'automation_priv'::regnamespace)
            and c.relkind in ('r', 'p') and c.relowner = 'automation_owner'::regrole loop
        execute format('grant select on table %s to automation_scheduler, automation_monitor', t);
    end loop;
end $$;
grant execute on function automation_priv.audit to automation_monitor;
reset role;
