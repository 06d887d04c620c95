-- 030: schemas, roles, the domain clock, tenants, weddings and what belongs to them, rules and their versions.
--
-- Conventions: tenant_id leads every key outside automation_priv; text + CHECK instead of ENUM (enum comparison is not
-- leakproof and could not be an index condition under row level security); every function names its search_path; every
-- table of automation and automation_part has row level security on, so that a forgotten grant shows no rows.
-- Functions that run per row or per round are PL/pgSQL: one in SQL that is SECURITY DEFINER is planned anew at each call (due_jobs: 1.5 ms instead of 0.4).

do $$
declare r text;
begin
    foreach r in array array['automation_owner', 'automation_worker', 'automation_scheduler', 'automation_maint', 'automation_monitor', 'automation_api'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = r) then
            execute format('create role %I nologin', r);
        end if;
    end loop;
    if not pg_catalog.pg_has_role(current_user, 'automation_owner', 'member') then
        execute format('grant automation_owner to %I', current_user);
    end if;
end $$;

create schema if not exists automation authorization automation_owner;      -- what users may touch
create schema if not exists automation_part authorization automation_owner; -- log leaves: nobody may name them
create schema if not exists automation_priv authorization automation_owner; -- ledger, outbox, workers, definer functions
do $$
begin
    -- The migration runner keeps its own table in automation_priv and may have created the schema before this file ran.
    if (select nspowner from pg_namespace where nspname = 'automation_priv') <> 'automation_owner'::regrole then
        alter schema automation_priv owner to automation_owner;
    end if;
end $$;
grant usage on schema automation, automation_priv to automation_worker, automation_scheduler, automation_maint, automation_monitor;

set local role automation_owner;
alter default privileges for role automation_owner revoke execute on functions from public;

-- ---- the domain clock -----------------------------------------------------------------------------------------------------
-- Production: the server's clock. Development: a stepped clock whose row jumps from one due instant to the next.
create table automation_priv.clock (
    one boolean primary key default true check (one),
    mode text not null default 'real' check (mode in ('real', 'stepped')),
    at timestamptz,
    check ((mode = 'stepped') = (at is not null))
);
insert into automation_priv.clock default values;

create function automation.now() returns timestamptz
language plpgsql stable security definer set search_path = '' as $$
begin
    return (
    select case when c.mode = 'stepped' then c.at else pg_catalog.statement_timestamp() end from automation_priv.clock c);
end $$;
grant execute on function automation.now() to public;

