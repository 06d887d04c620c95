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
            begin
                -- The archiver becomes the owner by SET ROLE, for what only the owner of a partition may do, and inherits nothing of it.
                execute format('create role %I nologin %s', r, case r when 'automation_maint' then 'noinherit in role automation_owner' else '' end);
            exception when unique_violation or duplicate_object then null; -- another database of the server is migrated at the same time
            end;
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
language plpgsql immutable strict parallel safe set search_path = '' as $$
declare
    v_text text := domain || E'\n';
    v_part text;
    h bytea;
begin
    foreach v_part in array parts loop
        v_text := v_text || coalesce(replace(replace(v_part, E'\\', E'\\\\'), E'\n', E'\\n') || E'\n', '');
    end loop;
    h := substr(sha256(convert_to(v_text, 'UTF8')), 1, 16);
    return encode(set_byte(set_byte(h, 6, (get_byte(h, 6) & 15) | 128), 8, (get_byte(h, 8) & 63) | 128), 'hex')::uuid;
end $$;

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
create index wedding_vendors_vendor on automation.wedding_vendors (tenant_id, vendor_id);

-- Dated points of a wedding's timeline. Rows with source `wedding` mirror the wedding's own columns; `derived` rows follow
-- another milestone by whole days; `stored` rows are set by hand or by the host application.
create table automation.milestones (
    tenant_id uuid not null,
    wedding_id uuid not null,
    name text not null check (name ~ '^[a-z][a-z0-9_]{0,63}$'),
    source text not null default 'stored' check (source in ('wedding', 'stored', 'derived')),
    derived_from text,
    derived_days integer,
    derived_time time, -- null: the other's
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
    warnings jsonb, -- of the validated revision, likewise; null: none
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

-- The number after p_version: a later millisecond's, so that one which was given in commits that a failover lost is not given again.
create function automation_priv.version_after(p_version bigint) returns bigint
language sql volatile set search_path = '' as $$
    select greatest(p_version + 1, (extract(epoch from clock_timestamp()) * 1000)::bigint)
$$;
revoke execute on function automation_priv.version_after from public;

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

-- ---- what a rule's document may be ---------------------------------------------------------------------------------------------------
-- Every write is checked for shape, limits and words, with the places and messages of the engine's validator (common/core/rule*.c, logic_*.c), which
-- checks the rest before a revision runs. The words are those of common/core/vocab.h and logic_priv.h; a test compares them.
create function automation_priv.rule_words() returns jsonb language sql immutable parallel safe set search_path = '' as $$ select '{
    "trigger": {"milestone": true, "event": true, "schedule": false, "webhook": false, "manual": true},
    "action": {"send_email": true, "send_sms": false, "send_form": false, "send_contract": false, "send_invoice": false, "request_payment": false,
        "notify_vendor": true, "notify_team": true, "create_task": true, "create_appointment": false, "set_field": true, "move_stage": true, "add_tag": true,
        "remove_tag": true, "create_note": true, "call_webhook": true, "emit_event": true, "start_rule": true, "stop_rule": true, "wait": true,
        "branch": true, "for_each": true, "stop": true},
    "group": {"and": 0, "or": 0, "!": 0, "if": 0, "?:": 0},
    "operator": {"var": [0, 2], "val": [0, 65535], "exists": [1, 65535], "missing": [0, 65535], "missing_some": [2, 2], "and": [1, 65535], "or": [1, 65535], "!": [1, 1],
        "!!": [1, 1], "if": [1, 65535], "?:": [1, 65535], "==": [2, 2], "===": [2, 2], "!=": [2, 2], "!==": [2, 2], "<": [2, 3], "<=": [2, 3], ">": [2, 3],
        ">=": [2, 3], "in": [2, 2], "startsWith": [2, 2], "endsWith": [2, 2], "cat": [1, 65535], "substr": [2, 3], "length": [1, 1], "+": [1, 65535], "-": [1, 2],
        "*": [1, 65535], "/": [2, 2], "%": [2, 2], "min": [1, 65535], "max": [1, 65535], "merge": [0, 65535], "filter": [2, 2], "map": [2, 2], "reduce": [2, 3],
        "all": [2, 2], "some": [2, 2], "none": [2, 2], "??": [1, 65535], "try": [1, 65535], "throw": [1, 1], "preserve": [0, 65535], "log": [1, 1],
        "before": [2, 3], "after": [2, 3], "not-before": [2, 3], "not-after": [2, 3], "plusTime": [3, 3], "dccDateOfBirth": [1, 1], "today": [0, 0],
        "days_until": [1, 1], "days_since": [1, 1], "in_season": [1, 2], "changed": [1, 1], "changed_to": [2, 2]}
}'::jsonb $$;

