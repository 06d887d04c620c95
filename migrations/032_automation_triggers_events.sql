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
create index trigger_events_dispatched on automation.trigger_events using brin (dispatched_at); -- for the purge
alter table automation.trigger_events enable row level security;

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
    if p_type is null or p_type !~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$' or length(p_type) > 64 then
        raise exception 'event type %: expected lower-case words joined by dots, such as payment.received', quote_nullable(p_type) using errcode = '22023';
    elsif p_payload is null or jsonb_typeof(p_payload) <> 'object' then
        raise exception 'event payload: expected an object' using errcode = '22023';
    elsif p_wedding is not null and not exists (select from automation.weddings w where w.tenant_id = p_tenant and w.wedding_id = p_wedding) then
        raise exception 'tenant % has no wedding %', p_tenant, p_wedding using errcode = '22023';
    elsif exists (select from automation.trigger_events e where e.tenant_id = p_tenant and e.event_id = v_id) then
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
    primary key (tenant_id, timing_id)
);
alter table automation.timing_keys enable row level security;

create table automation.timings (
    tenant_id uuid not null,
    wedding_id uuid not null,
    timing_id uuid not null,
    state text not null check (state in ('pending', 'fired', 'suspended')),
    due_at timestamptz,
    revision bigint not null,
    fired_at timestamptz,
    primary key (tenant_id, wedding_id, timing_id),
    foreign key (tenant_id, wedding_id) references automation.weddings on delete cascade,
    check (state <> 'pending' or due_at is not null)
) with (fillfactor = 80);
create index timings_due on automation.timings (due_at) where state = 'pending';
alter table automation.timings enable row level security;

-- Months and days are nominal on the local calendar (RFC 5545 3.3.6); p_at is the local time of the result, or null for an exact offset, which
-- keeps the anchor's local time and adds seconds as elapsed time. The only place where local times become instants; ambiguous ones take PostgreSQL's choice, the second.
create function automation_priv.instant(p_date date, p_time time, p_zone text, p_months integer, p_days integer, p_seconds bigint, p_at time)
returns timestamptz
language plpgsql stable set search_path = '' as $$
begin
    return (
    select case when p_at is not null
        then ((p_date + make_interval(months => p_months, days => p_days))::date + p_at) at time zone p_zone
        else ((p_date + make_interval(months => p_months, days => p_days))::date + p_time) at time zone p_zone + p_seconds * interval '1 second' end);
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
    cross join lateral (select automation_priv.instant(m.local_date, m.local_time,
        case k.zone_mode when 'wedding' then w.time_zone when 'tenant' then n.time_zone else k.zone_mode end,
        k.months, k.days, k.seconds, k.at_time) as due_at) d
    where w.tenant_id = p_tenant and (p_weddings is null or w.wedding_id = any (p_weddings)) and (p_timing is null or k.timing_id = p_timing)
    order by w.wedding_id, k.timing_id
    on conflict (tenant_id, wedding_id, timing_id) do update set
        due_at = excluded.due_at, revision = excluded.revision,
        state = case when t.state = 'fired' and not t.timing_id = any (p_again) then 'fired' else excluded.state end
    where (t.due_at, t.revision, t.state) is distinct from (excluded.due_at, excluded.revision, excluded.state);
end $$;