-- ---- whose data a session may see -------------------------------------------------------------------------------------------
-- One function for each source of trust; a policy asks one of them, never both. API roles: the tenant that the token's issuer put beyond the user's
-- reach (app_metadata; user_metadata is the user's own), and because a token outlives a dismissal the user must still be a member of it. A setting that
-- was local to a transaction reads as '' afterwards, not as null.
create function automation.jwt_tenant() returns uuid
language plpgsql stable parallel safe security definer set search_path = '' as $$
declare v_claims jsonb := nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb;
begin
    return (select m.tenant_id from automation.members m
            where m.tenant_id = (v_claims #>> '{app_metadata,tenant_id}')::uuid and m.user_id = (v_claims ->> 'sub')::uuid);
end $$;
-- Programs that act for a tenant: set_config('app.tenant_id', …, true) in each transaction.
create function automation.ctx_tenant() returns uuid
language sql stable parallel safe set search_path = '' as $$
    select nullif(pg_catalog.current_setting('app.tenant_id', true), '')::uuid
$$;

-- Identifiers that must be the same in every play: SHA-256 over "domain\npart\n…" with \ and newline escaped inside parts,
-- first 16 bytes, UUID version 8. The same bytes as key_derive() in common/core/key.h.
create function automation_priv.derive(domain text, variadic parts text[]) returns uuid
language sql immutable strict parallel safe set search_path = '' as $$
    select encode(set_byte(set_byte(h, 6, (get_byte(h, 6) & 15) | 128), 8, (get_byte(h, 8) & 63) | 128), 'hex')::uuid
    from (select substr(sha256(convert_to(domain || E'\n' || string_agg(
              replace(replace(p, E'\\', E'\\\\'), E'\n', E'\\n') || E'\n', '' order by i), 'UTF8')), 1, 16) as h
          from unnest(parts) with ordinality as x(p, i)) d
$$;

-- ---- tenants and people -----------------------------------------------------------------------------------------------------
create table automation.tenants (
    tenant_id uuid primary key,
    name text not null check (length(name) between 1 and 200),
    email text check (length(email) <= 320),
    time_zone text not null default 'UTC',
    settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
    created_at timestamptz not null default now()
);
-- Jobs that belong to no tenant belong to the platform.
insert into automation.tenants (tenant_id, name) values ('00000000-0000-0000-0000-000000000000', 'platform');

create table automation.members (
    tenant_id uuid not null references automation.tenants on delete cascade,
    user_id uuid not null,
    role text not null default 'member' check (role in ('owner', 'admin', 'member')),
    created_at timestamptz not null default now(),
    primary key (tenant_id, user_id)
);
create index members_user on automation.members (user_id);

-- A wedding's truth is its local date and time plus an IANA zone; instants are derived from them. `revision` rises when the
-- date, time, zone or a milestone changes; `change_no` rises with every update.
create table automation.weddings (
    tenant_id uuid not null references automation.tenants on delete cascade,
    wedding_id uuid not null,
    title text not null check (length(title) between 1 and 300),
    status text not null default 'inquiry'
        check (status in ('inquiry', 'booked', 'planning', 'postponed', 'cancelled', 'completed', 'archived')),
    ceremony_date date,
    ceremony_time time,
    time_zone text not null,
    inquired_on date,
    booked_on date,
    guest_count integer check (guest_count >= 0),
    venue jsonb not null default '{}' check (jsonb_typeof(venue) = 'object'),
    service_types text[] not null default '{}',
    package text,
    budget_cents bigint check (budget_cents >= 0),
    stage text,
    tags text[] not null default '{}',
    client_name text,
    client_email text check (length(client_email) <= 320),
    client_phone text,
    attributes jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object' and pg_column_size(attributes) <= 65536),
    booked_at timestamptz, -- since when it is booked; null again when it falls back to an inquiry (032, activation)
    revision bigint not null default 1,
    change_no bigint not null default 1,
    created_at timestamptz not null default automation.now(),
    updated_at timestamptz not null default automation.now(),
    primary key (tenant_id, wedding_id),
    check (ceremony_time is null or ceremony_date is not null)
) with (fillfactor = 80);

create table automation.contacts (
    tenant_id uuid not null,
    contact_id uuid not null,
    wedding_id uuid not null,
    role text not null check (role ~ '^[a-z][a-z0-9_]{0,63}$'),
    name text not null,
    email text,
    phone text,
    primary key (tenant_id, contact_id),
    foreign key (tenant_id, wedding_id) references automation.weddings on delete cascade
);
create index contacts_wedding on automation.contacts (tenant_id, wedding_id);

create table automation.vendors (
    tenant_id uuid not null references automation.tenants on delete cascade,
    vendor_id uuid not null,
    name text not null,
    kind text not null check (kind ~ '^[a-z][a-z0-9_]{0,63}$'),
    email text,
    phone text,
    primary key (tenant_id, vendor_id)
);

create table automation.wedding_vendors (
    tenant_id uuid not null,
    wedding_id uuid not null,
    vendor_id uuid not null,
    role text not null check (role ~ '^[a-z][a-z0-9_]{0,63}$'),
    relationship text not null default 'client_booked' check (relationship in ('preferred', 'referral', 'client_booked')),
    confirmed boolean not null default false,
    arrival timestamptz,
    linked_at timestamptz not null default automation.now(), -- answers are counted from here
    primary key (tenant_id, wedding_id, vendor_id, role),
    foreign key (tenant_id, wedding_id) references automation.weddings on delete cascade,
    foreign key (tenant_id, vendor_id) references automation.vendors on delete cascade
);

-- Dated points of a wedding's timeline. Rows with source `wedding` mirror the wedding's own columns; `derived` rows follow
-- another milestone by whole days; `stored` rows are set by hand or by the host application.
create table automation.milestones (
    tenant_id uuid not null,
    wedding_id uuid not null,
    name text not null check (name ~ '^[a-z][a-z0-9_]{0,63}$'),
    source text not null default 'stored' check (source in ('wedding', 'stored', 'derived')),
    derived_from text,
    derived_days integer,
    local_date date,
    local_time time,
    primary key (tenant_id, wedding_id, name),
    foreign key (tenant_id, wedding_id) references automation.weddings on delete cascade,
    check ((source = 'derived') = (derived_from is not null and derived_days is not null))
);

-- ---- what rules do to a wedding's record -------------------------------------------------------------------------------------
create table automation.tasks (
    tenant_id uuid not null,
    task_id uuid not null, -- derived from the job: created twice is created once
    wedding_id uuid,
    run_id uuid,
    title text not null,
    assignee text,
    notes text,
    due_on date,
    status text not null default 'open' check (status in ('open', 'done', 'dropped')),
    created_at timestamptz not null,
    primary key (tenant_id, task_id)
);
create index tasks_wedding on automation.tasks (tenant_id, wedding_id);

create table automation.notes (
    tenant_id uuid not null,
    note_id uuid not null,
    wedding_id uuid,
    run_id uuid,
    body text not null,
    created_at timestamptz not null,
    primary key (tenant_id, note_id)
);

-- ---- rules ---------------------------------------------------------------------------------------------------------------------
-- Whoever may write a rule writes name, status and definition. The engine checks the definition and stamps
-- validated_revision and the trigger columns, or rejection: only a stamped revision ever runs.
create table automation.rules (
    tenant_id uuid not null references automation.tenants on delete cascade,
    rule_id uuid not null,
    name text not null check (length(name) between 1 and 200),
    status text not null default 'draft' check (status in ('draft', 'active', 'paused', 'archived')),
    definition jsonb not null check (jsonb_typeof(definition) = 'object' and pg_column_size(definition) <= 65536),
    template_key text,
    revision bigint not null default 1,
    validated_revision bigint,
    rejected_revision bigint,
    rejection jsonb, -- [{"pointer": …, "message": …}]
    trigger_type text,
    event_type text,
    timing_id uuid,
    activated_at timestamptz,
    -- When it is live; the columns from `live` on are the database's own (032, activation).
    valid_from timestamptz,
    valid_until timestamptz,
    season_months smallint[] check (season_months <@ array[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]::smallint[]), -- none in the list: the tenant's season
    booked_only boolean not null default false, -- live for a wedding from its booking on
    live boolean not null default false,
    live_since timestamptz,
    live_reason text,
    live_due timestamptz, -- when the clock may change it
    check (valid_from < valid_until),
    created_at timestamptz not null default automation.now(),
    updated_at timestamptz not null default automation.now(),
    primary key (tenant_id, rule_id)
) with (fillfactor = 90);
create index rules_to_check on automation.rules (tenant_id, rule_id)
    where coalesce(validated_revision, 0) <> revision and coalesce(rejected_revision, 0) <> revision;
create index rules_live_due on automation.rules (live_due) where live_due is not null;
create index rules_timing on automation.rules (tenant_id, timing_id) where timing_id is not null and status = 'active';

create table automation.rule_versions (
    tenant_id uuid not null,
    rule_id uuid not null,
    revision bigint not null,
    definition jsonb not null,
    created_at timestamptz not null default automation.now(),
    primary key (tenant_id, rule_id, revision),
    foreign key (tenant_id, rule_id) references automation.rules on delete cascade
);

-- One number per tenant that every change of its active rules raises: part of the cache key, so a stale set is never asked for.
-- It begins at the present millisecond, so that a tenant which is removed and made again does not count the same numbers twice.
create table automation.ruleset_state (
    tenant_id uuid primary key references automation.tenants on delete cascade,
    version bigint not null default (extract(epoch from clock_timestamp()) * 1000)::bigint,
    updated_at timestamptz not null default automation.now()
);

-- The other part of that key: a restored database counts versions again that have been given to other rules before.
create table automation_priv.epoch (
    one boolean primary key default true check (one),
    epoch uuid not null default gen_random_uuid(),
    since timestamptz not null default clock_timestamp()
);
insert into automation_priv.epoch default values;

-- After every restore, before anything is dispatched.
create function automation_priv.new_epoch() returns uuid
language plpgsql security definer set search_path = '' as $$
declare v uuid;
begin
    update automation_priv.epoch e set epoch = gen_random_uuid(), since = clock_timestamp() returning e.epoch into strict v;
    return v;
end $$;

create function automation_priv.rules_before() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'UPDATE' then
        if new.tenant_id <> old.tenant_id or new.rule_id <> old.rule_id then
            raise exception 'a rule''s tenant_id and rule_id never change' using errcode = '22023';
        end if;
        if new.definition is distinct from old.definition then
            new.revision := old.revision + 1;
        end if;
        new.updated_at := automation.now();
    end if;
    if new.status = 'active' and new.activated_at is null then
        new.activated_at := automation.now();
    end if;
    return new;
end $$;
create trigger rules_before before insert or update on automation.rules for each row execute function automation_priv.rules_before();

create function automation_priv.rules_after() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op <> 'DELETE' then
        insert into automation.rule_versions (tenant_id, rule_id, revision, definition)
        select tenant_id, rule_id, revision, definition from changed
        order by tenant_id, rule_id on conflict do nothing;
    end if;
    insert into automation.ruleset_state as s (tenant_id)
    select distinct c.tenant_id from changed c join automation.tenants t using (tenant_id) order by 1
    on conflict (tenant_id) do update set version = s.version + 1, updated_at = automation.now();
    return null;
end $$;
create trigger rules_after_insert after insert on automation.rules
    referencing new table as changed for each statement execute function automation_priv.rules_after();
create trigger rules_after_update after update on automation.rules
    referencing new table as changed for each statement execute function automation_priv.rules_after();
create trigger rules_after_delete after delete on automation.rules
    referencing old table as changed for each statement execute function automation_priv.rules_after();

-- ---- facts: what conditions and templates see of a wedding ---------------------------------------------------------------------
create function automation_priv.facts(p_tenant uuid, p_wedding uuid, p_now timestamptz) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    return (
    select w.attributes || jsonb_build_object(
        'wedding', jsonb_build_object(
            'id', w.wedding_id, 'title', w.title, 'status', w.status, 'date', w.ceremony_date,
            'ceremony_time', to_char(w.ceremony_time, 'HH24:MI'), 'time_zone', w.time_zone, 'guest_count', w.guest_count,
            'service_types', to_jsonb(w.service_types), 'package', w.package, 'budget_cents', w.budget_cents,
            'booked_on', w.booked_on, 'inquired_on', w.inquired_on, 'revision', w.revision, 'attributes', w.attributes,
            'date_local', to_char(w.ceremony_date, 'FMDay, FMDD FMMonth YYYY')),
        'venue', w.venue,
        'project', jsonb_build_object('stage', w.stage, 'tags', to_jsonb(w.tags)),
        'client', jsonb_build_object('name', w.client_name, 'email', w.client_email, 'phone', w.client_phone),
        'tenant', jsonb_build_object('id', t.tenant_id, 'name', t.name, 'email', t.email, 'time_zone', t.time_zone,
            'season_months', t.settings -> 'season_months'),
        'vendors', coalesce((select jsonb_agg(jsonb_build_object('name', v.name, 'kind', v.kind, 'role', wv.role, 'email', v.email,
                'relationship', wv.relationship, 'confirmed', wv.confirmed) order by wv.role, v.name, v.vendor_id)
            from automation.wedding_vendors wv join automation.vendors v using (tenant_id, vendor_id)
            where wv.tenant_id = w.tenant_id and wv.wedding_id = w.wedding_id), '[]'),
        'timeline', coalesce((select jsonb_object_agg(m.name, m.local_date) from automation.milestones m
            where m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id), '{}'),
        'today', (p_now at time zone w.time_zone)::date,
        'now', to_char(p_now at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
    from automation.weddings w join automation.tenants t using (tenant_id)
    where w.tenant_id = p_tenant and w.wedding_id = p_wedding);
end $$;
revoke execute on function automation_priv.facts from public;
grant execute on function automation_priv.facts to automation_worker, automation_scheduler;

do $$
declare t text;
begin
    for t in select c.relname from pg_catalog.pg_class c where c.relnamespace = 'automation'::regnamespace and c.relkind in ('r', 'p') loop
        execute format('alter table automation.%I enable row level security', t);
    end loop;
end $$;
reset role;