-- Refuses: message "PLACE: MESSAGE", the two apart in the detail.
create function automation_priv.rule_refuse(p_pointer text, p_message text) returns void
language plpgsql immutable set search_path = '' as $$
begin
    raise exception '%: %', case p_pointer when '' then 'rule' else p_pointer end, p_message
        using errcode = '22023', detail = pg_catalog.json_build_array(pg_catalog.json_build_object('pointer', p_pointer, 'message', p_message))::text;
end $$;

-- What stands there, for messages.
create function automation_priv.rule_show(v jsonb) returns text
language sql immutable parallel safe set search_path = '' as $$
    select case jsonb_typeof(v) when 'object' then 'an object' when 'array' then 'a list' when 'string'
        then '"' || left(v #>> '{}', 48) || case when octet_length(v #>> '{}') > 48 then '…' else '' end || '"' else coalesce(v #>> '{}', case when v is null then 'nothing' else 'null' end) end
$$;

-- The word of a list that is nearest, when at most a third of it differs: insertions, deletions, substitutions and swaps of neighbours count one each.
create function automation_priv.nearest_word(p_words text[], p_word text) returns text
language plpgsql immutable parallel safe set search_path = '' as $$
declare
    w text;
    v_found text;
    v_best integer;
    n integer := length(p_word);
    before integer[];
    above integer[];
    here integer[];
    d integer;
begin
    if n = 0 or n > 40 then return null; end if;
    foreach w in array p_words loop
        select array_agg(j order by j) into above from generate_series(0, length(w)) j;
        before := above;
        for i in 1..n loop
            here := array[i];
            for j in 1..length(w) loop
                d := least(above[j] + (substr(p_word, i, 1) <> substr(w, j, 1))::integer, above[j + 1] + 1, here[j] + 1);
                if i > 1 and j > 1 and substr(p_word, i, 1) = substr(w, j - 1, 1) and substr(p_word, i - 1, 1) = substr(w, j, 1) then
                    d := least(d, before[j - 1] + 1);
                end if;
                here := here || d;
            end loop;
            before := above;
            above := here;
        end loop;
        d := above[length(w) + 1];
        if d * 3 <= greatest(n, length(w)) and (v_best is null or d < v_best) then
            v_best := d;
            v_found := w;
        end if;
    end loop;
    return v_found;
end $$;

-- Refuses the first key that is not known.
create function automation_priv.rule_keys(p_object jsonb, p_at text, p_known text[]) returns void
language plpgsql immutable set search_path = '' as $$
declare
    k text;
    v_near text;
begin
    select min(x) into k from jsonb_object_keys(p_object - p_known) x;
    v_near := automation_priv.nearest_word(p_known, k);
    perform automation_priv.rule_refuse(p_at || '/' || replace(replace(k, '~', '~0'), '/', '~1'), format('unknown key "%s"; %s', left(k, 48),
        coalesce('did you mean "' || v_near || '"?', 'allowed here: ' || array_to_string(p_known, ', '))));
end $$;

-- Refuses what is no word of the list; those that are not available yet by name.
create function automation_priv.rule_word(p_words jsonb, p_value jsonb, p_at text) returns void
language plpgsql immutable set search_path = '' as $$
declare
    v_word text := case when jsonb_typeof(p_value) = 'string' then p_value #>> '{}' end;
    v_list text[];
    v_text text;
    v_near text;
begin
    -- In the order of the C table, as the document that rule_words() holds can not keep it.
    v_list := case when p_words ? 'branch' then array['send_email', 'notify_vendor', 'notify_team', 'create_task', 'set_field', 'move_stage', 'add_tag', 'remove_tag',
        'create_note', 'call_webhook', 'emit_event', 'start_rule', 'stop_rule', 'wait', 'branch', 'for_each', 'stop'] else array['milestone', 'event', 'manual'] end;
    v_text := array_to_string(v_list[:cardinality(v_list) - 1], ', ') || ' or ' || v_list[cardinality(v_list)];
    if p_words ? v_word then
        perform automation_priv.rule_refuse(p_at, format('"%s" is not available in this version; available: %s', v_word, v_text));
    end if;
    v_near := automation_priv.nearest_word((select array_agg(k) from jsonb_object_keys(p_words) k), v_word);
    perform automation_priv.rule_refuse(p_at, format(case when v_near is null then 'found %1$s; allowed: %3$s' else 'found %1$s; did you mean "%2$s"? Allowed: %3$s' end,
        automation_priv.rule_show(p_value), v_near, v_text));
end $$;

-- One node of a condition and all below it; returns the number of predicates so far. Stops at the first offence, as the compiler does.
create function automation_priv.rule_logic(p_words jsonb, p_node jsonb, p_root text, p_at text, p_depth integer, p_groups integer, p_leaves integer) returns integer
language plpgsql immutable set search_path = '' as $$
declare
    v_type text := jsonb_typeof(p_node);
    v_name text;
    v_operands jsonb;
    v_n integer;
    v_range jsonb;
    v_text text;
begin
    if v_type = 'string' then
        if octet_length(p_node #>> '{}') > 4096 then
            perform automation_priv.rule_refuse(p_root || p_at, format('limit_string: found %s bytes of text; allowed: at most 4096 bytes of text', octet_length(p_node #>> '{}')));
        end if;
        return p_leaves;
    elsif v_type not in ('object', 'array') then
        return p_leaves;
    elsif p_depth >= 16 then
        perform automation_priv.rule_refuse(p_root || p_at, format('limit_depth: found %s levels; allowed: at most 16 levels', p_depth + 1));
    elsif v_type = 'array' then
        v_n := jsonb_array_length(p_node);
        if v_n > 1000 then
            perform automation_priv.rule_refuse(p_root || p_at, format('limit_list: found %s items; allowed: at most 1000 items', v_n));
        end if;
        for i in 0..v_n - 1 loop
            p_leaves := automation_priv.rule_logic(p_words, p_node -> i, p_root, p_at || '/' || i, p_depth + 1, p_groups, p_leaves);
        end loop;
        return p_leaves;
    end if;
    v_name := jsonb_path_query_first(p_node, '$.keyvalue().key') #>> '{}';
    if v_name is null or p_node - v_name <> '{}' then
        perform automation_priv.rule_refuse(p_root || p_at, format('bad_shape: found %s; allowed: an object with one key, the operator',
            'an object with ' || (select count(*) from jsonb_object_keys(p_node)) || ' keys'));
    end if;
    v_operands := p_node -> v_name;
    v_n := case jsonb_typeof(v_operands) when 'array' then jsonb_array_length(v_operands) else 1 end;
    if p_words -> 'group' ? v_name then
        p_groups := p_groups + 1;
        if p_groups > 8 then
            perform automation_priv.rule_refuse(p_root || p_at, format('limit_group_depth: found %s nested groups; allowed: at most 8 nested groups', p_groups));
        end if;
    elsif v_name not in ('var', 'val') then
        p_leaves := p_leaves + 1;
        if p_leaves > 200 then
            perform automation_priv.rule_refuse(p_root || p_at, format('limit_leaves: found %s predicates; allowed: at most 200 predicates', p_leaves));
        end if;
    end if;
    if v_n > 1000 then
        perform automation_priv.rule_refuse(p_root || p_at, format('limit_list: found %s items; allowed: at most 1000 items', v_n));
    end if;
    v_range := p_words -> 'operator' -> v_name;
    v_text := p_at || '/' || replace(replace(v_name, '~', '~0'), '/', '~1');
    if v_range is null then
        perform automation_priv.rule_refuse(p_root || v_text, format('unknown_operator: found the operator "%s"; allowed: JsonLogic''s operators, startsWith, endsWith, before, after, '
            'plusTime, days_until, changed, …', left(v_name, 80)));
    elsif v_n < (v_range -> 0)::integer or (v_n > (v_range -> 1)::integer and v_range -> 1 <> '65535') then
        perform automation_priv.rule_refuse(p_root || v_text, format('operand_count: found %s operands; allowed: %s', v_n,
            case when v_range -> 1 = '65535' then format('%s or more', v_range -> 0) when v_range -> 0 = v_range -> 1 then format('exactly %s', v_range -> 0)
                 else format('%s to %s', v_range -> 0, v_range -> 1) end));
    elsif v_name = 'preserve' or v_name in ('var', 'val') and jsonb_typeof(v_operands) = 'string' then
        return p_leaves;
    elsif jsonb_typeof(v_operands) <> 'array' then
        return automation_priv.rule_logic(p_words, v_operands, p_root, v_text, p_depth + 1, p_groups, p_leaves);
    end if;
    for i in 0..v_n - 1 loop
        p_leaves := automation_priv.rule_logic(p_words, v_operands -> i, p_root, v_text || '/' || i, p_depth + 1, p_groups, p_leaves);
    end loop;
    return p_leaves;
end $$;

create function automation_priv.rule_condition(p_words jsonb, p_object jsonb, p_at text, p_key text) returns void
language plpgsql immutable set search_path = '' as $$
begin
    if p_object ? p_key then
        perform automation_priv.rule_logic(p_words, p_object -> p_key, p_at || '/' || p_key, '', 0, 0, 0);
    end if;
end $$;

-- A list of actions and the lists within them; returns the number of actions.
create function automation_priv.rule_actions(p_words jsonb, p_list jsonb, p_at text, p_depth integer) returns integer
language plpgsql immutable set search_path = '' as $$
declare
    a jsonb;
    s jsonb;
    v_at text;
    v_type text;
    v_key text;
    n integer := 0;
begin
    for i in 0..jsonb_array_length(p_list) - 1 loop
        a := p_list -> i;
        v_at := p_at || '/' || i;
        n := n + 1;
        if jsonb_typeof(a) <> 'object' then
            perform automation_priv.rule_refuse(v_at, format('found %s; an action is an object', automation_priv.rule_show(a)));
        end if;
        v_type := a ->> 'type';
        if p_words -> 'action' -> v_type is distinct from 'true' then
            perform automation_priv.rule_word(p_words -> 'action', a -> 'type', v_at || '/type');
        end if;
        s := a -> 'params';
        if jsonb_typeof(s) <> 'object' then
            perform automation_priv.rule_refuse(v_at || '/params', format('found %s; it must be an object', automation_priv.rule_show(s)));
        elsif s is null and v_type not in ('wait', 'branch', 'for_each', 'stop') then
            perform automation_priv.rule_refuse(v_at || '/params', 'missing; it must be an object');
        end if;
        continue when v_type not in ('branch', 'for_each');
        if s is null then s := a; else v_at := v_at || '/params'; end if;
        if v_type = 'branch' and not s ? 'if' then
            perform automation_priv.rule_refuse(v_at || '/if', 'missing; it must be a condition');
        end if;
        if v_type = 'branch' then
            perform automation_priv.rule_condition(p_words, s, v_at, 'if');
        end if;
        if v_type = 'branch' and not s ? 'then' then
            perform automation_priv.rule_refuse(v_at || '/then', 'missing; it must be a list of actions');
        end if;
        foreach v_key in array case v_type when 'branch' then array['then', 'else'] else array['do'] end loop
            continue when not s ? v_key or s -> v_key = '[]';
            if jsonb_typeof(s -> v_key) <> 'array' then
                perform automation_priv.rule_refuse(v_at || '/' || v_key, format('found %s; it must be a list of actions', automation_priv.rule_show(s -> v_key)));
            elsif p_depth = 5 then
                perform automation_priv.rule_refuse(v_at || '/' || v_key, 'lists of actions are more than 5 deep');
            end if;
            n := n + automation_priv.rule_actions(p_words, s -> v_key, v_at || '/' || v_key, p_depth + 1);
        end loop;
    end loop;
    return n;
end $$;

create function automation_priv.rule_check(d jsonb) returns void
language plpgsql immutable set search_path = '' as $$
declare
    v_words constant jsonb := automation_priv.rule_words();
    v_keys constant text[] := '{$schema, schema_version, name, template_key, trigger, conditions, actions, settings}';
    v_text text;
    v_type text;
    n integer;
begin
    if octet_length(d::text) > 65536 then
        -- The engine counts JSON without blanks; PostgreSQL writes one behind each colon and comma.
        v_text := regexp_replace(d::text, '"(\\.|[^"\\])*"', '', 'g');
        n := octet_length(d::text) - length(v_text) + length(replace(v_text, ' ', ''));
        if n > 65536 then
            perform automation_priv.rule_refuse('', format('the document has %s bytes; allowed are 65536', n));
        end if;
    end if;
    if d - v_keys <> '{}' then
        perform automation_priv.rule_keys(d, '', v_keys);
    end if;
    if d -> 'schema_version' is distinct from '1' then
        perform automation_priv.rule_refuse('/schema_version', format('found %s; it must be 1', automation_priv.rule_show(d -> 'schema_version')));
    elsif jsonb_typeof(d -> 'name') is distinct from 'string' then
        perform automation_priv.rule_refuse('/name', format('found %s; it must be a text', automation_priv.rule_show(d -> 'name')));
    elsif octet_length(d ->> 'name') not between 1 and 200 then
        perform automation_priv.rule_refuse('/name', format('found %s bytes; allowed are 1 to 200', octet_length(d ->> 'name')));
    elsif not d ? 'trigger' then
        perform automation_priv.rule_refuse('/trigger', 'missing; it must be an object');
    elsif jsonb_typeof(d -> 'trigger') <> 'object' then
        perform automation_priv.rule_refuse('/trigger', format('found %s; it must be an object', automation_priv.rule_show(d -> 'trigger')));
    end if;
    v_type := d #>> '{trigger,type}';
    if v_words -> 'trigger' -> v_type is distinct from 'true' then
        perform automation_priv.rule_word(v_words -> 'trigger', d #> '{trigger,type}', '/trigger/type');
    end if;
    if v_type = 'event' and not coalesce(jsonb_typeof(d #> '{trigger,event}') = 'string' and octet_length(d #>> '{trigger,event}') <= 64
            and d #>> '{trigger,event}' ~ '^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$', false) then
        perform automation_priv.rule_refuse('/trigger/event', format('found %s; it must be an event type: lower-case words with dots between, such as '
            '"contract.signed", at most 64 bytes', automation_priv.rule_show(d #> '{trigger,event}')));
    end if;
    if d -> 'conditions' <> 'null' then
        perform automation_priv.rule_condition(v_words, d, '', 'conditions');
    end if;
    if jsonb_typeof(d -> 'actions') is distinct from 'array' or d -> 'actions' = '[]' then
        perform automation_priv.rule_refuse('/actions', format('found %s; it must be a list of at least one action',
            case when d -> 'actions' = '[]' then 'an empty list' else automation_priv.rule_show(d -> 'actions') end));
    end if;
    n := automation_priv.rule_actions(v_words, d -> 'actions', '/actions', 0);
    if n > 50 then
        perform automation_priv.rule_refuse('/actions', format('found %s actions; allowed are 50', n));
    end if;
    if jsonb_typeof(d -> 'settings') <> 'object' then
        perform automation_priv.rule_refuse('/settings', format('found %s; it must be an object', automation_priv.rule_show(d -> 'settings')));
    end if;
    perform automation_priv.rule_condition(v_words, d -> 'settings', '/settings', 'exit_when');
end $$;

create function automation_priv.rules_before() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'UPDATE' then
        if new.tenant_id <> old.tenant_id or new.rule_id <> old.rule_id then
            raise exception 'a rule''s tenant_id and rule_id never change' using errcode = '22023';
        end if;
        if new.definition is distinct from old.definition then
            perform automation_priv.rule_check(new.definition);
            new.revision := old.revision + 1;
        end if;
        new.updated_at := automation.now();
    else
        perform automation_priv.rule_check(new.definition);
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
    on conflict (tenant_id) do update set version = automation_priv.version_after(s.version), updated_at = automation.now();
    return null;
end $$;
create trigger rules_after_insert after insert on automation.rules
    referencing new table as changed for each statement execute function automation_priv.rules_after();
create trigger rules_after_update after update on automation.rules
    referencing new table as changed for each statement execute function automation_priv.rules_after();
create trigger rules_after_delete after delete on automation.rules
    referencing old table as changed for each statement execute function automation_priv.rules_after();

-- Rule A runs for a wedding only after rule B has succeeded for it. No rule may wait for itself, over whatever way: the tenant's ruleset row is raised
-- first, which lets one writer of a tenant's dependencies pass at a time at every isolation level.
create table automation.rule_dependencies (
    tenant_id uuid not null,
    rule_id uuid not null,
    needs_rule_id uuid not null,
    created_at timestamptz not null default automation.now(),
    primary key (tenant_id, rule_id, needs_rule_id),
    foreign key (tenant_id, rule_id) references automation.rules on delete cascade,
    foreign key (tenant_id, needs_rule_id) references automation.rules (tenant_id, rule_id) on delete cascade
);
create index rule_dependencies_needs on automation.rule_dependencies (tenant_id, needs_rule_id);

create function automation_priv.rule_dependencies_after() returns trigger
language plpgsql security definer set search_path = '' as $$
declare v record;
begin
    insert into automation.ruleset_state as s (tenant_id) select distinct c.tenant_id from changed c order by 1
    on conflict (tenant_id) do update set version = automation_priv.version_after(s.version), updated_at = automation.now();
    with recursive reached as (
        select c.tenant_id, c.rule_id as start, c.needs_rule_id as rule_id from changed c
        union
        select d.tenant_id, r.start, d.needs_rule_id from reached r join automation.rule_dependencies d using (tenant_id, rule_id))
    select u.rule_id, u.name into v from reached r join automation.rules u using (tenant_id, rule_id) where r.rule_id = r.start limit 1;
    if found then
        raise exception 'rule "%" (%) would wait for itself', v.name, v.rule_id using errcode = '23514',
            hint = 'Rules that need each other, directly or by way of others, would never run.';
    end if;
    return null;
end $$;
create trigger rule_dependencies_after_insert after insert on automation.rule_dependencies
    referencing new table as changed for each statement execute function automation_priv.rule_dependencies_after();
create trigger rule_dependencies_after_update after update on automation.rule_dependencies
    referencing new table as changed for each statement execute function automation_priv.rule_dependencies_after();

-- ---- facts: what conditions and templates see of a wedding ---------------------------------------------------------------------
create function automation_priv.facts_now(p_zone text, p_now timestamptz) returns jsonb
language plpgsql stable set search_path = '' as $$
begin
    return jsonb_build_object('today', (p_now at time zone p_zone)::date, 'now', to_char(p_now at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
end $$;
-- A view, so that it melts into a statement that asks for many weddings: called for each, a function starts an executor for each. Nobody is granted it.
create view automation_priv.wedding_facts as
    select x.*, x.attributes || jsonb_build_object('wedding', x.wedding, 'venue', x.venue, 'project', x.project, 'client', x.client, 'tenant', x.tenant,
        'vendors', x.vendors, 'timeline', x.timeline) as facts
    from (select w.tenant_id, w.wedding_id, w.time_zone, w.revision, w.status, w.attributes, w.venue,
        jsonb_build_object(
            'id', w.wedding_id, 'title', w.title, 'status', w.status, 'date', w.ceremony_date,
            'ceremony_time', to_char(w.ceremony_time, 'HH24:MI'), 'time_zone', w.time_zone, 'guest_count', w.guest_count,
            'service_types', to_jsonb(w.service_types), 'package', w.package, 'budget_cents', w.budget_cents,
            'booked_on', w.booked_on, 'inquired_on', w.inquired_on, 'revision', w.revision, 'attributes', w.attributes,
            'date_local', to_char(w.ceremony_date, 'FMDay, FMDD FMMonth YYYY')) as wedding,
        jsonb_build_object('stage', w.stage, 'tags', to_jsonb(w.tags)) as project,
        jsonb_build_object('name', w.client_name, 'email', w.client_email, 'phone', w.client_phone) as client,
        jsonb_build_object('id', t.tenant_id, 'name', t.name, 'email', t.email, 'time_zone', t.time_zone,
            'season_months', t.settings -> 'season_months') as tenant,
        coalesce((select jsonb_agg(jsonb_build_object('name', v.name, 'kind', v.kind, 'role', wv.role, 'email', v.email,
                'relationship', wv.relationship, 'confirmed', wv.confirmed) order by wv.role, v.name, v.vendor_id)
            from automation.wedding_vendors wv join automation.vendors v using (tenant_id, vendor_id)
            where wv.tenant_id = w.tenant_id and wv.wedding_id = w.wedding_id), '[]') as vendors,
        coalesce((select jsonb_object_agg(m.name, m.local_date) from automation.milestones m
            where m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id), '{}') as timeline
        from automation.weddings w join automation.tenants t using (tenant_id)) x;

create function automation_priv.facts(p_tenant uuid, p_wedding uuid, p_now timestamptz) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
    return (select f.facts || automation_priv.facts_now(f.time_zone, p_now)
            from automation_priv.wedding_facts f where f.tenant_id = p_tenant and f.wedding_id = p_wedding);
end $$;
revoke execute on function automation_priv.facts_now, automation_priv.facts from public;
grant execute on function automation_priv.facts to automation_worker;

do $$
declare t text;
begin
    for t in select c.relname from pg_catalog.pg_class c where c.relnamespace = 'automation'::regnamespace and c.relkind in ('r', 'p') loop
        execute format('alter table automation.%I enable row level security', t);
    end loop;
end $$;
reset role;