-- The instant a step is due, from its specification, and the wedding's revision where it derives from the wedding's date.
create function automation_priv.resolve_due(p_tenant uuid, p_wedding uuid, p_spec jsonb, p_now timestamptz)
returns table (due_at timestamptz, revision bigint)
language plpgsql stable security definer set search_path = '' as $$
#variable_conflict use_column
begin
    return query
    select case
            when p_spec is null or p_spec = '{}' then p_now
            when p_spec ? 'milestone' then (select case when x.t is null then null else greatest(p_now, x.t) end -- greatest() skips nulls
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
    left join automation.milestones m on m.tenant_id = p_tenant and m.wedding_id = p_wedding and m.name = p_spec ->> 'milestone'
    left join automation.tenants n on n.tenant_id = p_tenant
    cross join lateral (select coalesce(w.time_zone, n.time_zone, 'UTC') as zone) z;
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
create table automation_priv.zones (name text primary key);
create function automation_priv.check_zone(p_zone text) returns void
language plpgsql security definer set search_path = '' as $$
begin
    if exists (select from automation_priv.zones z where z.name = p_zone) then return; end if;
    insert into automation_priv.zones select z.name from pg_catalog.pg_timezone_names z where z.name = p_zone on conflict do nothing;
    if not found then
        raise exception 'time zone %: expected an IANA name such as Europe/Lisbon', quote_nullable(p_zone) using errcode = '22023';
    end if;
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
        if (new.ceremony_date, new.ceremony_time, new.time_zone) is distinct from (old.ceremony_date, old.ceremony_time, old.time_zone)
           and new.revision = old.revision then
            new.revision := old.revision + 1;
        end if;
    end if;
    return new;
end $$;
create trigger weddings_insert before insert on automation.weddings for each row execute function automation_priv.weddings_before();
create trigger weddings_update before update on automation.weddings for each row execute function automation_priv.weddings_before();

create function automation_priv.derive_milestones(p_tenant uuid, p_weddings uuid[]) returns void
language plpgsql security definer set search_path = '' as $$
begin
    update automation.milestones d set local_date = m.local_date + d.derived_days, local_time = m.local_time
    from automation.milestones m
    where d.tenant_id = p_tenant and d.wedding_id = any (p_weddings) and d.source = 'derived' and m.tenant_id = d.tenant_id
      and m.wedding_id = d.wedding_id and m.name = d.derived_from
      and (d.local_date, d.local_time) is distinct from (m.local_date + d.derived_days, m.local_time);
end $$;

-- After a statement on weddings: mirror dates into milestones, bring timings in line, note the change for the leader, publish events.
create function automation_priv.weddings_after() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_now timestamptz := automation.now();
    t record;
    c record;
begin
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

    if tg_op = 'INSERT' then
        for c in select * from new_rows order by tenant_id, wedding_id loop
            perform automation_priv.wedding_event(c.tenant_id, c.wedding_id, c.change_no, 'wedding.created', jsonb_build_object('status', c.status));
        end loop;
        return null;
    end if;

    for c in
        select n.tenant_id, n.wedding_id, n.change_no, n.revision <> o.revision as moved, n.status, o.status as old_status, n.stage, o.stage as old_stage,
               n.ceremony_date, o.ceremony_date as old_date, n.guest_count, o.guest_count as old_guests
        from new_rows n join old_rows o using (tenant_id, wedding_id)
        where (n.revision, n.status, n.stage, n.guest_count) is distinct from (o.revision, o.status, o.stage, o.guest_count)
        order by n.tenant_id, n.wedding_id
    loop
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

-- A milestone set by hand moves the wedding's revision, which brings the timings in line through the trigger above.
create function automation_priv.milestones_after() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if pg_catalog.pg_trigger_depth() > 1 then return null; end if;
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
-- Takes up to p_limit available events (or just the one named) out of the outbox, records them, and returns what matching needs. A repeated event id
-- is dropped. `waits`: parked steps that wait for such an event.
create function automation_priv.take_events(p_term bigint, p_limit integer, p_only bigint default null)
returns table (event_id uuid, tenant_id uuid, event_type text, wedding_id uuid, payload jsonb, hops smallint, occurred_at timestamptz, seq bigint,
    ruleset_version bigint, facts jsonb, wedding_revision bigint, wedding_status text, waits jsonb, now timestamptz)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare v_now timestamptz := automation.now();
begin
    perform automation_priv.lead(p_term);
    return query
    with picked as (
        select o.id from automation_priv.outbox o where o.available_at <= v_now and (p_only is null or o.id = p_only)
        order by o.available_at, o.event_id limit p_limit for update skip locked),
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

-- Takes a mark back: the dispatch failed for a reason that is not the event's (a lock, a lost connection).
create function automation_priv.unmark_event(p_term bigint, p_id bigint) returns void
language plpgsql security definer set search_path = '' as $$
begin
    perform automation_priv.lead(p_term);
    update automation_priv.outbox x set marks = x.marks - 1 where x.id = p_id and x.marks > 0;
end $$;

-- The look-back of new event waits: each with the events of its type and wedding since the run's own trigger.
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
    cross join lateral (
        select jsonb_agg(jsonb_build_object('id', x.event_id, 'type', x.event_type, 'payload', x.payload) order by x.seq) as events from (
            select * from automation.trigger_events te where te.tenant_id = l.tenant_id and te.wedding_id is not distinct from l.wedding_id
                and te.event_type = l.wait_event and te.seq > r.trigger_seq order by te.seq limit 100) x) e
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

-- Due timings, locked, with what matching needs.
create function automation_priv.due_timings(p_term bigint, p_limit integer)
returns table (tenant_id uuid, wedding_id uuid, timing_id uuid, due_at timestamptz, ruleset_version bigint, facts jsonb, wedding_revision bigint,
    wedding_status text, now timestamptz)
language plpgsql security definer set search_path = '' as $$
#variable_conflict use_column
declare v_now timestamptz := automation.now();
begin
    perform automation_priv.lead(p_term);
    return query
    with picked as (
        select t.tenant_id, t.wedding_id, t.timing_id, t.due_at from automation.timings t where t.state = 'pending' and t.due_at <= v_now
        order by t.due_at limit p_limit for update skip locked),
    fired as (
        update automation.timings t set state = 'fired', fired_at = v_now from picked p
        where t.tenant_id = p.tenant_id and t.wedding_id = p.wedding_id and t.timing_id = p.timing_id)
    select p.tenant_id, p.wedding_id, p.timing_id, p.due_at, coalesce(s.version, 0), automation_priv.facts(p.tenant_id, p.wedding_id, v_now), w.revision, w.status, v_now
    from picked p join automation.weddings w on w.tenant_id = p.tenant_id and w.wedding_id = p.wedding_id
    left join automation.ruleset_state s on s.tenant_id = p.tenant_id
    order by p.due_at, p.tenant_id, p.wedding_id, p.timing_id;
end $$;

-- Starts runs: {tenant, run, rule, revision, wedding, type, ref, seq, due, state, reason, bound, wedding_revision, wedding_status, hops, context, single,
-- max_runs, priority, kind, step, spec, event, templates}. A run that stands is not started again, unless it was superseded before any outward step acted.
create function automation_priv.plan_runs(p_term bigint, p_runs jsonb) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    v_now timestamptz := automation.now();
    v_day date := (v_now at time zone 'UTC')::date;
    p record;
    v_state text;
    v_reason text;
    v_generation smallint;
    v_job uuid;
    v_seq bigint;
    n integer := 0;
begin
    perform automation_priv.lead(p_term);
    -- A run without an event of its own waits for events from now on: those dispatched so far are before it.
    v_seq := coalesce(pg_catalog.pg_sequence_last_value('automation.trigger_events_seq_seq'), 0);
    for p in select * from jsonb_to_recordset(p_runs) as x(tenant uuid, run uuid, rule uuid, revision bigint, wedding uuid, type text, ref uuid, seq bigint,
        due timestamptz, state text, reason text, bound boolean, wedding_revision bigint, wedding_status text, hops smallint, context jsonb,
        single boolean, max_runs integer, priority smallint, kind text, step smallint, spec jsonb, event text, templates jsonb)
    loop
        -- What happened before a rule went live never starts it, however late it is dispatched.
        continue when p.type = 'event' and exists (select from automation.rules u where u.tenant_id = p.tenant and u.rule_id = p.rule and date_trunc('milliseconds', u.activated_at) > p.due); -- p.due came in milliseconds
        v_state := p.state;
        v_reason := p.reason;
        if v_state = 'running' and p.single and exists (select from automation.runs r where r.tenant_id = p.tenant and r.rule_id = p.rule
                and r.wedding_id is not distinct from p.wedding and r.state = 'running' and r.run_id <> p.run) then
            v_state := 'skipped';
            v_reason := 'already_running';
        elsif v_state = 'running' and p.max_runs is not null and (select count(*) from automation.runs r where r.tenant_id = p.tenant and r.rule_id = p.rule
                and r.wedding_id is not distinct from p.wedding and r.state not in ('skipped', 'superseded') and r.run_id <> p.run) >= p.max_runs then
            v_state := 'skipped';
            v_reason := 'max_runs';
        end if;
        insert into automation.runs as r (tenant_id, run_id, rule_id, rule_revision, wedding_id, trigger_type, trigger_ref, trigger_seq, due_at, state, reason,
            wedding_revision, wedding_status, hops, context, started_at, finished_at)
        values (p.tenant, p.run, p.rule, p.revision, p.wedding, p.type, p.ref, coalesce(p.seq, v_seq), p.due, v_state, v_reason,
            case when p.bound then p.wedding_revision end, p.wedding_status, coalesce(p.hops, 0::smallint),
            coalesce(p.context, '{}') || automation_priv.message_snapshot(p.tenant, p.templates), v_now,
            case when v_state <> 'running' then v_now end)
        on conflict (tenant_id, run_id) do update set rule_revision = excluded.rule_revision, generation = r.generation + 1::smallint, due_at = excluded.due_at,
            state = excluded.state, reason = excluded.reason, wedding_revision = excluded.wedding_revision, wedding_status = excluded.wedding_status,
            context = excluded.context, started_at = excluded.started_at, finished_at = excluded.finished_at, failed_steps = 0::smallint
            where r.state in ('superseded', 'skipped') and not r.acted and r.reason is distinct from 'past_due'
        returning r.generation into v_generation;
        continue when not found;
        n := n + 1;
        continue when v_state <> 'running';
        v_job := automation_priv.derive('job', p.run::text, p.step::text, '0', v_generation::text);
        insert into automation_priv.ledger (job_id, tenant_id, run_id, wedding_id, due_at, accepted_at, accepted_day, timeout_ms, step, priority, max_attempts,
            kind, queue, wait_event, effect_key, revision, due_spec, parked_reason)
        select v_job, p.tenant, p.run, p.wedding, case when p.spec is null then p.due else d.due_at end, v_now, v_day, k.timeout_ms, p.step, p.priority,
            k.max_attempts, k.kind, k.queue, p.event, v_job, case when p.bound then p.wedding_revision else d.revision end, p.spec,
            case when p.spec is not null and d.due_at is null then 'anchor_missing' end
        from automation.kinds k cross join lateral automation_priv.resolve_due(p.tenant, p.wedding, p.spec, v_now) d where k.kind = p.kind;
        if not found then
            raise exception 'kind % of rule % is not in automation.kinds', p.kind, p.rule using errcode = '22023';
        end if;
        if p.event is not null then
            insert into automation_priv.wait_checks values (v_job) on conflict do nothing;
        end if;
        insert into automation_priv.job_deltas values (p.tenant, v_day, 'accepted', 1);
    end loop;
    return n;
end $$;

-- After a wedding moved or ended: its unclaimed jobs are superseded, planned anew or cancelled. Returns the weddings handled; rows that somebody has locked
-- leave their wedding for the next call (what is claimed meanwhile is fenced by the claim).
create function automation_priv.replan_weddings(p_term bigint, p_limit integer) returns integer
language plpgsql security definer set search_path = '' as $$
declare
    c record;
    v_ids uuid[];
    v_again uuid[];
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
            -- Not begun: superseded, and the timing may fire again at its new instant. Under way: the step's instant is derived anew.
            select array_agg(l.job_id), array_agg(l.trigger_ref) into v_ids, v_again from (
                select j.job_id, r.trigger_ref from automation_priv.ledger j join automation.runs r on r.tenant_id = j.tenant_id and r.run_id = j.run_id
                where j.tenant_id = c.tenant_id and j.wedding_id = c.wedding_id and j.owner is null and j.revision <> c.revision
                  and r.wedding_revision = j.revision and not r.acted and r.trigger_type = 'milestone' for update of j skip locked) l;
            perform automation_priv.end_unrun(v_ids, 'superseded', 'wedding_moved', 4::smallint);
            perform automation_priv.refresh_timings(c.tenant_id, array[c.wedding_id], null, coalesce(v_again, '{}'));
            update automation_priv.ledger l set due_at = d.due_at, revision = c.revision, parked_reason = case when d.due_at is null then 'anchor_missing' end
            from (select j.job_id, j.due_spec from automation_priv.ledger j where j.tenant_id = c.tenant_id and j.wedding_id = c.wedding_id and j.owner is null
                  and j.revision <> c.revision for update skip locked) x
            cross join lateral automation_priv.resolve_due(c.tenant_id, c.wedding_id, x.due_spec, automation.now()) d
            where l.job_id = x.job_id;
            v_locked := exists (select from automation_priv.ledger j where j.tenant_id = c.tenant_id and j.wedding_id = c.wedding_id and j.owner is null and j.revision <> c.revision);
        end if;
        if not v_locked then
            delete from automation_priv.wedding_changes x where x.tenant_id = c.tenant_id and x.wedding_id = c.wedding_id;
        end if;
    end loop;
    return n;
end $$;

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

-- p_stamp: {"rejection": […]} or {"trigger_type", "event_type", "timing": {id, milestone, months, days, seconds, at, zone}}.
create function automation_priv.stamp_rule(p_term bigint, p_tenant uuid, p_rule uuid, p_revision bigint, p_stamp jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare k jsonb := p_stamp -> 'timing';
begin
    perform automation_priv.lead(p_term);
    if p_stamp ? 'rejection' then
        update automation.rules set rejected_revision = p_revision, rejection = p_stamp -> 'rejection'
        where tenant_id = p_tenant and rule_id = p_rule and revision = p_revision;
        return;
    end if;
    if k is not null then
        insert into automation.timing_keys values (p_tenant, (k ->> 'id')::uuid, k ->> 'milestone', (k ->> 'months')::integer, (k ->> 'days')::integer,
            (k ->> 'seconds')::bigint, (k ->> 'at')::time, k ->> 'zone') on conflict do nothing;
    end if;
    update automation.rules set validated_revision = p_revision, rejected_revision = null, rejection = null, trigger_type = p_stamp ->> 'trigger_type',
        event_type = p_stamp ->> 'event_type', timing_id = (k ->> 'id')::uuid
    where tenant_id = p_tenant and rule_id = p_rule and revision = p_revision;
    if k is not null then
        perform automation_priv.refresh_timings(p_tenant, null, (k ->> 'id')::uuid);
    end if;
end $$;

create function automation_priv.load_ruleset(p_tenant uuid)
returns table (version bigint, rule_id uuid, revision bigint, definition jsonb)
language sql stable security definer set search_path = '' as $$
    select s.version, r.rule_id, v.revision, v.definition
    from automation.ruleset_state s
    left join automation.rules r on r.tenant_id = s.tenant_id and r.status = 'active' and r.validated_revision is not null
    left join automation.rule_versions v on v.tenant_id = r.tenant_id and v.rule_id = r.rule_id and v.revision = r.validated_revision
    where s.tenant_id = p_tenant order by r.rule_id
$$;

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
        when exists (select from automation_priv.ledger l where l.due_at <= n.t or l.owner is not null) then 'jobs'
        when exists (select from automation_priv.rules_to_check(1)) then 'rules'
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

-- ---- retention of this file's tables (031) -------------------------------------------------------------------------------------------------
insert into automation_priv.retention (table_name, reason) values
    ('automation.timing_keys', 'bounded: one row a distinct timing of a tenant''s rules'),
    ('automation.timings', 'kept: they belong to weddings'),
    ('automation_priv.outbox', 'bounded: an event that was dispatched leaves'),
    ('automation_priv.wedding_changes', 'bounded: one row a changed wedding until the leader has looked'),
    ('automation_priv.zones', 'bounded: names of time zones');
insert into automation_priv.retention (table_name, stamp, keep, only_if, reason) values
    ('automation.trigger_events', 't.dispatched_at', '13 months', $x$
        not exists (select from automation.runs r where r.tenant_id = t.tenant_id and r.wedding_id = t.wedding_id and r.state = 'running')
        and (t.wedding_id is not null
            or not exists (select from automation.runs r where r.tenant_id = t.tenant_id and r.wedding_id is null and r.state = 'running')) $x$,
        'history; what a running run of the wedding may still look back at stays'),
    ('automation_priv.outbox_quarantine', 't.quarantined_at', '1 year', 'true', 'events that could not be dispatched; somebody has to look');

do $$
declare f text;
begin
    for f in select p.oid::regprocedure from pg_catalog.pg_proc p where p.pronamespace = 'automation_priv'::regnamespace loop
        execute format('revoke execute on function %s from public', f);
    end loop;
end $$;

-- ---- grants: workers touch the ledger through functions and append to the log and its staging table; the scheduler runs the duties ------------------
grant execute on function automation_priv.worker_register, automation_priv.worker_beat, automation_priv.worker_leave, automation_priv.claim_jobs,
    automation_priv.recheck_jobs, automation_priv.settle_jobs, automation_priv.settle_done, automation_priv.adopt_entries, automation_priv.merge_logs, automation_priv.facts
    to automation_worker;
grant insert on automation.execution_logs, automation_priv.log_stage, automation_priv.log_quarantine,
    automation_priv.rollup_deltas to automation_worker;
grant select on automation.kinds to automation_worker, automation_scheduler;
grant select on automation_priv.clock to automation_worker, automation_scheduler;
grant execute on all functions in schema automation_priv to automation_scheduler;
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
