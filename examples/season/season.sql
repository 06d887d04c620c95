-- The host application's side of the sample season: loads tenants, vendors, weddings and rules, keeps a script of what happens when, and plays
-- it line by line, each line in a transaction of its own, as an application with the automation schema in its database would.
create schema if not exists season;

create table if not exists season.script (
    seq bigint primary key,
    at timestamptz not null,
    line jsonb not null
);
create index if not exists script_at on season.script (at, seq);

-- Names that are not expected are errors: a misspelt key must not be ignored.
create or replace function season.only(p_line jsonb, variadic p_keys text[]) returns void
language plpgsql immutable as $$
declare k text;
begin
    select x into k from jsonb_object_keys(p_line) x where not x = any (p_keys) limit 1;
    if k is not null then
        raise exception 'unknown key "%": expected one of %', k, array_to_string(p_keys, ', ') using errcode = '22023';
    end if;
end $$;

-- What was moved, postponed or cancelled, and what that meant to the wedding's plan: {change: count}.
create table if not exists season.changes (
    seq bigint primary key,
    at timestamptz not null,
    tenant_id uuid not null,
    wedding_id uuid not null,
    what text not null,
    from_date date,
    to_date date,
    diff jsonb not null
);

create or replace function season.need(p_line jsonb, p_key text) returns text
language plpgsql immutable as $$
begin
    if p_line ->> p_key is null then
        raise exception 'key "%" is missing', p_key using errcode = '22023';
    end if;
    return p_line ->> p_key;
end $$;

create or replace function season.create_wedding(p jsonb) returns void
language plpgsql as $$
declare
    v_tenant uuid := season.need(p, 'tenant');
    v_id uuid := season.need(p, 'id');
    x jsonb;
begin
    perform season.only(p, 'tenant', 'id', 'title', 'status', 'ceremony_date', 'ceremony_time', 'time_zone', 'inquired_on', 'booked_on', 'guest_count', 'venue',
        'service_types', 'package', 'budget_cents', 'stage', 'tags', 'client', 'attributes', 'contacts', 'vendors', 'milestones');
    insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, time_zone, inquired_on, booked_on, guest_count, venue,
        service_types, package, budget_cents, stage, tags, client_name, client_email, client_phone, attributes)
    values (v_tenant, v_id, season.need(p, 'title'), coalesce(p ->> 'status', 'inquiry'), (p ->> 'ceremony_date')::date, (p ->> 'ceremony_time')::time,
        season.need(p, 'time_zone'), (p ->> 'inquired_on')::date, (p ->> 'booked_on')::date, (p ->> 'guest_count')::integer, coalesce(p -> 'venue', '{}'),
        array(select jsonb_array_elements_text(coalesce(p -> 'service_types', '[]'))), p ->> 'package', (p ->> 'budget_cents')::bigint, p ->> 'stage',
        array(select jsonb_array_elements_text(coalesce(p -> 'tags', '[]'))), p #>> '{client,name}', p #>> '{client,email}', p #>> '{client,phone}',
        coalesce(p -> 'attributes', '{}'));
    for x in select * from jsonb_array_elements(coalesce(p -> 'contacts', '[]')) loop
        insert into automation.contacts values (v_tenant, automation_priv.derive('contact', v_id::text, x ->> 'role', x ->> 'name'), v_id, x ->> 'role', x ->> 'name', x ->> 'email', x ->> 'phone');
    end loop;
    for x in select * from jsonb_array_elements(coalesce(p -> 'vendors', '[]')) loop
        insert into automation.wedding_vendors (tenant_id, wedding_id, vendor_id, role, relationship, confirmed)
        values (v_tenant, v_id, (x ->> 'vendor')::uuid, x ->> 'role', coalesce(x ->> 'relationship', 'client_booked'), coalesce((x ->> 'confirmed')::boolean, false));
    end loop;
    insert into automation.milestones (tenant_id, wedding_id, name, source, derived_from, derived_days, local_date, local_time)
    select v_tenant, v_id, m ->> 'name', case when m ? 'derived_from' then 'derived' else 'stored' end, m ->> 'derived_from', (m ->> 'derived_days')::integer,
        (m ->> 'local_date')::date, (m ->> 'local_time')::time
    from jsonb_array_elements(coalesce(p -> 'milestones', '[]')) m order by m ->> 'name';
    update automation.weddings set title = title where tenant_id = v_tenant and wedding_id = v_id and p ? 'milestones'; -- derived dates follow
end $$;

-- One line of a season file.
create or replace function season.load(p_kind text, p jsonb, p_seq bigint) returns void
language plpgsql as $$
begin
    if jsonb_typeof(p) <> 'object' then
        raise exception 'expected a JSON object' using errcode = '22023';
    end if;
    case p_kind
    when 'tenant' then
        perform season.only(p, 'id', 'name', 'email', 'time_zone', 'settings');
        insert into automation.tenants (tenant_id, name, email, time_zone, settings)
        values (season.need(p, 'id')::uuid, season.need(p, 'name'), p ->> 'email', season.need(p, 'time_zone'), coalesce(p -> 'settings', '{}'));
    when 'vendor' then
        perform season.only(p, 'tenant', 'id', 'name', 'kind', 'email', 'phone');
        insert into automation.vendors values (season.need(p, 'tenant')::uuid, season.need(p, 'id')::uuid, season.need(p, 'name'), season.need(p, 'kind'), p ->> 'email', p ->> 'phone');
    when 'rule' then
        perform season.only(p, 'tenant', 'id', 'status', 'definition');
        insert into automation.rules (tenant_id, rule_id, name, status, definition, template_key)
        values (season.need(p, 'tenant')::uuid, season.need(p, 'id')::uuid, coalesce(p #>> '{definition,name}', 'rule'), coalesce(p ->> 'status', 'active'),
            p -> 'definition', p #>> '{definition,template_key}');
    when 'wedding' then
        perform season.create_wedding(p);
    when 'event' then
        perform season.only(p, 'at', 'tenant', 'wedding', 'create', 'set', 'event', 'enqueue');
        if not p ?| array['create', 'set', 'event', 'enqueue'] then
            raise exception 'expected one of create, set, event, enqueue' using errcode = '22023';
        end if;
        insert into season.script values (p_seq, season.need(p, 'at')::timestamptz, p);
    else
        raise exception 'unknown kind of line %', p_kind using errcode = '22023';
    end case;
end $$;

create or replace function season.change_wedding(p_tenant uuid, p_wedding uuid, s jsonb) returns void
language plpgsql as $$
begin
    perform season.only(s, 'ceremony_date', 'ceremony_time', 'time_zone', 'status', 'stage', 'booked_on', 'guest_count', 'package', 'budget_cents', 'attributes', 'milestones');
    update automation.weddings w set
        ceremony_time = case when s ? 'ceremony_time' then (s ->> 'ceremony_time')::time when s ? 'ceremony_date' and s ->> 'ceremony_date' is null then null else w.ceremony_time end,
        ceremony_date = case when s ? 'ceremony_date' then (s ->> 'ceremony_date')::date else w.ceremony_date end,
        time_zone = coalesce(s ->> 'time_zone', w.time_zone),
        status = coalesce(s ->> 'status', w.status),
        stage = coalesce(s ->> 'stage', w.stage),
        booked_on = coalesce((s ->> 'booked_on')::date, w.booked_on),
        guest_count = case when s ? 'guest_count' then (s ->> 'guest_count')::integer else w.guest_count end,
        package = coalesce(s ->> 'package', w.package),
        budget_cents = coalesce((s ->> 'budget_cents')::bigint, w.budget_cents),
        attributes = w.attributes || coalesce(s -> 'attributes', '{}')
    where w.tenant_id = p_tenant and w.wedding_id = p_wedding;
    if not found then
        raise exception 'tenant % has no wedding %', p_tenant, p_wedding using errcode = '22023';
    end if;
    insert into automation.milestones as m (tenant_id, wedding_id, name, local_date, local_time)
    select p_tenant, p_wedding, x ->> 'name', (x ->> 'local_date')::date, (x ->> 'local_time')::time
    from jsonb_array_elements(coalesce(s -> 'milestones', '[]')) x
    on conflict (tenant_id, wedding_id, name) do update set local_date = excluded.local_date, local_time = excluded.local_time;
end $$;

-- Changes a wedding and notes what that means to its plan: how many starts and steps moved, are now past, end, are planned at last, or were sent before.
create or replace function season.change_and_note(p_seq bigint, p_tenant uuid, p_wedding uuid, s jsonb) returns void
language plpgsql as $$
declare
    v_what text := case when s ->> 'status' = 'cancelled' then 'cancelled' when s ->> 'status' = 'postponed' then 'postponed' when s ? 'ceremony_date' then 'moved' end;
    v_from date := (select w.ceremony_date from automation.weddings w where w.tenant_id = p_tenant and w.wedding_id = p_wedding);
    v_before jsonb := case when v_what is not null then automation_priv.wedding_instants(p_tenant, p_wedding) end;
    v_after jsonb;
begin
    perform season.change_wedding(p_tenant, p_wedding, s);
    if v_what is null then return; end if;
    v_after := automation_priv.wedding_instants(p_tenant, p_wedding);
    insert into season.changes
    select p_seq, automation.now(), p_tenant, p_wedding, v_what, v_from, (s ->> 'ceremony_date')::date, (
        select coalesce(jsonb_object_agg(d.change, d.n), '{}') from (
            select case when x.sent then 'sent' when x.due is null and x.was is null then 'none' when x.due is null then 'unscheduled' when x.was is null then 'planned'
                when x.due = x.was then 'unchanged' when x.due < automation.now() then 'now_past' else 'moved' end as change, count(*) as n
            from (select (b.value ->> 'sent')::boolean as sent, (b.value ->> 'due')::timestamptz as was, (v_after -> b.key ->> 'due')::timestamptz as due
                  from jsonb_each(v_before) b) x group by 1) d);
end $$;

-- What became of the changed weddings, by time. What rules send because of a cancellation is told apart: their runs begin
-- after it, with an event.
create or replace function season.changes_told() returns jsonb
language sql stable as $$
    select coalesce(jsonb_agg(jsonb_build_object('at', c.at, 'what', c.what, 'wedding', c.wedding_id, 'title', w.title, 'from', c.from_date, 'to', c.to_date,
        'moved', coalesce((c.diff ->> 'moved')::integer, 0), 'now_past', coalesce((c.diff ->> 'now_past')::integer, 0),
        'unscheduled', coalesce((c.diff ->> 'unscheduled')::integer, 0), 'planned', coalesce((c.diff ->> 'planned')::integer, 0), 'sent', coalesce((c.diff ->> 'sent')::integer, 0),
        'superseded', l.superseded, 'cancelled', l.cancelled, 'told', l.told, 'sent_after', l.sent_after) order by c.at, c.seq), '[]')
    from season.changes c
    join automation.weddings w using (tenant_id, wedding_id)
    cross join lateral (
        select count(*) filter (where x.outcome = 4) as superseded, count(*) filter (where x.outcome = 3) as cancelled,
               count(*) filter (where x.outcome = 0 and k.outward and v.told) as told,
               -- Of the instant itself a message may have gone out just before.
               count(*) filter (where x.outcome = 0 and k.outward and x.queued_at > c.at and not v.told) as sent_after
        from automation.execution_logs x
        left join automation.kinds k on k.kind = x.kind
        left join automation.runs r on r.tenant_id = x.tenant_id and r.run_id = x.run_id
        cross join lateral (select coalesce(r.wedding_status in ('cancelled', 'archived') and r.trigger_type <> 'milestone', false) as told) v
        where x.tenant_id = c.tenant_id and x.wedding_id = c.wedding_id
          and x.queued_at >= c.at
          and x.queued_at < coalesce((select min(n.at) from season.changes n where n.wedding_id = c.wedding_id and n.at > c.at), 'infinity')) l
$$;

-- Plays the next line that is due by the domain clock. Returns its number, or null when none is.
create or replace function season.play_next() returns bigint
language plpgsql as $$
declare
    s season.script;
    v_tenant uuid;
    v_wedding uuid;
begin
    select * into s from season.script x where x.at <= automation.now() order by x.at, x.seq limit 1 for update;
    if not found then return null; end if;
    v_tenant := (s.line ->> 'tenant')::uuid;
    v_wedding := (s.line ->> 'wedding')::uuid;
    if s.line ? 'create' then
        perform season.create_wedding(s.line -> 'create');
    end if;
    if s.line ? 'set' then
        perform season.change_and_note(s.seq, v_tenant, v_wedding, s.line -> 'set');
    end if;
    if s.line ? 'event' then
        perform automation.publish_event(v_tenant, s.line #>> '{event,type}', v_wedding, coalesce(s.line #> '{event,payload}', '{}'),
            automation_priv.derive('season', s.seq::text));
    end if;
    if s.line ? 'enqueue' then
        perform automation.enqueue_job(s.line #>> '{enqueue,kind}', coalesce(s.line #> '{enqueue,payload}', '{}'), v_tenant, p_wedding => v_wedding,
            p_unique_key => s.line #>> '{enqueue,key}', p_job_id => automation_priv.derive('season_job', s.seq::text));
    end if;
    delete from season.script x where x.seq = s.seq;
    return s.seq;
end $$;

create or replace function season.next_at() returns timestamptz
language sql stable as $$ select min(at) from season.script $$;
